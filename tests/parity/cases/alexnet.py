"""AlexNet in one column beside torchvision's."""

from parity_case import Case

from ablax.weights.names import alexnet
from ablax.zoo.alexnet import alexnet_one_weird_trick

CASES = (
    Case(
        name="alexnet_one_weird_trick",
        build=alexnet_one_weird_trick,
        image_size=224,
        torch_name=alexnet,
        source="torchvision.models.alexnet",
        gradients=True,
    ),
)
