"""Residual networks for ImageNet: blocks that learn what to add to their input.

He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
section 3 and table 1.

| stage | maps | 18 | 34 | 50 | 101 | 152 |
|---|---|---|---|---|---|---|
| `conv1` | 112 | 7x7, 64, stride 2 in all | | | | |
| `pool1` | 56 | 3x3 max, stride 2 in all | | | | |
| `res2a`.. | 56 | 2 basic, 64 | 3 | 3 bottlenecks, 256 | 3 | 3 |
| `res3a`.. | 28 | 2 basic, 128 | 4 | 4 bottlenecks, 512 | 4 | 8 |
| `res4a`.. | 14 | 2 basic, 256 | 6 | 6 bottlenecks, 1024 | 23 | 36 |
| `res5a`.. | 7 | 2 basic, 512 | 3 | 3 bottlenecks, 2048 | 3 | 3 |
| `average`, `classifier` | 1 | global average, 1000 scores in all | | | | |

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

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, PadChannels, ReLU, Residual, Subsample
from ablax.layers.blocks import Highway, without_shortcuts
from ablax.zoo import heads, tails
from ablax.zoo.register import Entry

# ------------------------------------------------------------------------------------------
# What residual networks are made of: weight layers, shortcuts, and stages of blocks.
#
# He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
# section 3.3 and figure 5; shortcut options A, B and C in section 4.1.
#
# A network chooses three things, each a function of its own:
#
# * the *weight layers* of a block: `basic`, `bottleneck` or `bottleneck_v1`;
# * the *shortcut* round them: `option_a`, `option_b` or `option_c`;
# * the *order* of weight layers, normalizations and ReLUs, such as `original`, which makes a
#   block of the first two.

WeightLayers = Callable[[int, int], tuple[tuple[int, int, int], ...]]
"""From a block's features and stride to features, window and stride of each convolution."""

Shortcut = Callable[[int, int, int], Layers]
"""From a block's channels, features and stride to the layers on the way round."""

Block = Callable[[int, int, int], Residual | Highway]
"""From channels, features and stride to a block."""


def basic(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """3x3, 3x3 (figure 5, left)."""
    return ((features, 3, stride), (features, 3, 1))


def bottleneck(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """1x1 to a quarter of the features, 3x3 with the stride, 1x1 back: "v1.5", torchvision's."""
    return ((features // 4, 1, 1), (features // 4, 3, stride), (features, 1, 1))


def bottleneck_v1(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
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
    return Layers(projection=linear(features, 1, stride))


def convolution(features: int, window: int, stride: int = 1) -> Sequential:
    """A convolution without bias, batch normalization, ReLU."""
    return Sequential(linear(features, window, stride).layers + Layers(relu=ReLU()))


def linear(features: int, window: int, stride: int = 1) -> Sequential:
    """A convolution without bias, batch normalization."""
    return sequential(conv=weights(features, window, stride), bn=BatchNormalization())


def weights(features: int, window: int, stride: int = 1) -> Convolution:
    """A convolution without bias, padded by half its window on each side."""
    return Convolution(features, window, stride, padding=window // 2, use_bias=False)


def stages(counts: tuple[int, ...], features: int, block: Block, channels: int) -> Layers:
    """`res2a`, `res2b`, ...: each stage but the first halves rows and columns and doubles features.

    Args:
        counts: Blocks of each stage.
        features: Of the first stage.
        block: What to make of channels, features and stride.
        channels: Of the maps in front of the first stage.
    """
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

    Args:
        stage: 2 for the first.
        count: Blocks of the stage.

    Example:
        >>> list(block_names(2, 3)), list(block_names(4, 23))[-1]
        (['res2a', 'res2b', 'res2c'], 'res4b22')
    """
    for number in range(count):
        name = f"b{number}" if number and count > 6 else "abcdef"[number]
        yield f"res{stage}{name}"


# ------------------------------------------------------------------------------------------
# The five orders of weight layers (W), batch normalizations (BN) and ReLUs in a residual block.
#
# He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027,
# section 4, figure 4 and table 2.
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
# the order alone have bit-equal initial kernels. Batch-norm epsilon is 1e-5 and each scale is
# initialized with 1.


def original(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(a): normalized weight layers, and a ReLU behind each and behind the sum."""

    def block(channels: int, features: int, stride: int) -> Residual:
        *inner, last = weight_layers(features, stride)
        return Residual(
            residual=_numbered([convolution(*layer) for layer in inner] + [linear(*last)]),
            shortcut=shortcut(channels, features, stride),
            after=Layers(relu=ReLU()),
        )

    return block


def bn_after_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(b): the last normalization stands behind the sum, in everybody's way."""

    def block(channels: int, features: int, stride: int) -> Residual:
        *inner, last = weight_layers(features, stride)
        bare = sequential(conv=weights(*last))
        return Residual(
            residual=_numbered([convolution(*layer) for layer in inner] + [bare]),
            shortcut=shortcut(channels, features, stride),
            after=Layers(bn=BatchNormalization(), relu=ReLU()),
        )

    return block


def relu_before_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(c): the last ReLU stands in front of the sum, so a residual is never negative."""

    def block(channels: int, features: int, stride: int) -> Residual:
        layers = weight_layers(features, stride)
        return Residual(
            residual=_numbered([convolution(*layer) for layer in layers]),
            shortcut=shortcut(channels, features, stride),
        )

    return block


def relu_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(d): a ReLU in front of each weight layer, normalization behind.

    Blocks that change the shape apply their first ReLU in front of the fork (`share_activation`).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        first, *others = weight_layers(features, stride)
        behind = [
            sequential(relu=ReLU(), conv=weights(*layer), bn=BatchNormalization())
            for layer in others
        ]
        made = Residual(
            residual=Layers(preactivation=sequential(relu=ReLU()))
            + _numbered([linear(*first), *behind]),
            shortcut=shortcut(channels, features, stride),
        )
        return share_activation(made) if (channels, stride) != (features, 1) else made

    return block


def full_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(e): normalization and ReLU in front of each weight layer, nothing behind the sum.

    Blocks that change the shape activate in front of the fork, as in the authors' code
    (`share_activation`).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        first, *others = weight_layers(features, stride)
        behind = [
            sequential(bn=BatchNormalization(), relu=ReLU(), conv=weights(*layer))
            for layer in others
        ]
        made = Residual(
            residual=Layers(preactivation=sequential(bn=BatchNormalization(), relu=ReLU()))
            + _numbered([sequential(conv=weights(*first)), *behind]),
            shortcut=shortcut(channels, features, stride),
        )
        return share_activation(made) if (channels, stride) != (features, 1) else made

    return block


def share_activation(block: Residual) -> Residual:
    """The block with its `preactivation` in front of the fork, so that the shortcut sees it too."""
    residual = dict(block.residual.items())
    shared = Layers(preactivation=residual.pop("preactivation"))
    return block.copy(before=shared, residual=Layers(residual))


def activate_ends(network: Network) -> Network:
    """The pre-activated network with the first and the last activation where the authors have them.

    The first block activates in front of its fork, right behind the first convolution; the sum of
    the last block is activated once more, as `activation`, in front of the head.

    Args:
        network: One whose blocks have a `preactivation`.

    References:
        He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks, appendix.
    """
    (first, block), *others = network.body.items()
    assert isinstance(block, Residual)
    if "preactivation" in block.residual:
        block = share_activation(block)
    activation = Layers(activation=block.before["preactivation"])
    return network.copy(body=Layers({first: block, **dict(others)}) + activation)


def _numbered(layers: list[Sequential]) -> Layers:
    """`conv1`, `conv2`, ..."""
    return Layers({f"conv{number}": layer for number, layer in enumerate(layers, 1)})


def resnet18(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-18: 11,689,512 parameters, 1.814 G multiply-accumulates at 224 pixels.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((2, 2, 2, 2), original(basic, shortcut), 64, classes)


def resnet34(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-34: 21,797,672 parameters, 3.664 G multiply-accumulates at 224 pixels.

    The paper's table 4 has 21.84 / 5.71 % error (top-1, top-5) for this network, option B.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(basic, shortcut), 64, classes)


def resnet50(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-50, stride in the 3x3: 25,557,032 parameters, 4.089 G multiply-accumulates.

    torchvision's first weights have a test error of 23.84 / 7.13 %, one crop of 224 pixels.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(bottleneck, shortcut), 256, classes)


def resnet101(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-101, stride in the 3x3: 44,549,160 parameters, 7.801 G multiply-accumulates.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 23, 3), original(bottleneck, shortcut), 256, classes)


def resnet152(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-152, stride in the 3x3: 60,192,808 parameters, 11.514 G multiply-accumulates.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 8, 36, 3), original(bottleneck, shortcut), 256, classes)


def resnet50_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-50 of the paper, stride in the first 1x1: 3.858 G multiply-accumulates.

    25,557,032 parameters. The paper's table 4 has 20.74 / 5.25 % error for this network.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet101_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-101 of the paper, stride in the first 1x1: 7.570 G multiply-accumulates.

    44,549,160 parameters. The paper's table 4 has 19.87 / 4.60 % error for this network.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 23, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet152_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-152 of the paper, stride in the first 1x1: 11.282 G multiply-accumulates.

    60,192,808 parameters. The paper's table 4 has 19.38 / 4.49 % error for this network.

    Args:
        classes: Scores per image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 8, 36, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet34_a(classes: int = 1000) -> Network:
    """ResNet-34 with identities alone, option A: 21,623,848 parameters, as the plain network.

    Args:
        classes: Scores per image.
    """
    return resnet34(classes, option_a)


def resnet34_c(classes: int = 1000) -> Network:
    """ResNet-34 with projections round every block, option C: 22,716,840 parameters.

    Args:
        classes: Scores per image.
    """
    return resnet34(classes, option_c)


def plain18(classes: int = 1000) -> Network:
    """ResNet-18 without its shortcuts: 11,515,688 parameters.

    Args:
        classes: Scores per image.
    """
    return without_shortcuts(resnet18(classes))


def plain34(classes: int = 1000) -> Network:
    """ResNet-34 without its shortcuts (figure 3, middle): 21,623,848 parameters.

    It trains worse than the plain one of 18 layers.

    Args:
        classes: Scores per image.

    References:
        He, Zhang, Ren, Sun 2015, section 4.1 and table 2.
    """
    return without_shortcuts(resnet34(classes))


def resnet(
    counts: tuple[int, ...],
    block: Block,
    features: int,
    classes: int = 1000,
    channels: int = 64,
) -> Network:
    """A residual network with the tail and the head of table 1.

    Args:
        counts: Blocks of each stage, four in the paper.
        block: Such as `original(basic, option_b)`.
        features: Of the first stage; they double from stage to stage.
        classes: Scores per image.
        channels: Of the maps in front of the first stage.
    """
    return Network(
        tail=tails.resnet(channels),
        body=stages(counts, features, block, channels),
        head=heads.global_average_pool(classes),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(resnet18, 224, 11_689_512, 1_814_073_344),
    Entry(resnet34, 224, 21_797_672, 3_663_761_408),
    Entry(resnet34_a, 224, 21_623_848, 3_644_493_824),
    Entry(resnet34_c, 224, 22_716_840, 3_830_747_136),
    Entry(plain18, 224, 11_515_688, 1_794_805_760),
    Entry(plain34, 224, 21_623_848, 3_644_493_824),
    Entry(resnet50, 224, 25_557_032, 4_089_184_256),
    Entry(resnet101, 224, 44_549_160, 7_801_405_440),
    Entry(resnet152, 224, 60_192_808, 11_513_626_624),
    Entry(resnet50_v1, 224, 25_557_032, 3_857_973_248),
    Entry(resnet101_v1, 224, 44_549_160, 7_570_194_432),
    Entry(resnet152_v1, 224, 60_192_808, 11_282_415_616),
)


# ------------------------------------------------------------------------------------------
# Residual and plain networks for CIFAR-10: 6n + 2 layers, three stages of n blocks.
#
# He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
# section 4.2 and table 6. Images of 32 pixels.
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
# Conventions: no pooling but the global average; batch-norm epsilon 1e-5, every scale is
# initialized with 1; where maps halve, the identity keeps the pixels of even row and column,
# counted from 0, and adds channels of zeros behind the others. Errors are the paper's, on CIFAR-10
# with flips and crops; its plain networks have curves only.
#
# | n | 3 | 5 | 7 | 9 | 18 | 200 |
# |---|---|---|---|---|---|---|
# | layers | 20 | 32 | 44 | 56 | 110 | 1202 |
# | error, % | 8.75 | 7.51 | 7.17 | 6.97 | 6.43 (best of five) | 7.93 |

BASIC: Block = original(basic, option_a)
"""The first paper's block for CIFAR."""

BOTTLENECK: Block = original(bottleneck_v1, option_b)
"""The first paper's bottleneck, with projections where the shape changes."""


def resnet20(classes: int = 10) -> Network:
    """ResNet-20: 269,722 parameters, 0.041 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(20, classes)


def resnet32(classes: int = 10) -> Network:
    """ResNet-32: 464,154 parameters, 0.069 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(32, classes)


def resnet44(classes: int = 10) -> Network:
    """ResNet-44: 658,586 parameters, 0.097 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(44, classes)


def resnet56(classes: int = 10) -> Network:
    """ResNet-56: 853,018 parameters, 0.125 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(56, classes)


def resnet110(classes: int = 10) -> Network:
    """ResNet-110: 1,727,962 parameters (the paper: 1.7 M), 0.253 G multiply-accumulates.

    The paper warms it up at a rate of 0.01 until the training error is below 80 %.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes)


def resnet1202(classes: int = 10) -> Network:
    """ResNet-1202: 19,421,274 parameters (the paper: 19.4 M), 2.829 G multiply-accumulates.

    Made of 600 blocks: `fold(Residual)` turns them into loops, which compile fast.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(1202, classes)


def plain20(classes: int = 10) -> Network:
    """ResNet-20 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return plain_cifar(20, classes)


def plain32(classes: int = 10) -> Network:
    """ResNet-32 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return plain_cifar(32, classes)


def plain44(classes: int = 10) -> Network:
    """ResNet-44 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return plain_cifar(44, classes)


def plain56(classes: int = 10) -> Network:
    """ResNet-56 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return plain_cifar(56, classes)


def plain110(classes: int = 10) -> Network:
    """ResNet-110 without its shortcuts, which the paper could not train well.

    Args:
        classes: Scores per image.
    """
    return plain_cifar(110, classes)


def resnet164(classes: int = 10) -> Network:
    """ResNet-164, bottlenecks of the first paper: the second paper's baseline, 5.93 % error.

    1,704,154 parameters, 0.245 G multiply-accumulates; the second paper (arXiv 1603.05027, table 4)
    rounds to 1.7 M. Stride in the first 1x1 and projections where the shape changes, as in the
    authors' pre-activated code.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar_bottleneck(164, classes)


def resnet_cifar(
    depth: int,
    classes: int = 10,
    block: Block = BASIC,
    features: int = 16,
) -> Network:
    """A residual network of 6n + 2 layers for small images.

    Args:
        depth: Weight layers, 6n + 2.
        classes: Scores per image.
        block: Of two 3x3 convolutions; this module and `ablax.zoo.resnet_preactivation`
            have others.
        features: Of `conv1` and the first stage; they double from stage to stage.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.

    Example:
        >>> list(resnet_cifar(14).body)
        ['res2a', 'res2b', 'res3a', 'res3b', 'res4a', 'res4b']
    """
    counts = (_blocks_a_stage(depth, 2),) * 3
    return Network(
        tail=tails.cifar(features),
        body=stages(counts, features, block, features),
        head=heads.global_average_pool(classes),
    )


def resnet_cifar_bottleneck(
    depth: int,
    classes: int = 10,
    block: Block = BOTTLENECK,
    features: int = 16,
) -> Network:
    """A residual network of 9n + 2 layers for small images, of bottlenecks.

    Args:
        depth: Weight layers, 9n + 2.
        classes: Scores per image.
        block: Of three convolutions.
        features: Of `conv1`; the first stage has four times as many, and they double.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.

    References:
        He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks, section 4.1.
    """
    counts = (_blocks_a_stage(depth, 3),) * 3
    return Network(
        tail=tails.cifar(features),
        body=stages(counts, 4 * features, block, features),
        head=heads.global_average_pool(classes),
    )


def plain_cifar(depth: int, classes: int = 10, features: int = 16) -> Network:
    """`resnet_cifar` without its shortcuts; both have bit-equal initial weights.

    Args:
        depth: Weight layers, 6n + 2.
        classes: Scores per image.
        features: Of the first stage.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.
    """
    return without_shortcuts(resnet_cifar(depth, classes, features=features))


def _blocks_a_stage(depth: int, weight_layers: int) -> int:
    """The n of a network of 3 stages with n blocks each, of so many weight layers."""
    step = 3 * weight_layers
    blocks, left = divmod(depth - 2, step)
    if blocks < 1 or left:
        below = max(blocks, 1) * step + 2
        choices = f"{below}" if blocks < 1 else f"{below} or {below + step}"
        raise AblaxError(
            f"depth={depth}: three stages of blocks of {weight_layers} layers have "
            f"{step}n + 2; use {choices}"
        )
    return blocks


RESNET_CIFAR_ENTRIES: tuple[Entry, ...] = (
    Entry(resnet20, 32, 269_722, 40_551_040),
    Entry(resnet32, 32, 464_154, 68_862_592),
    Entry(resnet44, 32, 658_586, 97_174_144),
    Entry(resnet56, 32, 853_018, 125_485_696),
    Entry(resnet110, 32, 1_727_962, 252_887_680),
    Entry(resnet1202, 32, 19_421_274, 2_829_238_912),
    Entry(plain20, 32, 269_722, 40_551_040),
    Entry(plain32, 32, 464_154, 68_862_592),
    Entry(plain44, 32, 658_586, 97_174_144),
    Entry(plain56, 32, 853_018, 125_485_696),
    Entry(plain110, 32, 1_727_962, 252_887_680),
    Entry(resnet164, 32, 1_704_154, 244_500_992),
)
