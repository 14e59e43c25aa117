"""Whose weights ablax can read, for which networks, and what their classes are called."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any, TypeVar

import numpy as np

from ablax.core import Edit, Layers, Network, compose, edit, replace, replace_kind
from ablax.errors import WeightsError, nearest
from ablax.layers import AveragePool, Convolution, MaxPool
from ablax.layers.normalization import BatchNormalization, LocalResponseNormalization
from ablax.model import Preprocessing
from ablax.weights import names
from ablax.weights.names import ModuleName
from ablax.zoo.mobilenet import clipped
from ablax.zoo.register import Entry, conventions, find
from ablax.zoo.vgg import A, B, D, E

T = TypeVar("T")

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class KnownFile:
    """A published file of weights, and the errors its publisher reports, in percent.

    A part `-1a2b3c4d` in front of the name's suffix is the start of its SHA-256. `resize` is of the
    shorter side in pixels, where it is not that of the source.
    """

    name: str
    top1: float | None = None
    top5: float | None = None
    resize: int | None = None

    def told(self) -> str:
        """The file, and the error of its weights."""
        errors = [f"{error:g}" for error in (self.top1, self.top5) if error is not None]
        return f"{self.name}, error {' / '.join(errors)} %" if errors else self.name


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
        renamed: From the tensors of a file to the same under the names of today's definition.
        prepare: From its tensors to ours, where the channels are in another order.
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
    renamed: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    prepare: Callable[[Tensors], Tensors] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Library and model, `torchvision resnet18`."""
        return f"{self.library} {self.model}"


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


# Weights that are published as Caffe's files: AlexNet, CaffeNet, VGG, GoogLeNet, ResNet of 2015.
#
# Caffe's reference networks see pictures warped to 256 x 256 pixels, blue first, levels up to 255
# less a mean image; its three means stand here for that image, as in their deploy files. VGG
# subtracts the three means of its authors. The residual networks subtract a mean image too (224 x
# 224, after the crop); here are VGG's three means, as in Keras' port of the same weights.

_LEVELS = (1 / 255,) * 3
_REFERENCE = (104.007 / 255, 116.669 / 255, 122.679 / 255)
_VGG = (103.939 / 255, 116.779 / 255, 123.68 / 255)


caffe_normalization: Edit = replace_kind(
    LocalResponseNormalization,
    lambda layer: LocalResponseNormalization(alpha=1e-4 / layer.size, k=1.0),
)
"""The edit that gives response normalization Caffe's constants: alpha on the mean, and k = 1."""


def _caffe(model: str, path: ModuleName, preprocessing: Preprocessing, **more: Any) -> WeightSource:
    return WeightSource("caffe", model, "caffe", path, preprocessing, **more)


def _warped(crop: int) -> Preprocessing:
    return Preprocessing(crop, 256, "bilinear", _REFERENCE, _LEVELS, "BGR", keep_aspect=False)


_MIDDLE = Preprocessing(224, 256, "bilinear", _VGG, _LEVELS, "BGR")
# Unpadded, and rounded up: the authors' file.
_CAFFE_POOL = replace("pool1", MaxPool(3, 2, ceil_mode=True))

_CAFFE: dict[str, WeightSource] = {
    "alexnet": _caffe("bvlc_alexnet", names.caffe_chain, _warped(227), change=caffe_normalization),
    "caffenet": _caffe("bvlc_reference_caffenet", names.caffe_chain, _warped(227)),
    "googlenet": _caffe(
        "bvlc_googlenet", names.caffe_googlenet, _warped(224), left_out=("loss1/", "loss2/")
    ),
    "vgg_d": _caffe("VGG_ILSVRC_16_layers", names.caffe_chain, _MIDDLE),
    "vgg_e": _caffe("VGG_ILSVRC_19_layers", names.caffe_chain, _MIDDLE),
    **{
        f"resnet{depth}_v1": _caffe(
            f"ResNet-{depth}", names.caffe_resnet, _MIDDLE, change=_CAFFE_POOL
        )
        for depth in (50, 101, 152)
    },
}


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


def zeros_behind(tensors: Tensors) -> Tensors:
    """Reorder the channels so that the zeros of the shortcuts stand behind the others.

    The scores of a network whose shortcuts put half of the zeros in front stay as they are.

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


def _cifar(library: str, **more: Any) -> dict[str, WeightSource]:
    # Their training normalizes with ImageNet's mean and std.
    prepared = Preprocessing(32, None)
    return {
        model: WeightSource(
            library, model, "torch", names.cifar_resnet, prepared, "cifar10", **more
        )
        for model in (f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202))
    }


_CIFAR = (_cifar("idelbayev", prepare=zeros_behind), _cifar("zeros-behind"))


# Weights of `keras.applications`, whose authors published them there: MobileNet V1 and Xception.
#
# Levels from -1 to 1; padding and epsilon are TensorFlow's (`tensorflow_conventions`).

_HALF = (0.5, 0.5, 0.5)
_NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?\.(.*)")


def numbered_in_order(tensors: Mapping[str, T]) -> dict[str, T]:
    """Keras numbers its unnamed layers, the four projections, again in every process.

    `conv2d_7.weight` and the like become `projection1.weight` to `projection4`, and
    `projection1_bn` and so on, in the same order.

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


def _keras(model: str, path: ModuleName, crop: int, resize: int, **more: Any) -> WeightSource:
    prepared = Preprocessing(crop, resize, "bilinear", _HALF, _HALF)
    return WeightSource("keras", model, "keras", path, prepared, **more)


_KERAS: dict[str, WeightSource] = {
    "mobilenet_v1": _keras(
        *("MobileNet", names.keras_mobilenet_v1, 224, 256),
        change=compose(clipped, tensorflow_conventions),
    ),
    "xception": _keras(
        *("Xception", names.keras_xception, 299, 341),
        change=tensorflow_conventions,
        renamed=numbered_in_order,
    ),
}


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
    path: ModuleName,
    size: int = 224,
    share: float = 0.875,
    interpolation: str = "bicubic",
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = (_HALF, _HALF),
    change: Edit | None = None,
) -> WeightSource:
    prepared = Preprocessing(size, math.floor(size / share), interpolation, *statistics)
    return WeightSource("timm", model, "torch", path, prepared, change=change)


_TIMM: dict[str, WeightSource] = {
    "inception_v4": _timm("inception_v4", names.inception_v4, 299),
    "inception_resnet_v2": _timm("inception_resnet_v2", names.inception_resnet, 299, 0.8975),
    "xception": _timm("legacy_xception", names.xception, 299, 0.8975),
    "mobilenet_v1": _timm("mobilenetv1_100", names.mobilenet_v1, change=clipped),
    "resnet50_preactivation": _timm("resnetv2_50", names.resnet_preactivation, share=0.95),
    "resnet101_preactivation": _timm("resnetv2_101", names.resnet_preactivation, share=0.95),
    **{
        ours: _timm(f"legacy_{theirs}", names.senet, interpolation="bilinear", statistics=_IMAGENET)
        for ours, theirs in {
            "se_resnet50": "seresnet50",
            "se_resnet101": "seresnet101",
            "se_resnet152": "seresnet152",
            "se_resnext50_32x4d": "seresnext50_32x4d",
            "se_resnext101_32x4d": "seresnext101_32x4d",
            "senet154": "senet154",
        }.items()
    },
    **{
        model: _timm(model, names.dpn, statistics=_DPN)
        for model in ("dpn68", "dpn92", "dpn98", "dpn131")
    },
}


# torchvision's weights, trained on ImageNet.
#
# File names, sizes and errors are those of torchvision 0.28, one crop of the middle. The `_V2`
# files of a network were trained longer and resize the shorter side to 232 pixels instead of 256.

_HOME = "https://download.pytorch.org/models/"


_OLD_DENSE = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def numbered_as_today(tensors: Mapping[str, T]) -> dict[str, T]:
    """DenseNet's files say `norm.1` where torchvision's definition says `norm1`.

    Example:
        >>> import numpy as np
        >>> theirs = {"features.denseblock1.denselayer2.conv.1.weight": np.zeros(1)}
        >>> list(numbered_as_today(theirs))
        ['features.denseblock1.denselayer2.conv1.weight']
    """
    return {_OLD_DENSE.sub(r"\1\2", name): array for name, array in tensors.items()}


def _torchvision(
    model: str,
    path: ModuleName,
    *files: tuple[Any, ...],
    prepared: Preprocessing = Preprocessing(224, 256),  # noqa: B008 - frozen
    **more: Any,
) -> WeightSource:
    """Each file as a `KnownFile`; the middle 224 of 256 pixels, ImageNet's mean and std."""
    known = tuple(KnownFile(*file) for file in files)
    return WeightSource(
        "torchvision", model, "torch", path, prepared, files=known, home=_HOME, **more
    )


def _densenet(depth: int, *file: Any) -> WeightSource:
    return _torchvision(f"densenet{depth}", names.densenet, file, renamed=numbered_as_today)


# Weights imported from TensorFlow: levels from -1 to 1 (`transform_input` there).
_TENSORFLOW = Preprocessing(224, 256, mean=_HALF, std=_HALF)

_TORCHVISION: dict[str, WeightSource] = {
    "alexnet_one_weird_trick": _torchvision(
        "alexnet", names.alexnet, ("alexnet-owt-7be5be79.pth", 43.478, 20.934)
    ),
    "vgg_a": _torchvision("vgg11", names.vgg(A), ("vgg11-8a719046.pth", 30.98, 11.372)),
    "vgg_b": _torchvision("vgg13", names.vgg(B), ("vgg13-19584684.pth", 30.072, 10.754)),
    "vgg_d": _torchvision("vgg16", names.vgg(D), ("vgg16-397923af.pth", 28.408, 9.618)),
    "vgg_e": _torchvision("vgg19", names.vgg(E), ("vgg19-dcbb9e9d.pth", 27.624, 9.124)),
    "googlenet_bn": _torchvision(
        *("googlenet", names.googlenet, ("googlenet-1378be20.pth", 30.222, 10.47)),
        prepared=_TENSORFLOW,
        left_out=("aux1.", "aux2."),
    ),
    "inception_v3": _torchvision(
        *("inception_v3", names.inception_v3),
        ("inception_v3_google-0cc3c7bd.pth", 22.706, 6.55),
        prepared=dataclasses.replace(_TENSORFLOW, crop=299, resize=342),
        left_out=("AuxLogits.",),
    ),
    "squeezenet_1_0": _torchvision(
        "squeezenet1_0", names.squeezenet_1_0, ("squeezenet1_0-b66bff10.pth", 41.908, 19.58)
    ),
    "squeezenet_1_1": _torchvision(
        "squeezenet1_1", names.squeezenet_1_1, ("squeezenet1_1-b8a52dc0.pth", 41.822, 19.376)
    ),
    "mobilenet_v2": _torchvision(
        *("mobilenet_v2", names.mobilenet_v2),
        ("mobilenet_v2-b0353104.pth", 28.122, 9.714),
        ("mobilenet_v2-7ebf99e0.pth", 27.846, 9.178, 232),
    ),
    "resnet18": _torchvision("resnet18", names.resnet, ("resnet18-f37072fd.pth", 30.242, 10.922)),
    "resnet34": _torchvision("resnet34", names.resnet, ("resnet34-b627a593.pth", 26.686, 8.58)),
    "resnet50": _torchvision(
        *("resnet50", names.resnet),
        ("resnet50-0676ba61.pth", 23.87, 7.138),
        ("resnet50-11ad3fa6.pth", 19.142, 4.566, 232),
    ),
    "resnet101": _torchvision(
        *("resnet101", names.resnet),
        ("resnet101-63fe2227.pth", 22.626, 6.454),
        ("resnet101-cd907fc2.pth", 18.114, 4.22, 232),
    ),
    "resnet152": _torchvision(
        *("resnet152", names.resnet),
        ("resnet152-394f9c45.pth", 21.688, 5.954),
        ("resnet152-f82ba261.pth", 17.716, 3.998, 232),
    ),
    "resnext50_32x4d": _torchvision(
        *("resnext50_32x4d", names.resnet),
        ("resnext50_32x4d-7cdf4587.pth", 22.382, 6.302),
        ("resnext50_32x4d-1a0047aa.pth", 18.802, 4.66, 232),
    ),
    "resnext101_64x4d": _torchvision(
        *("resnext101_64x4d", names.resnet, ("resnext101_64x4d-173b62eb.pth", 16.754, 3.546, 232))
    ),
    "shufflenet_v2_0_5": _torchvision(
        *("shufflenet_v2_x0_5", names.shufflenet_v2),
        ("shufflenetv2_x0.5-f707e7126e.pth", 39.448, 18.254),
    ),
    "shufflenet_v2_1_0": _torchvision(
        *("shufflenet_v2_x1_0", names.shufflenet_v2),
        ("shufflenetv2_x1-5666bf0f80.pth", 30.638, 11.684),
    ),
    "shufflenet_v2_1_5": _torchvision(
        *("shufflenet_v2_x1_5", names.shufflenet_v2),
        ("shufflenetv2_x1_5-3c479a10.pth", 27.004, 8.914, 232),
    ),
    "shufflenet_v2_2_0": _torchvision(
        *("shufflenet_v2_x2_0", names.shufflenet_v2),
        ("shufflenetv2_x2_0-8be3c8ee.pth", 23.77, 6.994, 232),
    ),
    "densenet121": _densenet(121, "densenet121-a639ec97.pth", 25.566, 8.028),
    "densenet161": _densenet(161, "densenet161-8d451a50.pth", 22.862, 6.44),
    "densenet169": _densenet(169, "densenet169-b2777c0a.pth", 24.4, 7.194),
    "densenet201": _densenet(201, "densenet201-c1103571.pth", 23.104, 6.63),
}


_ALL = (_TORCHVISION, _TIMM, _CAFFE, _KERAS, *_CIFAR)

WEIGHT_SOURCES = {
    name: tuple(sources[name] for sources in _ALL if name in sources)
    for name in dict.fromkeys(name for sources in _ALL for name in sources)
}
"""From a network of the zoo to the implementations whose weights it takes."""


def sources_of(network: str) -> tuple[WeightSource, ...]:
    """Whose weights the network takes; nothing where nobody publishes any.

    Example:
        >>> [source.title for source in sources_of("vgg_d")]
        ['torchvision vgg16', 'caffe VGG_ILSVRC_16_layers']
    """
    return WEIGHT_SOURCES.get(network, ())


def find_source(network: str, library: str) -> WeightSource:
    """The source of that library; a WeightsError where the network takes no weights of it."""
    for source in sources_of(network):
        if source.library == library:
            return source
    libraries = [source.library for source in sources_of(network)]
    raise WeightsError(f"{network} takes no weights of {library!r}: {nearest(library, libraries)}")


CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def class_names(data: str, classes: int) -> tuple[str, ...]:
    """The name of each class, in the order of the labels; `class 0`, ... where they are not known.

    `data` is what the weights were trained on, `imagenet` or `cifar10`; a network with another
    number of scores was trained on something else.

    Example:
        >>> class_names("cifar10", 10)[3]
        'cat'
        >>> class_names("imagenet", 1000)[0], class_names("imagenet", 3)
        ('tench, Tinca tinca', ('class 0', 'class 1', 'class 2'))
    """
    imagenets = tuple(imagenet().values()) if data == "imagenet" else ()
    known = CIFAR10 if data == "cifar10" else imagenets
    return known if len(known) == classes else tuple(f"class {each}" for each in range(classes))


@functools.cache
def imagenet() -> dict[str, str]:
    """The 1000 classes of ImageNet's challenge: synset of WordNet (`n01440764`) and lemmas."""
    text = resources.files("ablax.weights").joinpath("imagenet_classes.txt").read_text("utf-8")
    rows = (line.partition("\t") for line in text.splitlines() if not line.startswith("#"))
    return {synset: lemmas for synset, _, lemmas in rows}


@dataclass(frozen=True)
class Card:
    """What is known of a network, to be read: `print` shows it, and so does a notebook."""

    entry: Entry
    weights: tuple[WeightSource, ...]

    def rows(self) -> list[tuple[str, str]]:
        """A word, and what it says of the network."""
        entry = self.entry
        height, width, channels = entry.image_shape
        counted = entry.counted or "derived by hand"
        rows = [("image", f"{height}x{width}x{channels}")]
        if entry.parameters:
            rows.append(("parameters", f"{entry.parameters:,} ({counted})"))
            rows.append(("MACs", f"{entry.macs:,}"))
        if entry.errors:
            rows.append(("error, %", entry.error))
        rows += [("convention", each) for each in conventions(entry.build())]
        for source in self.weights:
            rows.append(("weights", source.title))
            rows += [("", file.told()) for file in source.files]
        return rows

    def __repr__(self) -> str:
        width = max(len(word) for word, _ in self.rows())
        return "\n".join([self.entry.name, *(f"{w:<{width}}  {said}" for w, said in self.rows())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(word)}</th><td>{escape(said)}</td></tr>" for word, said in self.rows()
        )
        return f"<table><caption>{escape(self.entry.name)}</caption>{rows}</table>"


def card(name: str) -> Card:
    """What is known of a network: images, counts, published errors, whose weights it takes.

    Example:
        >>> card("squeezenet_1_0")
        squeezenet_1_0
        image       224x224x3
        parameters  1,248,424 (torchvision 0.28)
        MACs        818,924,576
        error, %    42.5 / 19.7 (Iandola et al. 2016, table 3)
        convention  max pool rounds up
        weights     torchvision squeezenet1_0
                    squeezenet1_0-b66bff10.pth, error 41.908 / 19.58 %
    """
    return Card(find(name), sources_of(name))
