"""Inception-ResNet V2 beside timm's, which is the one its authors published."""

from parity_case import Case

from ablax.weights.names import inception_resnet
from ablax.zoo.inception import inception_resnet_v2

CASES = (
    Case(
        name="inception_resnet_v2",
        build=inception_resnet_v2,
        image_size=299,
        torch_name=inception_resnet,
        source="timm:inception_resnet_v2",
    ),
)
