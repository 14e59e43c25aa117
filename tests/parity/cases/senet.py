"""Squeeze-and-excitation networks beside timm's legacy ones, which follow the authors' files."""

from parity_case import Case

from ablax.weights.names import senet
from ablax.zoo.senet import (
    se_resnet50,
    se_resnet101,
    se_resnet152,
    se_resnext50_32x4d,
    se_resnext101_32x4d,
    senet154,
)

_THEIRS = {
    se_resnet50: "legacy_seresnet50",
    se_resnet101: "legacy_seresnet101",
    se_resnet152: "legacy_seresnet152",
    se_resnext50_32x4d: "legacy_seresnext50_32x4d",
    se_resnext101_32x4d: "legacy_seresnext101_32x4d",
    senet154: "legacy_senet154",
}
CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=senet,
        source=f"timm:{theirs}",
        gradients=build is se_resnet50,
        gain=1.0,
    )
    for build, theirs in _THEIRS.items()
)
