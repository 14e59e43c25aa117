"""GoogLeNet with batch normalization beside torchvision's."""

from parity_case import Case

from ablax.weights.names import googlenet
from ablax.zoo.googlenet import googlenet_bn


def without_auxiliary(model):
    """Torchvision's network without its auxiliary classifiers, which only train."""
    model.aux_logits, model.aux1, model.aux2 = False, None, None
    return model


CASES = (
    Case(
        name="googlenet_bn",
        build=googlenet_bn,
        image_size=224,
        torch_name=googlenet,
        source="torchvision.models.googlenet",
        change=without_auxiliary,
    ),
)
