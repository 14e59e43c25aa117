"""Whose weights ablax can read, and for which networks."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ablax.core import Edit, Layers, Network, edit, replace
from ablax.errors import WeightsError, nearest
from ablax.layers import (
    AveragePool,
    BatchNormalization,
    Convolution,
    LocalResponseNormalization,
    MaxPool,
)
from ablax.model import Preprocessing
from ablax.weights import names as squeezenet_names
from ablax.weights.names import (
    ModuleName,
    alexnet,
    densenet,
    dpn,
    googlenet,
    inception_resnet,
    inception_v3,
    inception_v4,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    resnet_preactivation,
    senet,
    shufflenet_v2,
    vgg,
    xception,
)
from ablax.zoo.mobilenet_v1 import clipped
from ablax.zoo.vgg import A, B, D, E

# ------------------------------------------------------------------------------------------
# Where weights come from, and what has to be known to use them.

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class KnownFile:
    """A published file of weights.

    Attributes:
        name: Of the file; a part `-1a2b3c4d` in front of the suffix is the start of its SHA-256.
        resize: Pixels of the shorter side, where it is not that of the source.
        top1: The error its publisher reports, in percent.
        top5: Likewise.
    """

    name: str
    resize: int | None = None
    top1: float | None = None
    top5: float | None = None


@dataclass(frozen=True)
class WeightSource:
    """One implementation whose weights a network of ours takes.

    Attributes:
        library: Whose, such as `torchvision`; what `--from` names.
        model: What the network is called there.
        form: Of its files: `torch` (`.pth` and safetensors), `caffe` or `keras`.
        names: From our paths to the names of its layers.
        preprocessing: What belongs to its weights.
        classes: Names of its classes: `imagenet`, `cifar10`, or empty where they are not known.
        files: Files it publishes.
        home: Where they are, without the name.
        change: What makes our network compute what theirs does; None where it does already.
        prepare: From the tensors of a file to those of today's definition, where an older one
            called them otherwise, or kept the channels in another order.
        left_out: Beginnings of the names of tensors that are not needed: auxiliary classifiers.
    """

    library: str
    model: str
    form: str
    names: ModuleName
    preprocessing: Preprocessing
    classes: str = "imagenet"
    files: tuple[KnownFile, ...] = ()
    home: str = ""
    change: Edit | None = None
    prepare: Callable[[Tensors], Tensors] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Library and model, `torchvision resnet18`."""
        return f"{self.library} {self.model}"


WeightSources = dict[str, tuple[WeightSource, ...]]
"""From a network of the zoo to those whose weights it takes."""


# ------------------------------------------------------------------------------------------
# What TensorFlow's definitions do otherwise: where padding goes, and what keeps a root from zero.
#
# `padding="same"` there adds as few zeros as give ceil(size / stride) pixels, and where their
# number is odd one more behind than in front; PyTorch's padding is the same on all sides. At stride
# 1 the two agree, at stride 2 and an even size they are a pixel apart.

_KEPT = (0, "VALID", "SAME")


def tensorflow_conventions(network: Network) -> Network:
    """The edit that pads as TensorFlow does, and sets batch-norm epsilon 1e-3 as Keras does.

    Convolutions and pools that are padded get `padding="SAME"`; those that are not stay so.

    Raises:
        EditError: The network has nothing of the kind.

    Example:
        >>> from ablax.zoo import mobilenet_v1
        >>> tensorflow_conventions(mobilenet_v1()).layers["conv1"].layers["conv"].padding
        'SAME'
    """

    def rewrite(path: str, layer: object) -> Layers | None:
        name = path.rsplit("/", 1)[-1]
        if isinstance(layer, BatchNormalization):
            return Layers({name: layer.copy(epsilon=1e-3)})
        if isinstance(layer, (Convolution, MaxPool, AveragePool)) and layer.padding not in _KEPT:
            return Layers({name: layer.copy(padding="SAME")})
        return None

    return edit(network, rewrite)


# ------------------------------------------------------------------------------------------
# Weights that are published as Caffe's files: AlexNet, CaffeNet, VGG, GoogLeNet, ResNet of 2015.
#
# Caffe's reference networks see pictures warped to 256 x 256 pixels, blue first, levels up to 255
# less a mean image; its three means stand here for that image, as in their deploy files. VGG
# subtracts the three means of its authors. The residual networks subtract a mean image too (224 x
# 224, after the crop); here are VGG's three means, as in Keras' port of the same weights.

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
) -> tuple[WeightSource]:
    source = WeightSource(
        *("caffe", model, "caffe", names, preprocessing), change=change, left_out=left_out
    )
    return (source,)


def _warped(crop: int) -> Preprocessing:
    return Preprocessing(crop, 256, "bilinear", _REFERENCE, _LEVELS, "BGR", keep_aspect=False)


_MIDDLE = Preprocessing(224, 256, "bilinear", _VGG, _LEVELS, "BGR")
# Unpadded, and rounded up: the authors' file.
_CAFFE_POOL = replace("pool1", MaxPool(3, 2, ceil_mode=True))


CAFFE_SOURCES: WeightSources = {
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


# ------------------------------------------------------------------------------------------
# Residual networks for CIFAR-10 that others trained in PyTorch, with option A shortcuts.
#
# Their tensors are called `conv1`, `bn1`, `layer1.0.conv1`, ..., `linear`. Where maps halve, the
# identity gets channels of zeros, and the two ways of adding them cannot be told from the tensors:
#
# * `idelbayev`: half in front and half behind, as in akamaster/pytorch_resnet_cifar10, from which
#   most such files come;
# * `zeros-behind`: all behind, as in our networks and the paper's code.
#
# The first is our network with the channels of the second and third stage in another order: the
# zeros, and with them everything that reads the stage, change places. `zeros_behind` reorders.

_CIFAR_BLOCK = re.compile(r"layer([123])\.(\d+)\.(conv1|conv2|bn2)\.(\w+)")

DEPTHS = (20, 32, 44, 56, 110, 1202)


def names(path: str) -> str:
    """The names of the layers: torchvision's, but `linear` for the classifier.

    Example:
        >>> names("res3b/conv2/bn"), names("classifier")
        ('layer2.1.bn2', 'linear')
    """
    return "linear" if path == "classifier" else resnet(path)


def zeros_behind(tensors: Tensors) -> Tensors:
    """Reorder the channels so that the zeros of the shortcuts stand behind the others.

    Args:
        tensors: Of a network whose shortcuts put half of the zeros in front.

    Returns:
        Tensors of a network that computes the same scores with all zeros behind.

    Raises:
        WeightsError: A stage does not have twice the channels of the one before.
    """
    orders = _orders(tensors)
    return {name: _reordered(name, array, orders) for name, array in tensors.items()}


def _orders(tensors: Tensors) -> dict[int, np.ndarray]:
    """Of each stage: which of their channels is our first, second, ..."""
    order = np.arange(_features(tensors, 1))
    orders = {1: order}
    for stage in (2, 3):
        channels, features = len(order), _features(tensors, stage)
        if features != 2 * channels:
            raise WeightsError(
                f"stage {stage} has {features} channels behind {channels}: expected twice as many"
            )
        front = (features - channels) // 2
        zeros = [*range(front), *range(front + channels, features)]
        order = np.array([*(front + order), *zeros])
        orders[stage] = order
    return orders


def _features(tensors: Tensors, stage: int) -> int:
    name = f"layer{stage}.0.conv2.weight"
    if name not in tensors:
        raise WeightsError(f"missing: {name}; expected a residual network for CIFAR-10")
    return int(tensors[name].shape[0])


def _reordered(name: str, array: np.ndarray, orders: dict[int, np.ndarray]) -> np.ndarray:
    if name == "linear.weight":
        return array[:, orders[3]]
    found = _CIFAR_BLOCK.fullmatch(name)
    if found is None or not array.ndim:
        return array
    stage, number, layer, _ = found.groups()
    if layer == "conv1":  # reads the stage, or in its first block the one before
        return array[:, orders[max(1, int(stage) - (number == "0"))]]
    return array[orders[int(stage)]]  # writes it


def _sources(depth: int) -> Iterator[WeightSource]:
    # Their training normalizes with ImageNet's mean and std.
    preprocessing = Preprocessing(32, None)
    for library, prepare in (("idelbayev", zeros_behind), ("zeros-behind", None)):
        yield WeightSource(
            *(library, f"resnet{depth}", "torch", names, preprocessing, "cifar10"), prepare=prepare
        )


CIFAR_SOURCES: WeightSources = {f"resnet{depth}": tuple(_sources(depth)) for depth in DEPTHS}


# ------------------------------------------------------------------------------------------
# Weights of `keras.applications`, whose authors published them there: MobileNet V1 and Xception.
#
# Levels from -1 to 1; padding and epsilon are TensorFlow's (`tensorflow_conventions`).

_HALF = (0.5, 0.5, 0.5)
_SEPARABLE = re.compile(r"conv(\d+)_(dw|pw)/(conv|bn)")
_XCEPTION = re.compile(r"(entry|middle|exit)(\d+)/(?:sep(\d)/)?(depthwise|pointwise|bn)")
_PROJECTION = re.compile(r"(entry|exit)(\d)/projection/(conv|bn)")
_BLOCKS = {"entry": 1, "middle": 4, "exit": 12}
_NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?\.(.*)")


def mobilenet_v1_names(path: str) -> str:
    """The names of the layers of `mobilenet_v1` in Keras.

    Example:
        >>> mobilenet_v1_names("conv2_dw/conv"), mobilenet_v1_names("conv14_pw/bn")
        ('conv_dw_1', 'conv_pw_13_bn')
    """
    known = {"conv1/conv": "conv1", "conv1/bn": "conv1_bn", "fc": "conv_preds"}
    separable = _SEPARABLE.fullmatch(path)
    if separable is None:
        return known.get(path, path)
    number, kind, leaf = separable.groups()
    return f"conv_{kind}_{int(number) - 1}{'_bn' if leaf == 'bn' else ''}"


def mobilenet_v1_of_keras(network: Network) -> Network:
    """The edit that cuts every ReLU off at 6, and pads as TensorFlow does."""
    return tensorflow_conventions(clipped(network))


def xception_names(path: str) -> str:
    """The names of the layers of `xception` in Keras; its projections after `numbered_in_order`.

    Example:
        >>> xception_names("entry2/sep1/depthwise"), xception_names("middle8/sep3/bn")
        ('block3_sepconv1.depthwise', 'block12_sepconv3_bn')
        >>> xception_names("exit1/projection/conv"), xception_names("exit3/pointwise")
        ('projection4', 'block14_sepconv2.pointwise')
    """
    known = {
        **{"conv1/conv": "block1_conv1", "conv1/bn": "block1_conv1_bn"},
        **{"conv2/conv": "block1_conv2", "conv2/bn": "block1_conv2_bn"},
        "classifier/dense": "predictions",
    }
    if projection := _PROJECTION.fullmatch(path):
        flow, number, kind = projection.groups()
        place = 4 if flow == "exit" else int(number)
        return f"projection{place}{'_bn' if kind == 'bn' else ''}"
    found = _XCEPTION.fullmatch(path)
    if found is None:
        return known.get(path, path)
    flow, number, separable, leaf = found.groups()
    block, unit = _BLOCKS[flow] + int(number), separable
    if separable is None:  # the last two separable convolutions share block 14
        block, unit = 14, str(int(number) - 1)
    name = f"block{block}_sepconv{unit}"
    return f"{name}_bn" if leaf == "bn" else f"{name}.{leaf}"


def numbered_in_order(tensors: Tensors) -> Tensors:
    """Keras numbers its unnamed layers, the four projections, again in every process.

    Args:
        tensors: With `conv2d_7.weight` and the like.

    Returns:
        With `projection1` to `projection4` and `projection1_bn` and so on, in the same order.

    Example:
        >>> import numpy as np
        >>> theirs = ("conv2d_7.weight", "conv2d_10.weight", "fc.bias")
        >>> list(numbered_in_order(dict.fromkeys(theirs, np.zeros(1))))
        ['projection1.weight', 'projection2.weight', 'fc.bias']
    """
    found = {name: match for name in tensors if (match := _NUMBERED.fullmatch(name))}
    numbers = {
        kind: sorted({int(match[2] or 0) for match in found.values() if match[1] == kind})
        for kind in ("conv2d", "batch_normalization")
    }

    def renamed(name: str) -> str:
        match = found.get(name)
        if match is None:
            return name
        kind, number, leaf = match.groups()
        place = numbers[kind].index(int(number or 0)) + 1
        return f"projection{place}{'' if kind == 'conv2d' else '_bn'}.{leaf}"

    return {renamed(name): array for name, array in tensors.items()}


KERAS_SOURCES: WeightSources = {
    "mobilenet_v1": (
        WeightSource(
            *("keras", "MobileNet", "keras", mobilenet_v1_names),
            Preprocessing(224, 256, "bilinear", _HALF, _HALF),
            change=mobilenet_v1_of_keras,
        ),
    ),
    "xception": (
        WeightSource(
            *("keras", "Xception", "keras", xception_names),
            Preprocessing(299, 341, "bilinear", _HALF, _HALF),
            change=tensorflow_conventions,
            prepare=numbered_in_order,
        ),
    ),
}


# ------------------------------------------------------------------------------------------
# timm's weights, trained on ImageNet; sizes and means are those of timm 1.0.31.
#
# timm crops a share of the resized picture, `crop_pct`: 0.875 of it at 224 pixels resizes to 256.
# Files called `model.safetensors` are in the folder of that name on the Hugging Face hub; the
# squeeze-and-excitation networks and Xception have `.pth` files.

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Levels of 124, 117 and 104 of 255, and a std of 1 / (0.0167 * 255), as the authors have it.
_DPN = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)


def _timm(
    model: str,
    names: ModuleName,
    size: int = 224,
    share: float = 0.875,
    interpolation: str = "bicubic",
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = (_HALF, _HALF),
    change: Edit | None = None,
) -> tuple[WeightSource]:
    mean, std = statistics
    preprocessing = Preprocessing(size, math.floor(size / share), interpolation, mean, std)
    return (WeightSource("timm", model, "torch", names, preprocessing, change=change),)


def _legacy(model: str) -> tuple[WeightSource]:
    return _timm(f"legacy_{model}", senet, interpolation="bilinear", statistics=_IMAGENET)


TIMM_SOURCES: WeightSources = {
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


# ------------------------------------------------------------------------------------------
# torchvision's weights, trained on ImageNet.
#
# File names, sizes and errors are those of torchvision 0.28, one crop of the middle. The `_V2`
# files of a network were trained longer and resize the shorter side to 232 pixels instead of 256.

_HOME = "https://download.pytorch.org/models/"


def _usual(model: str, names: ModuleName, *files: KnownFile, crop: int = 224) -> WeightSource:
    """Resized to 256 pixels, the middle 224 cut out, ImageNet's mean and std."""
    return WeightSource(
        *("torchvision", model, "torch", names, Preprocessing(crop, 256)), files=files, home=_HOME
    )


def _of_tensorflow(source: WeightSource, resize: int, *left_out: str) -> WeightSource:
    """Weights imported from TensorFlow: levels from -1 to 1 (`transform_input` there)."""
    size = dataclasses.replace(source.preprocessing, resize=resize, mean=_HALF, std=_HALF)
    return dataclasses.replace(source, preprocessing=size, left_out=left_out)


_OLD_DENSE = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def numbered_as_today(tensors: Tensors) -> Tensors:
    """DenseNet's files say `norm.1` where torchvision's definition says `norm1`.

    Args:
        tensors: By the names of the file.

    Example:
        >>> import numpy as np
        >>> theirs = {"features.denseblock1.denselayer2.conv.1.weight": np.zeros(1)}
        >>> list(numbered_as_today(theirs))
        ['features.denseblock1.denselayer2.conv1.weight']
    """
    return {_OLD_DENSE.sub(r"\1\2", name): array for name, array in tensors.items()}


def _densenet(depth: int, file: str, top1: float, top5: float) -> WeightSource:
    source = _usual(f"densenet{depth}", densenet, KnownFile(file, 256, top1, top5))
    return dataclasses.replace(source, prepare=numbered_as_today)


TORCHVISION_SOURCES: WeightSources = {
    "alexnet_one_weird_trick": (
        _usual("alexnet", alexnet, KnownFile("alexnet-owt-7be5be79.pth", 256, 43.478, 20.934)),
    ),
    "vgg_a": (_usual("vgg11", vgg(A), KnownFile("vgg11-8a719046.pth", 256, 30.98, 11.372)),),
    "vgg_b": (_usual("vgg13", vgg(B), KnownFile("vgg13-19584684.pth", 256, 30.072, 10.754)),),
    "vgg_d": (_usual("vgg16", vgg(D), KnownFile("vgg16-397923af.pth", 256, 28.408, 9.618)),),
    "vgg_e": (_usual("vgg19", vgg(E), KnownFile("vgg19-dcbb9e9d.pth", 256, 27.624, 9.124)),),
    "googlenet_bn": (
        _of_tensorflow(
            _usual("googlenet", googlenet, KnownFile("googlenet-1378be20.pth", 256, 30.222, 10.47)),
            256,
            *("aux1.", "aux2."),
        ),
    ),
    "inception_v3": (
        _of_tensorflow(
            _usual(
                "inception_v3",
                inception_v3,
                KnownFile("inception_v3_google-0cc3c7bd.pth", 342, 22.706, 6.55),
                crop=299,
            ),
            342,
            "AuxLogits.",
        ),
    ),
    "squeezenet_1_0": (
        _usual(
            "squeezenet1_0",
            squeezenet_names.squeezenet_1_0,
            KnownFile("squeezenet1_0-b66bff10.pth", 256, 41.908, 19.58),
        ),
    ),
    "squeezenet_1_1": (
        _usual(
            "squeezenet1_1",
            squeezenet_names.squeezenet_1_1,
            KnownFile("squeezenet1_1-b8a52dc0.pth", 256, 41.822, 19.376),
        ),
    ),
    "mobilenet_v2": (
        _usual(
            "mobilenet_v2",
            mobilenet_v2,
            KnownFile("mobilenet_v2-b0353104.pth", 256, 28.122, 9.714),
            KnownFile("mobilenet_v2-7ebf99e0.pth", 232, 27.846, 9.178),
        ),
    ),
    "resnet18": (
        _usual("resnet18", resnet, KnownFile("resnet18-f37072fd.pth", 256, 30.242, 10.922)),
    ),
    "resnet34": (
        _usual("resnet34", resnet, KnownFile("resnet34-b627a593.pth", 256, 26.686, 8.58)),
    ),
    "resnet50": (
        _usual(
            "resnet50",
            resnet,
            KnownFile("resnet50-0676ba61.pth", 256, 23.87, 7.138),
            KnownFile("resnet50-11ad3fa6.pth", 232, 19.142, 4.566),
        ),
    ),
    "resnet101": (
        _usual(
            "resnet101",
            resnet,
            KnownFile("resnet101-63fe2227.pth", 256, 22.626, 6.454),
            KnownFile("resnet101-cd907fc2.pth", 232, 18.114, 4.22),
        ),
    ),
    "resnet152": (
        _usual(
            "resnet152",
            resnet,
            KnownFile("resnet152-394f9c45.pth", 256, 21.688, 5.954),
            KnownFile("resnet152-f82ba261.pth", 232, 17.716, 3.998),
        ),
    ),
    "resnext50_32x4d": (
        _usual(
            "resnext50_32x4d",
            resnet,
            KnownFile("resnext50_32x4d-7cdf4587.pth", 256, 22.382, 6.302),
            KnownFile("resnext50_32x4d-1a0047aa.pth", 232, 18.802, 4.66),
        ),
    ),
    "resnext101_64x4d": (
        _usual(
            "resnext101_64x4d",
            resnet,
            KnownFile("resnext101_64x4d-173b62eb.pth", 232, 16.754, 3.546),
        ),
    ),
    "shufflenet_v2_0_5": (
        _usual(
            "shufflenet_v2_x0_5",
            shufflenet_v2,
            KnownFile("shufflenetv2_x0.5-f707e7126e.pth", 256, 39.448, 18.254),
        ),
    ),
    "shufflenet_v2_1_0": (
        _usual(
            "shufflenet_v2_x1_0",
            shufflenet_v2,
            KnownFile("shufflenetv2_x1-5666bf0f80.pth", 256, 30.638, 11.684),
        ),
    ),
    "shufflenet_v2_1_5": (
        _usual(
            "shufflenet_v2_x1_5",
            shufflenet_v2,
            KnownFile("shufflenetv2_x1_5-3c479a10.pth", 232, 27.004, 8.914),
        ),
    ),
    "shufflenet_v2_2_0": (
        _usual(
            "shufflenet_v2_x2_0",
            shufflenet_v2,
            KnownFile("shufflenetv2_x2_0-8be3c8ee.pth", 232, 23.77, 6.994),
        ),
    ),
    "densenet121": (_densenet(121, "densenet121-a639ec97.pth", 25.566, 8.028),),
    "densenet161": (_densenet(161, "densenet161-8d451a50.pth", 22.862, 6.44),),
    "densenet169": (_densenet(169, "densenet169-b2777c0a.pth", 24.4, 7.194),),
    "densenet201": (_densenet(201, "densenet201-c1103571.pth", 23.104, 6.63),),
}


# ------------------------------------------------------------------------------------------
# Whose weights each network of the zoo takes.

__all__ = ["WEIGHT_SOURCES", "KnownFile", "WeightSource", "find_source", "sources_of"]

_ALL = (TORCHVISION_SOURCES, TIMM_SOURCES, CAFFE_SOURCES, KERAS_SOURCES, CIFAR_SOURCES)

WEIGHT_SOURCES: Mapping[str, tuple[WeightSource, ...]] = MappingProxyType(
    {
        name: tuple(source for sources in _ALL for source in sources.get(name, ()))
        for name in dict.fromkeys(name for sources in _ALL for name in sources)
    }
)
"""From a network of the zoo to the implementations whose weights it takes."""


def sources_of(network: str) -> tuple[WeightSource, ...]:
    """Whose weights the network takes; nothing where nobody publishes any.

    Example:
        >>> [source.title for source in sources_of("vgg_d")]
        ['torchvision vgg16', 'caffe VGG_ILSVRC_16_layers']
    """
    return WEIGHT_SOURCES.get(network, ())


def find_source(network: str, library: str) -> WeightSource:
    """The source of that library.

    Raises:
        WeightsError: The network takes no weights of it.
    """
    for source in sources_of(network):
        if source.library == library:
            return source
    libraries = [source.library for source in sources_of(network)]
    raise WeightsError(f"{network} takes no weights of {library!r}: {nearest(library, libraries)}")
