"""SqueezeNet 1.0 and 1.1 beside torchvision's."""

from parity_case import Case

from ablax.weights import names
from ablax.zoo.squeezenet import squeezenet_1_0, squeezenet_1_1

CASES = (
    Case(
        name="squeezenet_1_0",
        build=squeezenet_1_0,
        image_size=224,
        torch_name=names.squeezenet_1_0,
        source="torchvision.models.squeezenet1_0",
    ),
    Case(
        name="squeezenet_1_1",
        build=squeezenet_1_1,
        image_size=224,
        torch_name=names.squeezenet_1_1,
        source="torchvision.models.squeezenet1_1",
        gradients=True,
    ),
)
