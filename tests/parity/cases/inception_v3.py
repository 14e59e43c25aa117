"""Inception V3 beside torchvision's."""

from parity_case import Case

from ablax.weights.names import inception_v3 as name
from ablax.zoo.inception import inception_v3


def without_auxiliary(model):
    """Torchvision's network without its auxiliary classifier, which only trains."""
    model.aux_logits, model.AuxLogits = False, None
    return model


CASES = (
    Case(
        name="inception_v3",
        build=inception_v3,
        image_size=299,
        torch_name=name,
        source="torchvision.models.inception_v3",
        change=without_auxiliary,
        gradients=True,
    ),
)
