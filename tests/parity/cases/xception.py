"""Xception beside timm's, which was taken from the author's weights."""

from parity_case import Case

from ablax.weights.names import xception as names
from ablax.zoo.xception import xception

CASES = (
    Case(
        name="xception",
        build=xception,
        image_size=299,
        torch_name=names,
        source="timm:legacy_xception",
    ),
)
