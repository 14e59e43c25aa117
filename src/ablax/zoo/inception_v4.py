"""Inception V4: three kinds of module, repeated, and two that shrink the grid; Inception-ResNet.

Szegedy, Ioffe, Vanhoucke, Alemi (2016): Inception-v4, Inception-ResNet and the impact of residual
connections on learning. arXiv 1602.07261, section 3.1, figures 3 to 9; sections 3.2 and 3.3,
figures 7 and 10 to 20, table 1.

Conventions, as in the authors' TF-Slim and in timm: what the figures mark V and all layers with a
stride are not padded, and fit exactly at 299 pixels; average pools within modules are padded by 1
and do not count their padding; batch-norm epsilon 1e-3; dropout 0.2 (the paper keeps 0.8).
"""

from __future__ import annotations

from ablax.core import Layers, Network
from ablax.layers import AveragePool, Convolution, MaxPool, Parallel, ReLU, Residual
from ablax.layers.dense import Scale
from ablax.zoo import heads, inception_v2_v3
from ablax.zoo.googlenet import chain, normalized, pooled, side_by_side
from ablax.zoo.inception_v2_v3 import COLUMN, ROW, crossed, reduction_a, reduction_b, stem_7x7
from ablax.zoo.register import TIMM, network

AVERAGE = AveragePool(3, 1, padding=1)
"""Of the pool branches."""


@network(
    *(299, 42_679_816, 12_253_974_624),
    counted=TIMM,
    errors=(19.9, 5.0),
    source="the published weights",
)
def inception_v4(classes: int = 1000) -> Network:
    """Inception V4, for images of 299 pixels, at least 75: figure 9."""
    body = Layers({f"inception_a{n}": _inception_a() for n in range(1, 5)})
    body = body + Layers(reduction_a=reduction_a(192, 224, 256, 384))
    body = body + Layers({f"inception_b{n}": _inception_b() for n in range(1, 8)})
    body = body + Layers(reduction_b=reduction_b(192, 256, 320))
    body = body + Layers({f"inception_c{n}": _inception_c() for n in range(1, 4)})
    return Network(tail=stem(), body=body, head=heads.global_average_pool(classes, dropout=0.2))


def stem() -> Layers:
    """Figure 3: 299 pixels to 35, and 384 features."""
    return stem_7x7() + Layers(
        mixed_3a=side_by_side(pool=MaxPool(3, 2), conv=normalized(96, 3, 2, "VALID")),
        mixed_4a=side_by_side(
            branch3x3=chain((64, 1), (96, 3, 1, "VALID")),
            branch7x7=chain((64, 1), (64, ROW), (64, COLUMN), (96, 3, 1, "VALID")),
        ),
        mixed_5a=side_by_side(conv=normalized(192, 3, 2, "VALID"), pool=MaxPool(3, 2)),
    )


def _inception_a() -> Parallel:
    """Figure 4, at 35 pixels: 384 features."""
    return side_by_side(
        branch1x1=normalized(96, 1),
        branch3x3=chain((64, 1), (96, 3)),
        branch_double=chain((64, 1), (96, 3), (96, 3)),
        branch_pool=pooled(AVERAGE, 96),
    )


def _inception_b() -> Parallel:
    """Figure 5, at 17 pixels: 1024 features."""
    return side_by_side(
        branch1x1=normalized(384, 1),
        branch7x7=chain((192, 1), (224, ROW), (256, COLUMN)),
        branch_double=chain((192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)),
        branch_pool=pooled(AVERAGE, 128),
    )


def _inception_c() -> Parallel:
    """Figure 6, at 8 pixels: 1536 features."""
    return side_by_side(
        branch1x1=normalized(256, 1),
        branch3x3=chain((384, 1), fork=crossed(256)),
        branch_double=chain((384, 1), (448, (3, 1)), (512, (1, 3)), fork=crossed(256)),
        branch_pool=pooled(AVERAGE, 256),
    )


# Inception-ResNet: inception modules whose answers are added to their input.
#
# A block runs a cheap inception module, brings it to the features of its input by a 1x1 convolution
# without nonlinearity, and adds it, scaled down: without the factor, says section 3.3, networks
# with more than 1000 filters die early in training. The paper gives 0.1 to 0.3 for it; 0.17, 0.10
# and 0.20 at 35, 17 and 8 pixels are those of the authors' code.
#
# V2 means two networks: that of the paper's figures, and the one the authors published (TF-Slim,
# timm), which has V3's tail and twice the blocks. `inception_resnet_v2` is the published one, whose
# weights exist; `inception_resnet_v2_paper` is the figures'.
#
# Conventions are those above; the 1x1 in front of a sum has a bias and no batch normalization,
# which section 3.2 leaves out "on top of the summations".


@network(299, 22_756_328, 6_206_361_696)
def inception_resnet_v1(classes: int = 1000) -> Network:
    """Inception-ResNet V1, for images of 299 pixels: figures 10 to 15, about the cost of V3."""
    return Network(
        tail=inception_v2_v3.stem(conv_4b=normalized(256, 3, 2, "VALID")),
        body=_repeated("a", 5, _block_a((32, 32, 32), 256))
        + Layers(reduction_a=reduction_a(192, 192, 256, 384))
        + _repeated("b", 10, _block_b(128, (128, 128, 128), 896))
        + Layers(reduction_b=_reduction_of_v2(256, 256, 256))
        + _repeated("c", 5, _block_c((192, 192, 192), 1792)),
        head=heads.global_average_pool(classes, dropout=0.2),
    )


@network(
    *(299, 55_843_464, 13_155_794_016),
    counted=TIMM,
    errors=(19.6, 4.7),
    source="the published weights",
)
def inception_resnet_v2(classes: int = 1000) -> Network:
    """Inception-ResNet V2 as its authors published it, for images of 299 pixels, at least 75.

    The last block has factor 1 and no ReLU behind its sum, and a 1x1 convolution to 1536 features
    follows.
    """
    return Network(
        tail=inception_v2_v3.stem(pool_5a=MaxPool(3, 2)),
        body=Layers(mixed_5b=inception_v2_v3.with_5x5(96, AVERAGE, 64))
        + _repeated("a", 10, _block_a((32, 48, 64), 320))
        + Layers(reduction_a=reduction_a(256, 256, 384, 384))
        + _repeated("b", 20, _block_b(192, (128, 160, 192), 1088))
        + Layers(reduction_b=_reduction_of_v2(288, 288, 320))
        + _repeated("c", 9, _block_c((192, 224, 256), 2080))
        + Layers(
            inception_resnet_c10=_block_c((192, 224, 256), 2080, scale=1.0).copy(after=Layers()),
            conv_7b=normalized(1536, 1),
        ),
        head=heads.global_average_pool(classes, dropout=0.2),
    )


@network(299, 32_433_928, 9_257_953_632)
def inception_resnet_v2_paper(classes: int = 1000) -> Network:
    """Inception-ResNet V2 of the paper's figures 15 to 20, with the tail of Inception V4.

    Figures 17 and 19 print 1154 and 2048 features in front of the sums, whose other summands have
    384 + 384 + 384 = 1152 and 1152 + 384 + 288 + 320 = 2144; these are built.
    """
    return Network(
        tail=stem(),
        body=_repeated("a", 5, _block_a((32, 48, 64), 384))
        + Layers(reduction_a=reduction_a(256, 256, 384, 384))
        + _repeated("b", 10, _block_b(192, (128, 160, 192), 1152))
        + Layers(reduction_b=_reduction_of_v2(288, 288, 320))
        + _repeated("c", 5, _block_c((192, 224, 256), 2144)),
        head=heads.global_average_pool(classes, dropout=0.2),
    )


def _repeated(kind: str, count: int, block: Residual) -> Layers:
    return Layers({f"inception_resnet_{kind}{number}": block for number in range(1, count + 1)})


def _added(module: Parallel, features: int, scale: float) -> Residual:
    """relu(x + scale linear(module(x)))."""
    return Residual(
        residual=Layers(module=module, linear=Convolution(features, 1), scale=Scale(scale)),
        after=Layers(relu=ReLU()),
    )


def _block_a(widths: tuple[int, int, int], features: int) -> Residual:
    """Figures 10 and 16, at 35 pixels; the widths are those of the longest branch."""
    first, second, third = widths
    module = side_by_side(
        branch1x1=normalized(32, 1),
        branch3x3=chain((32, 1), (32, 3)),
        branch_double=chain((first, 1), (second, 3), (third, 3)),
    )
    return _added(module, features, 0.17)


def _block_b(one: int, widths: tuple[int, int, int], features: int) -> Residual:
    """Figures 11 and 17, at 17 pixels."""
    first, second, third = widths
    factorized = chain((first, 1), (second, ROW), (third, COLUMN))
    module = side_by_side(branch1x1=normalized(one, 1), branch7x7=factorized)
    return _added(module, features, 0.10)


def _block_c(widths: tuple[int, int, int], features: int, scale: float = 0.20) -> Residual:
    """Figures 13 and 19, at 8 pixels."""
    first, second, third = widths
    factorized = chain((first, 1), (second, (1, 3)), (third, (3, 1)))
    module = side_by_side(branch1x1=normalized(192, 1), branch3x3=factorized)
    return _added(module, features, scale)


def _reduction_of_v2(second: int, between: int, third: int) -> Parallel:
    """Figures 12 and 18, from 17 to 8 pixels: adds 384 + second + third features."""
    return side_by_side(
        branch3x3=chain((256, 1), (384, 3, 2, "VALID")),
        branch_second=chain((256, 1), (second, 3, 2, "VALID")),
        branch_double=chain((256, 1), (between, 3), (third, 3, 2, "VALID")),
        branch_pool=MaxPool(3, 2),
    )
