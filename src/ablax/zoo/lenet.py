"""LeNet-5, the network that read checks: a common short form, and the paper's with its codes.

LeCun, Bottou, Bengio, Haffner (1998): Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86, section II.B, figure 2 and table I.

Windows always fit, so no pooling rounds; averages have no padding. Images of other than 32 or 28
pixels are refused.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, Convolution, Dense, Flatten, Parallel, Tanh
from ablax.layers.activation import ScaledTanh
from ablax.layers.dense import Bias, Scale
from ablax.layers.heads import Codes, CodeScores
from ablax.layers.initializers import LECUN_NORMAL
from ablax.layers.shape import SelectChannels
from ablax.zoo.register import BY_HAND, network


@network(32, 61_706, 416_520, channels=1, counted=BY_HAND)
def lenet5(classes: int = 10, image_size: int = 32) -> Network:
    """LeNet-5 for images of 32 pixels, or of 28, MNIST's size, padded to them as in the paper.

    Differences from the paper: C3 reads all six maps of S2 (its table I connects some), S2 and S4
    are plain averages (the paper learns a gain and a bias for each map), tanh instead of
    1.7159 tanh(2x/3), and a dense output layer instead of distances to 84-bit codes.
    `lenet5_codes` has none of them.
    """
    return Network(
        tail=Layers(c1=_convolution(6, _padding(image_size)), s2=AveragePool(2, 2)),
        body=Layers(c3=_convolution(16), s4=AveragePool(2, 2), c5=_convolution(120)),
        head=Layers(
            vectorize=Flatten(),
            f6=sequential(dense=Dense(84, kernel_init=LECUN_NORMAL), tanh=Tanh()),
            output=Dense(classes, kernel_init=LECUN_NORMAL),
        ),
    )


@network(32, 60_000, 325_680, channels=1)
def lenet5_codes(classes: int = 10, image_size: int = 32) -> Network:
    """LeNet-5 as in the paper, with its partial connections and its code of 84 bits a class.

    It has as many parameters as the paper says; the 840 differences of the output layer are no
    products of a dense layer and are not among the multiply-accumulates. C1, S2, C3, S4, C5 and F6
    each end in 1.7159 tanh(2x/3).

    Differences from the paper: the digits of the codes are our own (`DIGITS`), S2 and S4 scale the
    mean of four elements instead of their sum (the gain is four times as large), weights are
    initialized as in LeCun et al. (1998), Efficient BackProp, instead of uniformly within 2.4 /
    fan-in, and the loss is left to the training: with the usual cross-entropy it is the paper's of
    section II.C without its rubbish class.
    """
    return Network(
        tail=Layers(c1=_squashed(conv=_linear(6, _padding(image_size))), s2=_subsampling()),
        body=Layers(
            c3=_squashed(maps=_partly_connected()),
            s4=_subsampling(),
            c5=_squashed(conv=_linear(120)),
        ),
        head=code_head(classes),
    )


def code_head(classes: int = 10) -> Layers:
    """84 units, and for each class minus the squared distance to its code, a digit of 7x12 pixels.

    The codes are constants. 84 (P + 1) parameters for P features in front, 10,164 for LeNet-5's
    120. Where errors between similar classes cost less, similar codes say so; for other classes put
    `CodeScores` with codes of your own in place of `output`.

    Raises:
        AblaxError: More classes than there are codes, 10.

    Example:
        >>> from ablax.core import count_parameters, with_head
        >>> count_parameters(with_head(code_head())(lenet5()), (32, 32, 1))
        60856
    """
    drawn = DIGITS.rows
    if not 1 <= classes <= len(drawn):
        raise AblaxError(
            f"codes for {classes} classes were asked for, and there are {len(drawn)}: end the "
            "head in CodeScores with codes of your own"
        )
    return Layers(
        vectorize=Flatten(),
        f6=_squashed(dense=Dense(84, kernel_init=LECUN_NORMAL)),
        output=CodeScores(Codes(drawn[:classes])),
    )


_BITMAPS = """
.#####. ...#... .#####. .#####. ....##.
##...## ..##... ##...## ##...## ...###.
#.....# .###... #.....# #.....# ..##.#.
#.....# #..#... ......# ......# .##..#.
#.....# ...#... .....## .....## ##...#.
#.....# ...#... ....##. ..####. #....#.
#.....# ...#... ...##.. .....## #######
#.....# ...#... ..##... ......# .....#.
#.....# ...#... .##.... ......# .....#.
#.....# ...#... ##..... #.....# .....#.
##...## ...#... #...... ##...## .....#.
.#####. ####### ####### .#####. .....#.

####### ..####. ####### .#####. .#####.
#...... .##...# ......# ##...## ##...##
#...... ##..... .....## #.....# #.....#
#...... #...... .....#. #.....# #.....#
#.####. #...... ....##. ##...## ##...##
##...## #.####. ....#.. .#####. .######
......# ##...## ...##.. ##...## ......#
......# #.....# ...#... #.....# ......#
......# #.....# ..##... #.....# ......#
#.....# #.....# ..#.... #.....# .....##
##...## ##...## .##.... ##...## #...##.
.#####. .#####. .#..... .#####. .####..
"""
_ROWS = [line.split() for line in _BITMAPS.split("\n") if line]

DIGITS = Codes(
    tuple(
        tuple(
            1.0 if pixel == "#" else -1.0 for row in _ROWS[band : band + 12] for pixel in row[digit]
        )
        for band in (0, 12)
        for digit in range(5)
    )
)
"""The codes of the digits 0 to 9, row by row, +1 where there is ink and -1 elsewhere: stylized
bitmaps of 7x12 pixels, drawn for this project after the idea of the paper's figure 3, whose own are
a whole alphabet and are not copied here."""


def _partly_connected() -> Parallel:
    """Table I: which maps of S2 each of the 16 maps of C3 sees; 60 connections of 96.

    Six see three neighbors in a ring, six see four neighbors, three see two pairs apart, one sees
    all. Selecting the maps and convolving in groups gives weights to these connections alone.
    """
    return Parallel(
        Layers(
            three=_grouped(*((i, i + 1, i + 2) for i in range(6))),
            four=_grouped(*((i, i + 1, i + 2, i + 3) for i in range(6))),
            pairs=_grouped(*((i, i + 1, i + 3, i + 4) for i in range(3))),
            all=_linear(1),
        )
    )


def _grouped(*seen: tuple[int, ...]) -> Sequential:
    """One map for each selection of S2's six, which are a ring."""
    channels = tuple(channel % 6 for selection in seen for channel in selection)
    return sequential(select=SelectChannels(channels), conv=_linear(len(seen), groups=len(seen)))


def _subsampling() -> Sequential:
    """The mean of 2x2 elements, times a gain, plus a bias, squashed: two parameters per map."""
    return _squashed(average=AveragePool(2, 2), scale=Scale(), offset=Bias())


def _squashed(**layers: Convolution | Dense | AveragePool | Scale | Bias | Parallel) -> Sequential:
    return Sequential(Layers(layers) + Layers(tanh=ScaledTanh()))


def _convolution(features: int, padding: int = 0) -> Sequential:
    return sequential(conv=_linear(features, padding), tanh=Tanh())


def _linear(features: int, padding: int = 0, groups: int = 1) -> Convolution:
    return Convolution(features, 5, padding=padding, groups=groups, kernel_init=LECUN_NORMAL)


def _padding(image_size: int) -> int:
    """What makes 32 pixels of the image."""
    if image_size not in (28, 32):
        raise AblaxError(
            f"LeNet-5 takes images of 32 pixels, or 28 padded to 32, and {image_size} were given: "
            "resize them (--data.image-size 32)"
        )
    return (32 - image_size) // 2
