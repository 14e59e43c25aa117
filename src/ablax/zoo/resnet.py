"""Residual networks, of both papers: blocks that learn what to add to their input.

He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
section 3 and table 1; for CIFAR-10 section 4.2 and table 6.

| stage | maps | 18 | 34 | 50 | 101 | 152 |
|---|---|---|---|---|---|---|
| `conv1` | 112 | 7x7, 64, stride 2 in all | | | | |
| `pool1` | 56 | 3x3 max, stride 2 in all | | | | |
| `res2a`.. | 56 | 2 basic, 64 | 3 | 3 bottlenecks, 256 | 3 | 3 |
| `res3a`.. | 28 | 2 basic, 128 | 4 | 4 bottlenecks, 512 | 4 | 8 |
| `res4a`.. | 14 | 2 basic, 256 | 6 | 6 bottlenecks, 1024 | 23 | 36 |
| `res5a`.. | 7 | 2 basic, 512 | 3 | 3 bottlenecks, 2048 | 3 | 3 |
| `average`, `classifier` | 1 | global average, 1000 scores in all | | | | |

He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027, sections
3 and 4: other orders, "pre-activation" among them, and other shortcuts.

Conventions: the max pool is padded by 1 and rounds down, as in torchvision (the authors' Caffe file
does not pad and rounds up); the global average has no padding; batch-norm epsilon 1e-5, every scale
is initialized with 1, as in the paper (some later recipes initialize the last of a block with 0);
kernels as in He et al. 2015, Delving deep. Convolutions have no bias; the 50-layer Caffe file has
one in the first.

`resnet50` and deeper have their stride in the 3x3 of a block, "v1.5", as torchvision has and most
published weights need. The paper has it in the first 1x1: `resnet50_v1`, as many parameters, fewer
multiply-accumulates. Errors that the paper prints are of `_v1`.

The shortcut is an argument, one of `option_a`, `option_b` (the default: so all networks of the
paper's table 4 deeper than 34 layers, and torchvision's) and `option_c`, or a function of one's own
from channels, features and stride to `Layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

from jax.nn.initializers import constant

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, Dropout, ReLU, Scale, Sigmoid
from ablax.layers.blocks import Gate, Highway, PadChannels, Residual, Subsample, without_shortcuts
from ablax.layers.normalization import normalized, preactivated
from ablax.zoo import heads, tails
from ablax.zoo.register import BY_HAND, TIMM, TORCHVISION, network, row

# A network chooses the *weight layers* of a block (section 3.3 and figure 5 of the first paper),
# the *shortcut* round them (section 4.1), and the *order* of weight layers, normalizations and
# ReLUs, such as `original`, which makes a block of the first two.

WeightLayers = Callable[[int, int], tuple[tuple[int, ...], ...]]
"""From a block's features and stride to features, window, stride and groups of convolutions."""

Shortcut = Callable[[int, int, int], Layers]
"""From a block's channels, features and stride to the layers on the way round."""

Block = Callable[[int, int, int], Residual | Highway]
"""From channels, features and stride to a block."""


def basic(features: int, stride: int) -> tuple[tuple[int, ...], ...]:
    """3x3, 3x3 (figure 5, left)."""
    return ((features, 3, stride), (features, 3, 1))


def bottleneck(features: int, stride: int) -> tuple[tuple[int, ...], ...]:
    """1x1 to a quarter of the features, 3x3 with the stride, 1x1 back: "v1.5", torchvision's."""
    return ((features // 4, 1, 1), (features // 4, 3, stride), (features, 1, 1))


def bottleneck_v1(features: int, stride: int) -> tuple[tuple[int, ...], ...]:
    """1x1 with the stride, 3x3, 1x1 (figure 5, right): the paper's, and its Caffe files'."""
    return ((features // 4, 1, stride), (features // 4, 3, 1), (features, 1, 1))


def option_a(channels: int, features: int, stride: int) -> Layers:
    """The identity; where the shape changes every second pixel, then channels of zeros."""
    layers = Layers()
    if stride != 1:
        layers = layers + Layers(subsample=Subsample(stride))
    if channels != features:
        layers = layers + Layers(pad=PadChannels(features))
    return layers


def option_b(channels: int, features: int, stride: int) -> Layers:
    """The identity; where the shape changes a projection, 1x1 with batch normalization."""
    if (channels, stride) == (features, 1):
        return Layers()
    return option_c(channels, features, stride)


def option_c(channels: int, features: int, stride: int) -> Layers:
    """A projection round every block, 1x1 with batch normalization."""
    del channels  # a convolution counts them itself
    return Layers(projection=normalized(features, 1, stride))


def convolution(features: int, window: int, stride: int = 1, groups: int = 1) -> Sequential:
    """A convolution without bias, batch normalization, ReLU."""
    return normalized(features, window, stride, groups, relu=ReLU())


def weights(features: int, window: int, stride: int = 1) -> Convolution:
    """A convolution without bias, padded by half its window on each side."""
    return Convolution(features, window, stride, padding=window // 2, use_bias=False)


def stages(counts: tuple[int, ...], features: int, block: Block, channels: int) -> Layers:
    """`res2a`, `res2b`, ...: a stage behind the first halves rows and columns, doubles features."""
    body = {}
    for stage, count in enumerate(counts):
        for name in block_names(stage + 2, count):
            width = features * 2**stage
            stride = 2 if stage and channels != width else 1
            body[name] = block(channels, width, stride)
            channels = width
    return Layers(body)


def block_names(stage: int, count: int) -> Iterator[str]:
    """The authors' names: `res2a`, `res2b`, ...; of more than six blocks `res4a`, `res4b1`, ...

    Stages are numbered from 2.

    Example:
        >>> list(block_names(2, 3)), list(block_names(4, 23))[-1]
        (['res2a', 'res2b', 'res2c'], 'res4b22')
    """
    for number in range(count):
        name = f"b{number}" if number and count > 6 else "abcdef"[number]
        yield f"res{stage}{name}"


# The five orders of weight layers (W), batch normalizations (BN) and ReLUs in a residual block
# (section 4, figure 4 and table 2 of the second paper).
#
# | figure | order | residual | behind the sum | 110 layers | 164 layers |
# |---|---|---|---|---|---|
# | 4(a) | `original` | W BN ReLU W BN | ReLU | 6.61 | 5.93 |
# | 4(b) | `bn_after_addition` | W BN ReLU W | BN ReLU | 8.17 | 6.50 |
# | 4(c) | `relu_before_addition` | W BN ReLU W BN ReLU | | 7.84 | 6.14 |
# | 4(d) | `relu_preactivation` | ReLU W BN ReLU W BN | | 6.71 | 5.91 |
# | 4(e) | `full_preactivation` | BN ReLU W BN ReLU W | | 6.37 | 5.46 |
#
# The two columns on the right are the paper's: error in percent on CIFAR-10, median of five runs.
#
# Every weight layer has the same path in all five (`res2a/conv1/conv`), so networks that differ in
# the order alone have bit-equal initial kernels.


def original(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(a): normalized weight layers, and a ReLU behind each and behind the sum."""
    return _in_order(weight_layers, shortcut, convolution, normalized, Layers(relu=ReLU()))


def bn_after_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(b): the last normalization stands behind the sum, in everybody's way."""
    after = Layers(bn=BatchNormalization(), relu=ReLU())
    return _in_order(weight_layers, shortcut, convolution, _bare, after)


def relu_before_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(c): the last ReLU stands in front of the sum, so a residual is never negative."""
    return _in_order(weight_layers, shortcut, convolution, convolution, Layers())


def relu_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(d): a ReLU in front of each weight layer, normalization behind.

    Blocks that change the shape apply their first ReLU in front of the fork (`share_activation`).
    """

    def behind(features: int, window: int, stride: int) -> Sequential:
        return sequential(
            relu=ReLU(), conv=weights(features, window, stride), bn=BatchNormalization()
        )

    return _preactivated(weight_layers, shortcut, sequential(relu=ReLU()), normalized, behind)


def full_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(e): normalization and ReLU in front of each weight layer, nothing behind the sum.

    Blocks that change the shape activate in front of the fork, as in the authors' code
    (`share_activation`).
    """
    activation = sequential(bn=BatchNormalization(), relu=ReLU())
    return _preactivated(weight_layers, shortcut, activation, _bare, preactivated)


def share_activation(block: Residual) -> Residual:
    """The block with its `preactivation` in front of the fork, so that the shortcut sees it too."""
    residual = dict(block.residual.items())
    shared = Layers(preactivation=residual.pop("preactivation"))
    return block.copy(before=shared, residual=Layers(residual))


def activate_ends(network: Network) -> Network:
    """The pre-activated network with the first and the last activation where the authors have them.

    The first block activates in front of its fork, right behind the first convolution; the sum of
    the last block is activated once more, as `activation`, in front of the head (appendix).
    """
    (first, block), *others = network.body.items()
    assert isinstance(block, Residual)
    if "preactivation" in block.residual:
        block = share_activation(block)
    activation = Layers(activation=block.before["preactivation"])
    return network.copy(body=Layers({first: block, **dict(others)}) + activation)


_Made = Callable[..., Sequential]
"""From what `WeightLayers` say of a convolution to it, with what belongs to it."""


def _in_order(
    weight_layers: WeightLayers, shortcut: Shortcut, inner: _Made, last: _Made, after: Layers
) -> Block:
    def block(channels: int, features: int, stride: int) -> Residual:
        *others, end = weight_layers(features, stride)
        residual = _numbered([*(inner(*each) for each in others), last(*end)])
        return Residual(residual, shortcut(channels, features, stride), after=after)

    return block


def _preactivated(
    weight_layers: WeightLayers,
    shortcut: Shortcut,
    activation: Sequential,
    first: _Made,
    behind: _Made,
) -> Block:
    def block(channels: int, features: int, stride: int) -> Residual:
        begin, *others = weight_layers(features, stride)
        made = Residual(
            Layers(preactivation=activation)
            + _numbered([first(*begin), *(behind(*each) for each in others)]),
            shortcut(channels, features, stride),
        )
        return share_activation(made) if (channels, stride) != (features, 1) else made

    return block


def _bare(features: int, window: int, stride: int) -> Sequential:
    return sequential(conv=weights(features, window, stride))


def _numbered(layers: list[Sequential]) -> Layers:
    """`conv1`, `conv2`, ..."""
    return Layers({f"conv{number}": layer for number, layer in enumerate(layers, 1)})


# The networks of table 1, for images of 224 pixels.

_LECTURE = "the lecture's table (L0), after He et al. 2015, table 4"


def resnet(
    counts: tuple[int, ...], block: Block, features: int, classes: int = 1000, channels: int = 64
) -> Network:
    """A residual network with the tail and the head of table 1."""
    return Network(
        tail=tails.resnet(channels),
        body=stages(counts, features, block, channels),
        head=heads.global_average_pool(classes),
    )


def _table_1(
    counts: tuple[int, ...],
    layers: WeightLayers,
    classes: int = 1000,
    shortcut: Shortcut = option_b,
) -> Network:
    return resnet(counts, original(layers, shortcut), 64 if layers is basic else 256, classes)


_SMALL, _MIDDLE, _LARGE = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
_of_vision = partial(row, _table_1, 224, source=_LECTURE, counted=TORCHVISION)
_by_hand = partial(_of_vision, counted=BY_HAND)

resnet18 = _of_vision(((2, 2, 2, 2), basic), 11_689_512, 1_814_073_344)
resnet34 = _of_vision((_SMALL, basic), 21_797_672, 3_663_761_408, (21.84, 5.71))


@network(224, 21_623_848, 3_644_493_824)
def resnet34_a(classes: int = 1000) -> Network:
    """ResNet-34 with identities alone, option A: as many parameters as the plain network."""
    return resnet34(classes, option_a)


@network(224, 22_716_840, 3_830_747_136)
def resnet34_c(classes: int = 1000) -> Network:
    """ResNet-34 with projections round every block, option C."""
    return resnet34(classes, option_c)


@network(224, 11_515_688, 1_794_805_760)
def plain18(classes: int = 1000) -> Network:
    """ResNet-18 without its shortcuts."""
    return without_shortcuts(resnet18(classes))


@network(224, 21_623_848, 3_644_493_824)
def plain34(classes: int = 1000) -> Network:
    """ResNet-34 without its shortcuts (figure 3, middle).

    It trains worse than the plain one of 18 layers (section 4.1 and table 2).
    """
    return without_shortcuts(resnet34(classes))


resnet50 = _of_vision((_SMALL, bottleneck), 25_557_032, 4_089_184_256)
resnet101 = _of_vision((_MIDDLE, bottleneck), 44_549_160, 7_801_405_440)
resnet152 = _of_vision((_LARGE, bottleneck), 60_192_808, 11_513_626_624)
resnet50_v1 = _by_hand((_SMALL, bottleneck_v1), 25_557_032, 3_857_973_248, (20.74, 5.25))
resnet101_v1 = _by_hand((_MIDDLE, bottleneck_v1), 44_549_160, 7_570_194_432, (19.87, 4.60))
resnet152_v1 = _by_hand((_LARGE, bottleneck_v1), 60_192_808, 11_282_415_616, (19.38, 4.49))


# Residual and plain networks for CIFAR-10: 6n + 2 layers, three stages of n blocks (section 4.2 and
# table 6). Images of 32 pixels.
#
# | stage | maps | features | weight layers |
# |---|---|---|---|
# | `conv1` | 32 | 16 | 1 |
# | `res2a`.. | 32 | 16 | 2n |
# | `res3a`.. | 16 | 32 | 2n |
# | `res4a`.. | 8 | 64 | 2n |
# | `average`, `classifier` | 1 | | 1 |
#
# All shortcuts are identities (option A), so the plain network of the same depth has the same
# parameters, and each of them has the same initial value.
#
# Conventions: no pooling but the global average; where maps halve, the identity keeps the pixels of
# even row and column, counted from 0, and adds channels of zeros behind the others. Errors are the
# paper's, on CIFAR-10 with flips and crops; its plain networks have curves only. It could not train
# the plain one of 110 layers well, and warms up `resnet110` at a rate of 0.01 until the training
# error is below 80 %. `resnet1202` has 600 blocks: `fold(Residual)` turns them into loops, which
# compile fast.
#
# `resnet164` is the second paper's baseline, of bottlenecks with the stride in the first 1x1 and
# projections where the shape changes, as in the authors' pre-activated code; so are
# `preactivation164` and `preactivation1001` below.

BASIC: Block = original(basic, option_a)
"""The first paper's block for CIFAR."""

BOTTLENECK: Block = original(bottleneck_v1, option_b)
"""The first paper's bottleneck, with projections where the shape changes."""

_TABLE_6 = "He et al. 2015, table 6"
_PAPER_2 = "He et al. 2016, tables 2 to 4, median of five runs"


def resnet_cifar(
    depth: int, classes: int = 10, block: Block = BASIC, features: int = 16
) -> Network:
    """A residual network of 6n + 2 layers for small images.

    Example:
        >>> list(resnet_cifar(14).body)
        ['res2a', 'res2b', 'res3a', 'res3b', 'res4a', 'res4b']
    """
    return _cifar(blocks_of(depth, 2), classes, block, features, features)


def resnet_cifar_bottleneck(
    depth: int, classes: int = 10, block: Block = BOTTLENECK, features: int = 16
) -> Network:
    """A residual network of 9n + 2 layers for small images, of bottlenecks.

    `conv1` has as many features as are given, the first stage four times as many.
    """
    return _cifar(blocks_of(depth, 3), classes, block, 4 * features, features)


def _cifar(blocks: int, classes: int, block: Block, features: int, channels: int) -> Network:
    return Network(
        tail=tails.cifar(channels),
        body=stages((blocks,) * 3, features, block, channels),
        head=heads.global_average_pool(classes),
    )


def plain_cifar(depth: int, classes: int = 10, features: int = 16) -> Network:
    """`resnet_cifar` without its shortcuts; both have bit-equal initial weights."""
    return without_shortcuts(resnet_cifar(depth, classes, features=features))


def blocks_of(depth: int, weight_layers: int, others: int = 2) -> int:
    """The n of a network of three stages of n blocks, of so many weight layers, and other layers.

    Raises:
        AblaxError: There is none; the message names the nearest depths.
    """
    step = 3 * weight_layers
    blocks, left = divmod(depth - others, step)
    if blocks < 1 or left:
        below = max(blocks, 1) * step + others
        choices = f"{below}" if blocks < 1 else f"{below} or {below + step}"
        raise AblaxError(
            f"depth={depth}: three stages of blocks of {weight_layers} layer"
            f"{'s' * (weight_layers > 1)} have {step}n + {others}; use {choices}"
        )
    return blocks


_plain = partial(row, plain_cifar, 32)
_residual = partial(row, resnet_cifar, 32, source=_TABLE_6)

resnet20 = _residual((20,), 269_722, 40_551_040, (8.75,), counted=BY_HAND)
resnet32 = _residual((32,), 464_154, 68_862_592, (7.51,), counted=BY_HAND)
resnet44 = _residual((44,), 658_586, 97_174_144, (7.17,), counted=BY_HAND)
resnet56 = _residual((56,), 853_018, 125_485_696, (6.97,), counted=BY_HAND)
resnet110 = _residual((110,), 1_727_962, 252_887_680, (6.43,), source=_TABLE_6 + ", best of five")
resnet1202 = _residual((1202,), 19_421_274, 2_829_238_912, (7.93,))
plain20 = _plain((20,), 269_722, 40_551_040)
plain32 = _plain((32,), 464_154, 68_862_592)
plain44 = _plain((44,), 658_586, 97_174_144)
plain56 = _plain((56,), 853_018, 125_485_696)
plain110 = _plain((110,), 1_727_962, 252_887_680)
resnet164 = row(resnet_cifar_bottleneck, 32, (164,), 1_704_154, 244_500_992)


# Pre-activated residual networks, whose shortcuts nothing interrupts (section 4, tables 2 to 5 of
# the second paper). Authors' code: KaimingHe/resnet-1k-layers.
#
# A block adds W ReLU(BN(...)) to its input and does nothing to the sum. The first block activates
# in front of its fork, right behind the first convolution, and the last sum is activated once more
# (the paper's appendix); so do blocks that change the shape, whose projection has no normalization
# of its own (the authors' code). Networks of 6n + 2 layers have option A, which the paper does not
# say: they have the layers of a `resnet_cifar` in another order, and as many parameters.
#
# Conventions, ImageNet: as timm's `resnetv2_50`, the stride is in the 3x3 and `conv1` has no
# normalization. The paper does not say where its stride is; the authors' code, for CIFAR, has it in
# the first 1x1, and so have the networks for CIFAR here.
#
# The paper's errors on ImageNet are of one crop of 320 pixels, its networks trained on 224.
# `preactivation1001` has a test error of 4.92 % with batches of 128. The paper prints 10.2 M
# parameters for it, which is what remains without batch normalization (10,178,490).


def preactivation(
    counts: tuple[int, ...], classes: int = 1000, features: int = 256, channels: int = 64
) -> Network:
    """A pre-activated network of bottlenecks for ImageNet."""
    block = full_preactivation(bottleneck, bare_projection)
    return _bare_start(resnet(counts, block, features, classes, channels))


def preactivation_cifar(depth: int, classes: int = 10, features: int = 16) -> Network:
    """A pre-activated network of 6n + 2 layers for small images, two 3x3 a block."""
    block = full_preactivation(basic, option_a)
    return _bare_start(resnet_cifar(depth, classes, block, features))


def preactivation_cifar_bottleneck(depth: int, classes: int = 10, features: int = 16) -> Network:
    """A pre-activated network of 9n + 2 layers for small images, of bottlenecks."""
    block = full_preactivation(bottleneck_v1, bare_projection)
    return _bare_start(resnet_cifar_bottleneck(depth, classes, block, features))


def bare_projection(channels: int, features: int, stride: int) -> Layers:
    """Option B without normalization, which the activation in front of the fork has done."""
    if (channels, stride) == (features, 1):
        return Layers()
    return Layers(projection=_bare(features, 1, stride))


def _bare_start(network: Network) -> Network:
    """`conv1` without normalization and ReLU, which the first block has; the ends activated."""
    conv1 = network.tail["conv1"].layers["conv"]  # type: ignore[attr-defined]
    tail = Layers({**dict(network.tail.items()), "conv1": sequential(conv=conv1)})
    return activate_ends(network.copy(tail=tail))


_of_5 = partial(row, preactivation, 224, source="He et al. 2016, table 5, one crop of 320 pixels")
_of_4 = partial(row, preactivation_cifar_bottleneck, 32)

resnet50_preactivation = _of_5((_SMALL,), 25_549_352, 4_089_184_256, counted=TIMM)
resnet101_preactivation = _of_5((_MIDDLE,), 44_541_480, 7_801_405_440, counted=TIMM)
resnet152_preactivation = _of_5((_LARGE,), 60_185_128, 11_513_626_624, (21.1, 5.5))
resnet200_preactivation = _of_5(((3, 24, 36, 3),), 64_666_152, 15_007_481_856, (20.7, 5.3))
preactivation110 = row(
    preactivation_cifar, 32, (110,), 1_727_962, 252_887_680, (6.37,), source=_PAPER_2
)
preactivation164 = _of_4((164,), 1_703_258, 244_500_992, (5.46,), source=_PAPER_2)
preactivation1001 = _of_4(
    (1001,), 10_327_706, 1_487_849_984, (4.62,), source=_PAPER_2 + ", batches of 64"
)


# ResNet-110 in three of the other orders, and with something in the way of every shortcut (section
# 3.1, figure 2 and table 1 of the second paper).
#
# | figure | block | on the shortcut | on the residual | error, % |
# |---|---|---|---|---|
# | 2(a) | `original(basic, option_a)` | 1 | 1 | 6.61 |
# | 2(b) | `constant_scaling` | 0; 0.5; 0.5 | 1; 1; 0.5 | above 20; above 20; 12.35 |
# | 2(c) | `exclusive_gating` | 1 - g | g | bias -6: 8.70, -7: 9.81; above 20 from 0 to -5 |
# | 2(d) | `shortcut_gating` | 1 - g | 1 | 12.86 at a bias of 0, 6.91 at -6 |
# | 2(e) | `original(basic, option_c)` | 1x1 convolution | 1 | 12.22 |
# | 2(f) | `dropout_shortcut` | dropout 0.5 | 1 | above 20 |
#
# The errors are the paper's, on CIFAR-10, median of five runs; a scale of 0 is the plain network.
#
# What the paper leaves open, and is so here: two shortcuts change the shape, by option A, and what
# stands in the way stands behind that; a gate g = sigmoid(W s + b) is a 1x1 convolution of what the
# shortcut carries, with as many features, a bias and no normalization; the 1x1 convolution of 2(e)
# has one, as the caption of figure 2 says of weight layers. The ReLU stands behind the sum.


def constant_scaling(shortcut: float, residual: float) -> Block:
    """Figure 2(b): y = relu(a x + b F(x)) with constants a and b."""

    def block(channels: int, features: int, stride: int) -> Residual:
        plain = _two(channels, features, stride, scale=Scale(shortcut))
        return plain.copy(residual=plain.residual + Layers(scale_residual=Scale(residual)))

    return block


def exclusive_gating(bias: float) -> Block:
    """Figure 2(c): y = relu((1 - g) x + g F(x)), g = sigmoid(W x + b), as in highway networks.

    Each b is initially `bias`; the paper searched from 0 to -10.
    """

    def block(channels: int, features: int, stride: int) -> Highway:
        plain = _two(channels, features, stride)
        return Highway(
            residual=plain.residual,
            gate=Layers(gate=sequential(conv=_gate(features, bias), sigmoid=Sigmoid())),
            shortcut=plain.shortcut,
            after=plain.after,
        )

    return block


def shortcut_gating(bias: float) -> Block:
    """Figure 2(d): y = relu((1 - g) x + F(x)), g = sigmoid(W x + b).

    Each b is initially `bias`: very negative is nearly the identity. Written with 1 - sigmoid(z) =
    sigmoid(-z).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        gate = Layers(conv=_gate(features, bias), negative=Scale(-1.0), sigmoid=Sigmoid())
        return _two(channels, features, stride, gate=Gate(gate))

    return block


def dropout_shortcut(rate: float) -> Block:
    """Figure 2(f): y = relu(dropout(x) + F(x))."""

    def block(channels: int, features: int, stride: int) -> Residual:
        return _two(channels, features, stride, dropout=Dropout(rate))

    return block


def _two(channels: int, features: int, stride: int, **behind: Scale | Gate | Dropout) -> Residual:
    """The first paper's block, with layers behind its shortcut."""
    plain = original(basic, option_a)(channels, features, stride)
    return plain.copy(shortcut=plain.shortcut + Layers(behind))


def _gate(features: int, bias: float) -> Convolution:
    return Convolution(features, 1, bias_init=_constant(bias))


# The same function for the same value, or equal networks would not compare equal.
_constant = cache(constant)


def _of_110(block: Block, classes: int = 10) -> Network:
    return resnet_cifar(110, classes, block)


def _activated(block: Block, classes: int = 10) -> Network:
    return activate_ends(_of_110(block, classes))


_order = partial(row, _of_110, 32, parameters=1_727_962, macs=252_887_680)
_gated = partial(_order, parameters=1_826_746, macs=267_043_456)

resnet110_bn_after_addition = _order((bn_after_addition(basic, option_a),))
resnet110_relu_before_addition = _order((relu_before_addition(basic, option_a),))
resnet110_relu_preactivation = row(
    _activated, 32, (relu_preactivation(basic, option_a),), 1_727_962, 252_887_680
)
resnet110_constant_scaling = _order((constant_scaling(0.5, 0.5),))
resnet110_exclusive_gating = _gated((exclusive_gating(-6.0),))
resnet110_shortcut_gating = _gated((shortcut_gating(-6.0),))
resnet110_convolution_shortcut = _order(
    (original(basic, option_c),), parameters=1_826_202, macs=266_781_312
)
resnet110_dropout_shortcut = _order((dropout_shortcut(0.5),))
