"""What the zoo knows of each network: image size, conventions, published errors."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from ablax.core import ImageShape, Layers, Network, inner_layers
from ablax.errors import AblaxError
from ablax.layers import AveragePool, BatchNormalization, LocalResponseNormalization, MaxPool

# ------------------------------------------------------------------------------------------
# What the catalog says of a network of the zoo.


@dataclass(frozen=True)
class Entry:
    """A network of the zoo or of another package, the images it was made for, and its counts.

    The counts are written here so that a list of all networks costs nothing; the tests count every
    network again, and hold the figures against the published ones or a derivation from the paper.

    Attributes:
        build: The zoo's function; its defaults are the paper's, and its argument `classes` says how
            many scores an image gets.
        image_size: Height and width in pixels; None where another package does not say it.
        parameters: Numbers it learns; running statistics are not among them. 0 where nobody wrote
            it down.
        macs: Multiply-accumulates of convolutions and dense layers for one image; padded taps
            count. 0 where nobody wrote it down.
        channels: 3 for color, 1 for gray.
        called: What finds it, where that is not the function's name.
    """

    build: Callable[..., Network]
    image_size: int | None
    parameters: int = 0
    macs: int = 0
    channels: int = 3
    called: str = ""

    @property
    def name(self) -> str:
        """The name of the zoo's function, or what finds it."""
        return self.called or self.build.__name__

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return self.shape()

    def shape(self, image_size: int | None = None) -> ImageShape:
        """(H, W, C) of the images, of another height and width where one is given.

        Raises:
            AblaxError: No size is given, and the network has none of its own.

        Example:
            >>> from ablax.zoo import find
            >>> find("lenet5").shape(), find("alexnet").shape(64)
            ((32, 32, 1), (64, 64, 3))
        """
        size = self.image_size if image_size is None else image_size
        if size is None:
            raise AblaxError(
                f"{self.name} does not say for which images it is: give --image-size 32, or write "
                "@network(image_size=32), of ablax.zoo, above its function"
            )
        return (size, size, self.channels)


_Build = TypeVar("_Build", bound=Callable[..., Network])


def network(image_size: int, channels: int = 3) -> Callable[[_Build], _Build]:
    """Says of a function of yours for which images its network is.

    The function's arguments all have defaults, and the first is `classes`, the scores of an image.
    `ablax table my_package:my_network` and the other commands then find it, `ablax.networks` among
    the entry points of your package gives it a name of one word.

    Args:
        image_size: Height and width in pixels.
        channels: 3 for color, 1 for gray.

    Example:
        >>> from ablax.zoo import lenet5
        >>> @network(image_size=28, channels=1)
        ... def small(classes: int = 10) -> Network:
        ...     return lenet5(classes, image_size=28)
        >>> entry_of("mine:small", small).image_shape
        (28, 28, 1)
    """

    def said(build: _Build) -> _Build:
        vars(build)[_SAID] = (image_size, channels)
        return build

    return said


_SAID = "ablax_images"


def entry_of(name: str, value: object) -> Entry:
    """The entry of a network of another package.

    Args:
        name: What finds it.
        value: A function that builds it, with or without `@network(...)`; or an entry.

    Raises:
        AblaxError: It is neither.
    """
    if isinstance(value, Entry):
        return dataclasses.replace(value, build=_told(name, value.build), called=name)
    if not callable(value) or isinstance(value, type):
        raise AblaxError(
            f"{name} is {value!r}: expected a function that returns a Network, such as "
            "ablax.zoo:lenet5"
        )
    size, channels = getattr(value, _SAID, (None, 3))
    return Entry(_told(name, value), size, channels=channels, called=name)


def _told(name: str, build: Callable[..., Any]) -> Callable[..., Network]:
    """The function, with errors that say which one fails."""

    @functools.wraps(build)
    def told(*arguments: Any, **named: Any) -> Network:
        try:
            built = build(*arguments, **named)
        except AblaxError:
            raise
        except Exception as error:
            raise AblaxError(f"{name} fails with {type(error).__name__}: {error}") from error
        if not isinstance(built, Network):
            raise AblaxError(
                f"{name} gives {type(built).__name__}: expected a Network, as ablax.zoo:lenet5 "
                "gives one"
            )
        return built

    return told


# ------------------------------------------------------------------------------------------
# The choices that papers leave open and libraries make differently, read off a network.


def conventions(network: Network) -> tuple[str, ...]:
    """What the network rounds, counts and adds, one remark a convention, each once.

    How a pool rounds the number of its windows; whether an average counts its padding; the epsilon
    of batch normalization; what multiplies the sum of squares in local response normalization, as
    here, and as PyTorch and Caffe write it, who divide by the number of channels first.

    Args:
        network: Any network.

    Example:
        >>> from ablax.zoo import alexnet
        >>> conventions(alexnet())
        ('LRN alpha 0.0001 on the sum (0.0005 on the mean), k 2.0', 'max pool rounds down')
    """
    return tuple(sorted(set(_found(network.layers))))


def _found(layers: Layers) -> Iterator[str]:
    for _, layer in layers.items():
        yield from _remarks(layer)
        for inner in inner_layers(layer).values():
            yield from _found(inner)


def _remarks(layer: object) -> Iterator[str]:
    if isinstance(layer, MaxPool):
        yield f"max pool rounds {'up' if layer.ceil_mode else 'down'}"
    elif isinstance(layer, AveragePool):
        yield f"average pool rounds {'up' if layer.ceil_mode else 'down'}"
        if layer.padding not in ("VALID", 0):
            counts = "counts" if layer.count_include_pad else "leaves out"
            yield f"average pool {counts} its padding"
    elif isinstance(layer, BatchNormalization):
        yield f"batch-norm epsilon {layer.epsilon:g}"
    elif isinstance(layer, LocalResponseNormalization):
        mean = layer.alpha * layer.size
        yield f"LRN alpha {layer.alpha:.3g} on the sum ({mean:.3g} on the mean), k {layer.k}"


# ------------------------------------------------------------------------------------------
# What others report of the networks: counts of independent definitions, errors of the papers.
#
# A count is the number of parameters (the scale and bias of batch normalization among them, running
# statistics not) and of multiply-accumulates of convolutions and dense layers for one image at the
# catalog's size, padded taps counted, of the named library's definition. An error is in percent, of
# ImageNet's validation images or CIFAR-10's test images, as the source reports it for one network
# and one view of the image unless it says otherwise; ours are not among them.
#
# Networks of which nobody publishes an exact count are derived by hand from their papers' tables in
# `tests/zoo/derivations`.


@dataclass(frozen=True)
class Published:
    """Figures of others for one network; None where nobody gives one.

    Attributes:
        parameters: Numbers learned.
        macs: Multiply-accumulates for one image.
        counted: Whose definition the counts were made from.
        top1: Top-1 error in percent; for the networks of CIFAR-10 the error.
        top5: Top-5 error in percent.
        error_source: Who reports the error, and of which views of an image.
    """

    parameters: int | None = None
    macs: int | None = None
    counted: str = ""
    top1: float | None = None
    top5: float | None = None
    error_source: str = ""


_BY_HAND = "by hand from the paper's table"
_VISION = "torchvision 0.28"
_TIMM = "timm 1.0.31"
_CROPS = "Krizhevsky et al. 2012, table 2, ten views"
_LECTURE = "the lecture's table (L0), after He et al. 2015, table 4"
_HU = "the authors' repository of Hu et al. 2017, centre crop"
_HUANG = "the authors' repository of Huang et al. 2016, one crop"
_HUANG_CIFAR = "Huang et al. 2016, table 2, flips and crops"
_CHEN = "the authors' repository of Chen et al. 2017, one crop"
_HE_CIFAR = "He et al. 2015, table 6"
_HE_2016 = "He et al. 2016, tables 2 to 4, median of five runs"

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "lenet5": Published(61_706, None, _BY_HAND),
        "alexnet": Published(60_965_224, None, _BY_HAND, 40.7, 18.2, _CROPS),
        "alexnet_ungrouped": Published(62_378_344, None, _BY_HAND),
        "alexnet_one_weird_trick": Published(61_100_840, 714_188_480, _VISION),
        "caffenet": Published(
            60_965_224, None, _BY_HAND, 42.6, 19.6, "Caffe's model zoo, centre crop"
        ),
        "vgg_a": Published(132_863_336, 7_609_090_048, _VISION),
        "vgg_a_lrn": Published(132_863_336, 7_609_090_048, _VISION),
        "vgg_b": Published(133_047_848, 11_308_466_176, _VISION),
        "vgg_c": Published(133_638_952, None, _BY_HAND),
        "vgg_d": Published(138_357_544, 15_470_264_320, _VISION),
        "vgg_e": Published(143_667_240, 19_632_062_464, _VISION),
        "googlenet": Published(6_998_552, 1_582_671_872, _BY_HAND),
        "googlenet_bn": Published(6_624_904, 1_498_376_192, _VISION),
        "inception_v3": Published(23_834_568, 5_713_216_096, _VISION),
        "inception_v4": Published(42_679_816, 12_253_974_624, _TIMM),
        "inception_resnet_v2": Published(55_843_464, 13_155_794_016, _TIMM),
        "squeezenet_1_0": Published(
            1_248_424, 818_924_576, _VISION, 42.5, 19.7, "Iandola et al. 2016, table 3"
        ),
        "squeezenet_1_1": Published(1_235_496, 349_151_936, _VISION),
        "mobilenet_v1": Published(
            4_231_976, 568_740_352, _TIMM, 29.4, None, "Howard et al. 2017, table 8"
        ),
        "mobilenet_v2": Published(3_504_872, 300_774_272, _VISION),
        "resnet18": Published(11_689_512, 1_814_073_344, _VISION),
        "resnet34": Published(21_797_672, 3_663_761_408, _VISION, 21.84, 5.71, _LECTURE),
        "resnet50": Published(25_557_032, 4_089_184_256, _VISION),
        "resnet50_v1": Published(25_557_032, None, _BY_HAND, 20.74, 5.25, _LECTURE),
        "resnet101": Published(44_549_160, 7_801_405_440, _VISION),
        "resnet101_v1": Published(44_549_160, None, _BY_HAND, 19.87, 4.60, _LECTURE),
        "resnet152": Published(60_192_808, 11_513_626_624, _VISION),
        "resnet152_v1": Published(60_192_808, None, _BY_HAND, 19.38, 4.49, _LECTURE),
        "resnet50_preactivation": Published(25_549_352, 4_089_184_256, _TIMM),
        "resnet101_preactivation": Published(44_541_480, 7_801_405_440, _TIMM),
        "resnext50_32x4d": Published(
            25_028_904, 4_230_479_872, _VISION, 22.2, None, "Xie et al. 2016, table 3"
        ),
        "resnext101_64x4d": Published(
            83_455_272, 15_460_270_080, _VISION, 20.4, None, "Xie et al. 2016, table 4"
        ),
        "xception": Published(22_855_952, 8_357_403_496, _TIMM, 21.0, 5.5, "Chollet 2016, table 1"),
        "se_resnet50": Published(28_088_024, 3_860_488_192, _TIMM, 22.4, 6.4, _HU),
        "se_resnet101": Published(49_326_872, 7_574_937_600, _TIMM, 21.75, None, _HU),
        "se_resnet152": Published(66_821_848, 11_288_993_792, _TIMM, 21.34, None, _HU),
        "se_resnext50_32x4d": Published(27_559_896, 4_232_994_816, _TIMM, 21.0, 5.5, _HU),
        "senet154": Published(115_088_984, 20_688_363_520, _TIMM, 18.7, 4.5, _HU),
        "densenet121": Published(7_978_856, 2_834_161_664, _VISION, 25.0, None, _HUANG),
        "densenet169": Published(14_149_480, 3_359_843_328, _VISION, 23.6, None, _HUANG),
        "densenet201": Published(20_013_928, 4_291_365_888, _VISION, 22.5, None, _HUANG),
        "densenet161": Published(28_681_000, 7_727_907_072, _VISION, 22.2, None, _HUANG),
        "densenet264": Published(33_337_704, None, _BY_HAND),
        "dpn68": Published(12_611_602, 2_326_163_456, _TIMM, 23.57, None, _CHEN),
        "dpn92": Published(37_668_392, 6_501_684_224, _TIMM, 20.73, None, _CHEN),
        "dpn98": Published(61_570_728, 11_671_217_152, _TIMM, 20.15, None, _CHEN),
        "dpn131": Published(79_254_504, 16_013_648_896, _TIMM, 19.93, None, _CHEN),
        "shufflenet_v2_0_5": Published(1_366_792, 40_476_448, _VISION),
        "shufflenet_v2_1_0": Published(2_278_604, 144_907_992, _VISION),
        "shufflenet_v2_1_5": Published(3_503_624, 295_759_392, _VISION),
        "shufflenet_v2_2_0": Published(7_393_996, 583_253_464, _VISION),
        "resnet20": Published(269_722, None, _BY_HAND, 8.75, None, _HE_CIFAR),
        "resnet32": Published(464_154, None, _BY_HAND, 7.51, None, _HE_CIFAR),
        "resnet44": Published(658_586, None, _BY_HAND, 7.17, None, _HE_CIFAR),
        "resnet56": Published(853_018, None, _BY_HAND, 6.97, None, _HE_CIFAR),
        "resnet110": Published(None, None, "", 6.43, None, _HE_CIFAR + ", best of five"),
        "resnet1202": Published(None, None, "", 7.93, None, _HE_CIFAR),
        "preactivation110": Published(None, None, "", 6.37, None, _HE_2016),
        "preactivation164": Published(None, None, "", 5.46, None, _HE_2016),
        "preactivation1001": Published(None, None, "", 4.62, None, _HE_2016 + ", batches of 64"),
        "densenet40_12": Published(None, None, "", 5.24, None, _HUANG_CIFAR),
        "densenet_bc_100_12": Published(None, None, "", 4.51, None, _HUANG_CIFAR),
        "densenet_bc_250_24": Published(None, None, "", 3.62, None, _HUANG_CIFAR),
        "densenet_bc_190_40": Published(None, None, "", 3.46, None, _HUANG_CIFAR),
        "resnext29_8x64d": Published(None, None, "", 3.65, None, "Xie et al. 2016, table 7"),
    }
)
