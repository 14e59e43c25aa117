"""ResNeXt beside torchvision's, whose names are those of its ResNet."""

from parity_case import Case

from ablax.weights.names import resnet
from ablax.zoo.resnext import resnext50_32x4d, resnext101_32x8d, resnext101_64x4d

CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=resnet,
        source=f"torchvision.models.{build.__name__}",
        gradients=build is resnext50_32x4d,
        gain=1.0,
    )
    for build in (resnext50_32x4d, resnext101_32x8d, resnext101_64x4d)
)
