"""timm's weights, trained on ImageNet; sizes and means are those of timm 1.0.31.

timm crops a share of the resized picture, `crop_pct`: 0.875 of it at 224 pixels resizes to 256.
Files called `model.safetensors` are in the folder of that name on the Hugging Face hub; the
squeeze-and-excitation networks and Xception have `.pth` files.
"""

from __future__ import annotations

import math

from ablax.core import Edit
from ablax.interop.origins.origin import Origin, Origins
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_names.dpn import dpn
from ablax.interop.torch_names.inception_resnet import inception_resnet
from ablax.interop.torch_names.inception_v4 import inception_v4
from ablax.interop.torch_names.mobilenet_v1 import mobilenet_v1
from ablax.interop.torch_names.resnet_preactivation import resnet_preactivation
from ablax.interop.torch_names.senet import senet
from ablax.interop.torch_names.xception import xception
from ablax.interop.torch_weights import ModuleName
from ablax.zoo.mobilenet_v1 import clipped

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Levels of 124, 117 and 104 of 255, and a deviation of 1 / (0.0167 * 255), as the authors have it.
_DPN = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)


def _timm(
    model: str,
    names: ModuleName,
    size: int = 224,
    share: float = 0.875,
    interpolation: str = "bicubic",
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = (_HALF, _HALF),
    change: Edit | None = None,
) -> tuple[Origin]:
    mean, std = statistics
    preprocessing = Preprocessing(size, math.floor(size / share), interpolation, mean, std)
    return (Origin("timm", model, "torch", names, preprocessing, change=change),)


def _legacy(model: str) -> tuple[Origin]:
    return _timm(f"legacy_{model}", senet, interpolation="bilinear", statistics=_IMAGENET)


ORIGINS: Origins = {
    "inception_v4": _timm("inception_v4", inception_v4, 299),
    "inception_resnet_v2": _timm("inception_resnet_v2", inception_resnet, 299, 0.8975),
    "xception": _timm("legacy_xception", xception, 299, 0.8975),
    "mobilenet_v1": _timm("mobilenetv1_100", mobilenet_v1, change=clipped),
    "resnet50_preactivation": _timm("resnetv2_50", resnet_preactivation, share=0.95),
    "resnet101_preactivation": _timm("resnetv2_101", resnet_preactivation, share=0.95),
    "se_resnet50": _legacy("seresnet50"),
    "se_resnet101": _legacy("seresnet101"),
    "se_resnet152": _legacy("seresnet152"),
    "se_resnext50_32x4d": _legacy("seresnext50_32x4d"),
    "se_resnext101_32x4d": _legacy("seresnext101_32x4d"),
    "senet154": _legacy("senet154"),
    "dpn68": _timm("dpn68", dpn, statistics=_DPN),
    "dpn92": _timm("dpn92", dpn, statistics=_DPN),
    "dpn98": _timm("dpn98", dpn, statistics=_DPN),
    "dpn131": _timm("dpn131", dpn, statistics=_DPN),
}
