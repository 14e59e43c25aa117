"""Pre-activated residual networks beside timm's."""

from parity_case import Case

from ablax.weights.names import resnet_preactivation
from ablax.zoo.resnet import resnet50_preactivation, resnet101_preactivation

CASES = (
    Case(
        name="resnet50_preactivation",
        build=resnet50_preactivation,
        image_size=224,
        torch_name=resnet_preactivation,
        source="timm:resnetv2_50",
        gradients=True,
        gain=1.0,
    ),
    Case(
        name="resnet101_preactivation",
        build=resnet101_preactivation,
        image_size=224,
        torch_name=resnet_preactivation,
        source="timm:resnetv2_101",
    ),
)
