"""Dual path networks: a residual and a dense path through the same layers.

Chen, Li, Xiao, Jin, Yan, Feng (2017): Dual path networks. arXiv 1707.01629, section 4 and table 1.
Authors' code: cypw/DPNs, where DPN-68 is.

| stage | maps | 68 | 92 | 98 | 131 |
|---|---|---|---|---|---|
| `conv1`, stride 2 | 112 | 3x3, 10 | 7x7, 64 | 7x7, 96 | 7x7, 128 |
| `pool1`, 3x3/2 max | 56 | | | | |
| `conv2_1`.. | 56 | 3, 64 (+16) | 3, 256 (+16) | 3, 256 (+16) | 4, 256 (+16) |
| `conv3_1`.. | 28 | 4, 128 (+32) | 4, 512 (+32) | 6, 512 (+32) | 8, 512 (+32) |
| `conv4_1`.. | 14 | 12, 256 (+32) | 20, 1024 (+24) | 20, 1024 (+32) | 28, 1024 (+32) |
| `conv5_1`.. | 7 | 3, 512 (+64) | 3, 2048 (+128) | 3, 2048 (+128) | 3, 2048 (+128) |
| inner features | | 128 .. 1024 | 96 .. 768 | 160 .. 1280 | 160 .. 1280 |
| groups of the 3x3 | | 32 | 32 | 40 | 40 |

A stage is so many blocks, channels of its residual path, and the growth (+k) of its dense path. A
block is BN-ReLU-Conv 1x1, 3x3 in groups, 1x1 with as many features as the residual path plus k
(`DualPath`). The first of a stage has a projection round it, a BN-ReLU-Conv of its own with 2k
channels for the dense path, which so begins with 3k; the stride is in the 3x3 and the projection.
The inner features double from stage to stage. The last maps are normalized and rectified once more.

A block counts the channels it is given, so `remove("conv4_7")` gives a network at once. The first
block of a stage is another matter, for it sets the width of both paths: without it the second adds
to what the first channels happen to be, or refuses where they are too few.

Conventions, as in timm and the authors' code: batch-norm epsilon 1e-3; the max pool is padded by 1
and rounds down; the global average has no padding; no convolution has a bias. timm's classifier
is a 1x1 convolution behind the average: the dense layer here.
"""

from __future__ import annotations

from functools import partial

from ablax.core import Layers, Network, sequential
from ablax.layers import BatchNormalization, MaxPool, ReLU
from ablax.layers.blocks import DualPath
from ablax.layers.normalization import normalized, preactivated
from ablax.zoo import heads
from ablax.zoo.register import TIMM, network, row

EPSILON = 1e-3
"""Of batch normalization, in the authors' code."""


def stages(
    counts: tuple[int, ...], growths: tuple[int, ...], features: int, inner: int, groups: int
) -> Layers:
    """`conv2_1`, `conv2_2`, ...: stages of dual path blocks, and the last activation.

    Each but the first halves rows and columns, and doubles `features`, of the residual path, and
    `inner`, of the first two convolutions of a block, a multiple of the groups. A block adds
    `growths` to the dense path.
    """
    body: dict[str, DualPath] = {}
    for stage, (count, growth) in enumerate(zip(counts, growths, strict=True)):
        for number in range(1, count + 1):
            body[f"conv{stage + 2}_{number}"] = block(
                features * 2**stage,
                growth,
                inner * 2**stage,
                groups,
                stride=2 if stage and number == 1 else 1,
                project=number == 1,
            )
    return Layers(body, activation=sequential(bn=BatchNormalization(epsilon=EPSILON), relu=ReLU()))


def block(
    features: int, growth: int, inner: int, groups: int, stride: int, project: bool
) -> DualPath:
    """A dual path block: 1x1, 3x3 in groups with the stride, 1x1 to both paths.

    To `features` of the residual path and `growth` more of the dense one; where told, a projection
    starts both paths again, as the first block of a stage does.
    """
    layers = Layers(
        conv1=preactivated(inner, 1, epsilon=EPSILON),
        conv2=preactivated(inner, 3, stride, groups, EPSILON),
        conv3=preactivated(features + growth, 1, epsilon=EPSILON),
    )
    if not project:
        return DualPath(features, layers)
    projection = preactivated(features + 2 * growth, 1, stride, epsilon=EPSILON)
    return DualPath(features, layers, Layers(projection=projection))


def dpn(
    tail: tuple[int, int],
    counts: tuple[int, ...],
    growths: tuple[int, ...],
    widths: tuple[int, int, int],
    classes: int = 1000,
) -> Network:
    """A column of table 1.

    `tail` are features and window of `conv1`, `counts` the blocks of each stage, `growths` what
    each adds to the dense path; `widths` are, of the first stage, the features of the residual
    path, the inner features and the groups.
    """
    conv1 = normalized(*tail, 2, epsilon=EPSILON, relu=ReLU())
    return Network(
        tail=Layers(conv1=conv1, pool1=MaxPool(3, 2, padding=1)),
        body=stages(counts, growths, *widths),
        head=heads.global_average_pool(classes),
    )


_column = partial(
    row, dpn, 224, counted=TIMM, source="the authors' repository of Chen et al. 2017, one crop"
)

# Table 1, column by column.
_68 = ((10, 3), (3, 4, 12, 3), (16, 32, 32, 64), (64, 128, 32))
_92 = ((64, 7), (3, 4, 20, 3), (16, 32, 24, 128), (256, 96, 32))
_98 = ((96, 7), (3, 6, 20, 3), (16, 32, 32, 128), (256, 160, 40))
_131 = ((128, 7), (4, 8, 28, 3), (16, 32, 32, 128), (256, 160, 40))

dpn68 = _column(_68, 12_611_602, 2_326_163_456, (23.57,))
dpn92 = _column(_92, 37_668_392, 6_501_684_224, (20.73,))
dpn98 = _column(_98, 61_570_728, 11_671_217_152, (20.15,))
dpn131 = _column(_131, 79_254_504, 16_013_648_896, (19.93,))


@network(32, 163_946, 30_099_008)
def dpn_small(classes: int = 10, features: int = 32, blocks: int = 2) -> Network:
    """A dual path network for images of 28 or 32 pixels: ours, the paper has none.

    A 3x3 convolution, then three stages at 32, 16 and 8 pixels. The inner features are those of the
    residual path, the 3x3 has 8 groups, and the dense path grows by a quarter of the first
    residual path in every block.

    Example:
        >>> list(dpn_small().body)[:4]
        ['conv2_1', 'conv2_2', 'conv3_1', 'conv3_2']
    """
    growths = (features // 4,) * 3
    return Network(
        tail=Layers(conv1=normalized(features // 2, 3, epsilon=EPSILON, relu=ReLU())),
        body=stages((blocks,) * 3, growths, features, inner=features, groups=8),
        head=heads.global_average_pool(classes),
    )
