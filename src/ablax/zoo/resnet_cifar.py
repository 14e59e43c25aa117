"""Residual and plain networks for CIFAR-10: 6n + 2 layers, three stages of n blocks.

He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
section 4.2 and table 6. Images of 32 pixels.

| stage | maps | features | weight layers |
|---|---|---|---|
| `conv1` | 32 | 16 | 1 |
| `res2a`.. | 32 | 16 | 2n |
| `res3a`.. | 16 | 32 | 2n |
| `res4a`.. | 8 | 64 | 2n |
| `average`, `classifier` | 1 | | 1 |

All shortcuts are identities (option A), so the plain network of the same depth has the same
parameters, and each of them starts at the same value.

Conventions: no pooling but the global average; batch-norm epsilon 1e-5, every scale starts at 1;
where maps halve, the identity keeps the pixels of even row and column, counted from 0, and adds
channels of zeros behind the others. Errors are the paper's, on CIFAR-10 with flips and crops; its
plain networks have curves only.

| n | 3 | 5 | 7 | 9 | 18 | 200 |
|---|---|---|---|---|---|---|
| layers | 20 | 32 | 44 | 56 | 110 | 1202 |
| error, % | 8.75 | 7.51 | 7.17 | 6.97 | 6.43 (best of five) | 7.93 |
"""

from __future__ import annotations

from ablax.core import Network
from ablax.errors import AblaxError
from ablax.layers.blocks import without_shortcuts
from ablax.zoo import heads, tails
from ablax.zoo.entry import Entry
from ablax.zoo.resnet_blocks import (
    Block,
    basic,
    bottleneck_v1,
    option_a,
    option_b,
    stages,
)
from ablax.zoo.resnet_orders import original

BASIC: Block = original(basic, option_a)
"""The first paper's block for CIFAR."""

BOTTLENECK: Block = original(bottleneck_v1, option_b)
"""The first paper's bottleneck, with projections where the shape changes."""


def resnet20(classes: int = 10) -> Network:
    """ResNet-20: 269,722 parameters, 0.041 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(20, classes)


def resnet32(classes: int = 10) -> Network:
    """ResNet-32: 464,154 parameters, 0.069 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(32, classes)


def resnet44(classes: int = 10) -> Network:
    """ResNet-44: 658,586 parameters, 0.097 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(44, classes)


def resnet56(classes: int = 10) -> Network:
    """ResNet-56: 853,018 parameters, 0.125 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(56, classes)


def resnet110(classes: int = 10) -> Network:
    """ResNet-110: 1,727,962 parameters (the paper: 1.7 M), 0.253 G multiply-accumulates.

    The paper warms it up at a rate of 0.01 until the training error is below 80 %.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes)


def resnet1202(classes: int = 10) -> Network:
    """ResNet-1202: 19,421,274 parameters (the paper: 19.4 M), 2.829 G multiply-accumulates.

    Made of 600 blocks: `fold(Residual)` turns them into loops that compile in seconds.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(1202, classes)


def plain20(classes: int = 10) -> Network:
    """ResNet-20 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return plain_cifar(20, classes)


def plain32(classes: int = 10) -> Network:
    """ResNet-32 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return plain_cifar(32, classes)


def plain44(classes: int = 10) -> Network:
    """ResNet-44 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return plain_cifar(44, classes)


def plain56(classes: int = 10) -> Network:
    """ResNet-56 without its shortcuts: as many parameters and multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return plain_cifar(56, classes)


def plain110(classes: int = 10) -> Network:
    """ResNet-110 without its shortcuts, which the paper could not train well.

    Args:
        classes: Scores an image.
    """
    return plain_cifar(110, classes)


def resnet164(classes: int = 10) -> Network:
    """ResNet-164, bottlenecks of the first paper: the second paper's baseline, 5.93 % error.

    1,704,154 parameters, 0.245 G multiply-accumulates; the second paper (arXiv 1603.05027, table 4)
    rounds to 1.7 M. Stride in the first 1x1 and projections where the shape changes, as in the
    authors' pre-activated code.

    Args:
        classes: Scores an image.
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
        classes: Scores an image.
        block: Of two 3x3 convolutions; `ablax.zoo.resnet_orders` and `ablax.zoo.resnet_shortcuts`
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
        classes: Scores an image.
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
    """`resnet_cifar` without its shortcuts; both start from bit-equal weights.

    Args:
        depth: Weight layers, 6n + 2.
        classes: Scores an image.
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


ENTRIES: tuple[Entry, ...] = (
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
