"""Inception V4 beside timm's."""

from parity_case import Case

from ablax.weights.names import inception_v4 as name
from ablax.zoo.inception import inception_v4

CASES = (
    Case(
        name="inception_v4",
        build=inception_v4,
        image_size=299,
        torch_name=name,
        source="timm:inception_v4",
    ),
)
