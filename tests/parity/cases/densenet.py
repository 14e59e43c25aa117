"""DenseNets beside torchvision's, which has no 264."""

from parity_case import Case

from ablax.weights.names import densenet
from ablax.zoo.densenet import densenet121, densenet161, densenet169, densenet201

CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=densenet,
        source=f"torchvision.models.{build.__name__}",
        gradients=build is densenet121,
    )
    for build in (densenet121, densenet169, densenet201, densenet161)
)
