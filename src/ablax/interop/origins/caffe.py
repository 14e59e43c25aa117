"""Weights that are published as Caffe's files: AlexNet, CaffeNet, VGG, GoogLeNet, ResNet of 2015.

Caffe's reference networks see pictures warped to 256 x 256 pixels, blue first, levels up to 255
less a mean image; its three means stand here for that image, as in their deploy files. VGG
subtracts the three means of its authors. The residual networks subtract a mean image too (224 x
224, after the crop); here are VGG's three means, as in Keras' port of the same weights.
"""

from __future__ import annotations

import re

from ablax.core import Edit, Layers, Network, edit, replace
from ablax.interop.origins.origin import Origin, Origins
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_weights import ModuleName
from ablax.layers import LocalResponseNormalization, MaxPool

_LEVELS = (1 / 255,) * 3
_REFERENCE = (104.007 / 255, 116.669 / 255, 122.679 / 255)
_VGG = (103.939 / 255, 116.779 / 255, 123.68 / 255)

_BRANCHES = {
    **{"branch1x1": "1x1", "branch_pool/project": "pool_proj"},
    **{"branch3x3/reduce": "3x3_reduce", "branch3x3/large": "3x3"},
    **{"branch5x5/reduce": "5x5_reduce", "branch5x5/large": "5x5"},
}
_GOOGLENET = {
    **{"conv1": "conv1/7x7_s2", "conv2_reduce": "conv2/3x3_reduce", "conv2": "conv2/3x3"},
    "classifier": "loss3/classifier",
}
_BLOCK = re.compile(r"res(\d\w+)/(conv(\d)|projection)/(conv|bn)")


def chain_names(path: str) -> str:
    """Caffe's names of the layers of a chain, which are ours: `conv1/conv` is `conv1`.

    Example:
        >>> chain_names("conv3_1/conv"), chain_names("fc8")
        ('conv3_1', 'fc8')
    """
    return path.removesuffix("/conv").removesuffix("/dense")


def googlenet_names(path: str) -> str:
    """The names of the layers of `ablax.zoo.googlenet.googlenet` in `bvlc_googlenet`.

    Example:
        >>> googlenet_names("inception_3a/branch5x5/reduce/conv"), googlenet_names("conv2/conv")
        ('inception_3a/5x5_reduce', 'conv2/3x3')
    """
    layer = chain_names(path)
    module, _, branch = layer.partition("/")
    return f"{module}/{_BRANCHES[branch]}" if branch in _BRANCHES else _GOOGLENET.get(layer, layer)


def resnet_names(path: str) -> str:
    """The names of the layers of `resnet50_v1` and deeper in their authors' files.

    Example:
        >>> resnet_names("res2a/conv3/conv"), resnet_names("res4b22/conv1/bn")
        ('res2a_branch2c', 'bn4b22_branch2a')
        >>> resnet_names("res2a/projection/bn"), resnet_names("classifier")
        ('bn2a_branch1', 'fc1000')
    """
    known = {"conv1/conv": "conv1", "conv1/bn": "bn_conv1", "classifier": "fc1000"}
    block = _BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    place, _, number, kind = block.groups()
    branch = f"branch2{'abc'[int(number) - 1]}" if number else "branch1"
    return f"{'res' if kind == 'conv' else 'bn'}{place}_{branch}"


def caffe_normalization(network: Network) -> Network:
    """The edit that gives response normalization Caffe's constants: alpha on the mean, and k = 1.

    Raises:
        EditError: The network has none.
    """

    def rewrite(path: str, layer: object) -> Layers | None:
        if not isinstance(layer, LocalResponseNormalization):
            return None
        divided = LocalResponseNormalization(alpha=1e-4 / layer.size, k=1.0)
        return Layers({path.rsplit("/", 1)[-1]: divided})

    return edit(network, rewrite)


def _caffe(
    model: str,
    names: ModuleName,
    preprocessing: Preprocessing,
    change: Edit | None = None,
    left_out: tuple[str, ...] = (),
) -> tuple[Origin]:
    origin = Origin(
        *("caffe", model, "caffe", names, preprocessing), change=change, left_out=left_out
    )
    return (origin,)


def _warped(crop: int) -> Preprocessing:
    return Preprocessing(crop, 256, "bilinear", _REFERENCE, _LEVELS, "BGR", keep_aspect=False)


_MIDDLE = Preprocessing(224, 256, "bilinear", _VGG, _LEVELS, "BGR")
# Unpadded, and rounded up: the authors' file.
_CAFFE_POOL = replace("pool1", MaxPool(3, 2, rounding="ceil"))


ORIGINS: Origins = {
    "alexnet": _caffe("bvlc_alexnet", chain_names, _warped(227), caffe_normalization),
    "caffenet": _caffe("bvlc_reference_caffenet", chain_names, _warped(227)),
    "googlenet": _caffe(
        *("bvlc_googlenet", googlenet_names, _warped(224)), left_out=("loss1/", "loss2/")
    ),
    "vgg_d": _caffe("VGG_ILSVRC_16_layers", chain_names, _MIDDLE),
    "vgg_e": _caffe("VGG_ILSVRC_19_layers", chain_names, _MIDDLE),
    "resnet50_v1": _caffe("ResNet-50", resnet_names, _MIDDLE, _CAFFE_POOL),
    "resnet101_v1": _caffe("ResNet-101", resnet_names, _MIDDLE, _CAFFE_POOL),
    "resnet152_v1": _caffe("ResNet-152", resnet_names, _MIDDLE, _CAFFE_POOL),
}
