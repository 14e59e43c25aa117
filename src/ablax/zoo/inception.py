"""Inception V2, which means two networks, V3 and V4, and Inception-ResNet.

`inception_v2` is BN-Inception, as the later papers of the authors call V2 in their text and TF-Slim
in its code: Ioffe, Szegedy (2015): Batch normalization: accelerating deep network training by
reducing internal covariate shift. arXiv 1502.03167, figure 5 (appendix).

`inception_v2_factorized` is the network that the next paper names so: Szegedy, Vanhoucke, Ioffe,
Shlens, Wojna (2015): Rethinking the Inception architecture for computer vision. arXiv 1512.00567,
figures 5 to 7 and 10, table 1 and section 6. What it adds in training makes it V3. Authors' code:
tensorflow/models, research/slim/nets/inception_v3.py, whose widths and numbers of modules
torchvision and `inception_v3` have; table 1 differs.

A 7x7 window is a 1x7 and a 7x1 behind each other: 14 weights a pair of channels instead of 49. A
grid shrinks by a convolution and a pool with stride 2 side by side, so that no layer is narrow.

Conventions: batch-norm epsilon 1e-3, as in TF-Slim (Caffe's BN-Inception has 1e-5); 3x3 average
pools within modules are padded by 1 and count their padding, as in Caffe and torchvision (TF-Slim's
do not). In `inception_v2` strided 3x3 convolutions are padded by 1 and max pools round up; in the
others neither convolutions with a stride nor pools are padded, and fit exactly at 299 pixels. V3
has a dropout of 0.5, as in torchvision (TF-Slim has 0.2).

Differences between the authors' code and the paper's figures: V3's modules at 35 pixels keep a 5x5
beside the two 3x3 that figure 5 puts in its place.
"""

from __future__ import annotations

from ablax.core import Edit, Layers, Network, Sequential, insert_after, sequential
from ablax.layers import AveragePool, Convolution, Dense, GlobalAveragePool, MaxPool, ReLU, Scale
from ablax.layers.blocks import Auxiliary, Parallel, Residual
from ablax.zoo import heads
from ablax.zoo.googlenet import chain, halving, normalized, pooled, side_by_side
from ablax.zoo.register import TIMM, TORCHVISION, network

ROW, COLUMN = (1, 7), (7, 1)
"""Windows of 7 pixels along a row, and down a column."""

AVERAGE_V3 = AveragePool(3, 1, padding=1, count_include_pad=True)
AVERAGE_V4 = AveragePool(3, 1, padding=1)
"""Of the pool branches."""


@network(224, 11_285_224, 2_032_600_064)
def inception_v2(classes: int = 1000) -> Network:
    """BN-Inception, for images of 224 pixels.

    The number of parameters in circulation, 11,295,240, adds the 10,016 biases that Caffe's
    convolutions have in front of their batch normalization. GoogLeNet with batch normalization, two
    3x3 convolutions for each 5x5, a third module at 28 pixels, average pools in all modules but
    one, and modules with stride 2 (3c, 4e) instead of pools between the stages.

    The table prints 576 features for modules 4c and 4d, whose rows add up to 608, and hence 1024
    for 4e, which gives 1056; the rows are built, as in Caffe's network (TF-Slim has projections of
    96 there, which give 576). The paper makes its first convolution depthwise separable, with
    multiplier 8; it is a plain one here, as in Caffe's.
    """
    maximum = MaxPool(3, 1, padding=1)
    return Network(
        tail=Layers(conv1=normalized(64, 7, stride=2, padding=3), pool1=halving()),
        body=Layers(
            conv2_reduce=normalized(64, 1),
            conv2=normalized(192, 3),
            pool2=halving(),
            # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, projection
            inception_3a=_module(64, 64, 64, 64, 96, AVERAGE_V3, 32),
            inception_3b=_module(64, 64, 96, 64, 96, AVERAGE_V3, 64),
            inception_3c=_strided(128, 160, 64, 96),
            inception_4a=_module(224, 64, 96, 96, 128, AVERAGE_V3, 128),
            inception_4b=_module(192, 96, 128, 96, 128, AVERAGE_V3, 128),
            inception_4c=_module(160, 128, 160, 128, 160, AVERAGE_V3, 128),
            inception_4d=_module(96, 128, 192, 160, 192, AVERAGE_V3, 128),
            inception_4e=_strided(128, 192, 192, 256),
            inception_5a=_module(352, 192, 320, 160, 224, AVERAGE_V3, 128),
            inception_5b=_module(352, 192, 320, 192, 224, maximum, 128),
        ),
        head=heads.global_average_pool(classes),
    )


@network(299, 25_954_248, 6_352_562_784)
def inception_v2_factorized(classes: int = 1000) -> Network:
    """Inception V2 of "Rethinking the Inception architecture", for images of 299 pixels.

    Table 1 row by row: six convolutions, the traditional 7x7 among them as three 3x3; three modules
    of figure 5 at 35 pixels, which replace 5x5 by two 3x3; five of figure 6 at 17, which replace
    7x7 by 1x7 and 7x1; two of figure 7 at 8, which end in 1x3 and 3x1 side by side; between them,
    as section 6 says, the grid reductions of figure 10.

    The paper leaves open the features within a module (they stood in a file beside the submission).
    Here they are those of V3, whose sums are table 1's 288, 768, 1280 and 2048, with the middle one
    of V3's four modules at 17 pixels three times instead of twice. The paper prints 42 layers and
    2.5 times the cost of GoogLeNet; what its table builds has 54 and costs 4.0 times it.
    """
    return Network(
        tail=stem_7x7()
        + Layers(
            pool_3a=MaxPool(3, 2),
            conv_3b=normalized(80, 3, 1, "VALID"),
            conv_4a=normalized(192, 3, 2, "VALID"),
            conv_4b=normalized(288, 3),
        ),
        body=Layers(
            mixed_5a=_figure5(),
            mixed_5b=_figure5(),
            mixed_5c=_figure5(),
            mixed_6a=reduction_a(64, 96, 96, 384),
            mixed_6b=factorized(128),
            mixed_6c=factorized(160),
            mixed_6d=factorized(160),
            mixed_6e=factorized(160),
            mixed_6f=factorized(192),
            mixed_7a=reduction_b(320, 192, 192),
            mixed_7b=widened(),
            mixed_7c=widened(),
        ),
        head=heads.global_average_pool(classes),
    )


@network(299, 23_834_568, 5_713_216_096, counted=TORCHVISION)
def inception_v3(classes: int = 1000) -> Network:
    """Inception V3, for images of 299 pixels, at least 75, as in torchvision.

    Without the auxiliary classifier that `with_auxiliary` adds for training.
    """
    return Network(
        tail=stem(pool_5a=MaxPool(3, 2)),
        body=Layers(
            mixed_5b=with_5x5(64, AVERAGE_V3, 32),
            mixed_5c=with_5x5(64, AVERAGE_V3, 64),
            mixed_5d=with_5x5(64, AVERAGE_V3, 64),
            mixed_6a=reduction_a(64, 96, 96, 384),
            mixed_6b=factorized(128),
            mixed_6c=factorized(160),
            mixed_6d=factorized(160),
            mixed_6e=factorized(192),
            mixed_7a=reduction_b(320, 192, 192),
            mixed_7b=widened(),
            mixed_7c=widened(),
        ),
        head=heads.global_average_pool(classes, dropout=0.5),
    )


def auxiliary_head(classes: int = 1000) -> Layers:
    """The auxiliary classifier: 5x5/3 average, 1x1 to 128, 5x5 to 768, dense; as in torchvision.

    3,326,696 parameters for 1000 classes, at any size from 17 pixels. The paper has one, on the
    last maps of 17 pixels, and finds that it regularizes: batch normalization in it is what its
    table 3 calls "BN-auxiliary" (section 4).
    """
    return Layers(
        average=AveragePool(5, 3),
        conv0=normalized(128, 1),
        conv1=normalized(768, 5, 1, "VALID"),
        pool=GlobalAveragePool(),
        classifier=Dense(classes),
    )


def with_auxiliary(head: Layers) -> Edit:
    """The edit that puts an auxiliary classifier behind module 6e, for training.

    The head is `auxiliary_head`, or any of the zoo.

    Raises:
        EditError: When applied to a network without this module.

    Example:
        >>> layers = list(with_auxiliary(auxiliary_head())(inception_v3()).layers)
        >>> layers[layers.index("mixed_6e") :][:3]
        ['mixed_6e', 'auxiliary', 'mixed_7a']
    """
    return insert_after("mixed_6e", auxiliary=Auxiliary(head))


def stem_7x7() -> Layers:
    """A 7x7 as three 3x3, from 299 pixels to 147: how all networks of 299 pixels begin."""
    return Layers(
        conv_1a=normalized(32, 3, 2, "VALID"),
        conv_2a=normalized(32, 3, 1, "VALID"),
        conv_2b=normalized(64, 3),
    )


def stem(**last: MaxPool | Sequential) -> Layers:
    """299 pixels to 71, and 192 features; the last layer, to 35, is not the same in all networks.

    With a pool the tail of V3 and of TF-Slim's Inception-ResNet V2.
    """
    return stem_7x7() + Layers(
        pool_3a=MaxPool(3, 2),
        conv_3b=normalized(80, 1),
        conv_4a=normalized(192, 3, 1, "VALID"),
        **last,
    )


def _module(
    one: int,
    reduce3: int,
    three: int,
    reduce_double: int,
    double: int,
    pool: AveragePool | MaxPool,
    projection: int,
) -> Parallel:
    """A row of figure 5 of the batch-normalization paper."""
    return side_by_side(
        branch1x1=normalized(one, 1),
        branch3x3=sequential(reduce=normalized(reduce3, 1), large=normalized(three, 3)),
        branch_double=sequential(
            reduce=normalized(reduce_double, 1),
            first=normalized(double, 3),
            second=normalized(double, 3),
        ),
        branch_pool=pooled(pool, projection),
    )


def _strided(reduce3: int, three: int, reduce_double: int, double: int) -> Parallel:
    """A row with stride 2: no 1x1 branch, and a max pool that passes all features through."""
    return side_by_side(
        branch3x3=sequential(
            reduce=normalized(reduce3, 1), large=normalized(three, 3, stride=2, padding=1)
        ),
        branch_double=sequential(
            reduce=normalized(reduce_double, 1),
            first=normalized(double, 3),
            second=normalized(double, 3, stride=2, padding=1),
        ),
        branch_pool=halving(),
    )


def _figure5() -> Parallel:
    """Figure 5 of "Rethinking": the 5x5 as two 3x3. 288 features."""
    return _module(64, 48, 64, 64, 96, AVERAGE_V3, 64)


def with_5x5(one: int, pool: AveragePool, projection: int) -> Parallel:
    """V3's at 35 pixels: a 5x5, and two 3x3 behind each other. one + 160 + projection."""
    return side_by_side(
        branch1x1=normalized(one, 1),
        branch5x5=chain((48, 1), (64, 5)),
        branch_double=chain((64, 1), (96, 3), (96, 3)),
        branch_pool=pooled(pool, projection),
    )


def reduction_a(k: int, l: int, m: int, n: int) -> Parallel:  # noqa: E741  (table 1's letters)
    """Figure 10, from 35 to 17 pixels: adds m + n features to those it is given.

    A 1x1 of k, a 3x3 of l and a 3x3 of m with stride 2 behind one another; beside them a 3x3 of n
    with stride 2, and a max pool. Figure 7 of the paper on Inception V4, whose table 1 has the four
    numbers of its networks.
    """
    return side_by_side(
        branch3x3=normalized(n, 3, 2, "VALID"),
        branch_double=chain((k, 1), (l, 3), (m, 3, 2, "VALID")),
        branch_pool=MaxPool(3, 2),
    )


def factorized(inner: int) -> Parallel:
    """Figure 6 with n = 7, at 17 pixels: a 7x7 as 1x7 and 7x1, and two of them. 768 features.

    `inner` are the features between the convolutions of a branch.
    """
    double = ((inner, 1), (inner, COLUMN), (inner, ROW), (inner, COLUMN), (192, ROW))
    return side_by_side(
        branch1x1=normalized(192, 1),
        branch7x7=chain((inner, 1), (inner, ROW), (192, COLUMN)),
        branch_double=chain(*double),
        branch_pool=pooled(AVERAGE_V3, 192),
    )


def reduction_b(three: int, inner: int, seven: int) -> Parallel:
    """Figure 10, from 17 to 8 pixels: adds three + seven features to those it is given.

    Figure 8 of the paper on Inception V4, with other numbers.
    """
    return side_by_side(
        branch3x3=chain((192, 1), (three, 3, 2, "VALID")),
        branch7x7=chain((inner, 1), (inner, ROW), (seven, COLUMN), (seven, 3, 2, "VALID")),
        branch_pool=MaxPool(3, 2),
    )


def widened() -> Parallel:
    """Figure 7, at 8 pixels: branches that end in 1x3 and 3x1 side by side. 2048 features."""
    return side_by_side(
        branch1x1=normalized(320, 1),
        branch3x3=chain((384, 1), fork=crossed(384)),
        branch_double=chain((448, 1), (384, 3), fork=crossed(384)),
        branch_pool=pooled(AVERAGE_V3, 192),
    )


def crossed(features: int) -> Parallel:
    """1x3 and 3x1 side by side: twice the features."""
    return side_by_side(row=normalized(features, (1, 3)), column=normalized(features, (3, 1)))


# Inception V4: three kinds of module, repeated, and two that shrink the grid.
#
# Szegedy, Ioffe, Vanhoucke, Alemi (2016): Inception-v4, Inception-ResNet and the impact of residual
# connections on learning. arXiv 1602.07261, section 3.1, figures 3 to 9; sections 3.2 and 3.3,
# figures 7 and 10 to 20, table 1.
#
# Conventions, as in the authors' TF-Slim and in timm: those of V3, but average pools within modules
# do not count their padding, and dropout is 0.2 (the paper keeps 0.8).


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
    return Network(tail=stem_v4(), body=body, head=heads.global_average_pool(classes, dropout=0.2))


def stem_v4() -> Layers:
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
        branch_pool=pooled(AVERAGE_V4, 96),
    )


def _inception_b() -> Parallel:
    """Figure 5, at 17 pixels: 1024 features."""
    return side_by_side(
        branch1x1=normalized(384, 1),
        branch7x7=chain((192, 1), (224, ROW), (256, COLUMN)),
        branch_double=chain((192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)),
        branch_pool=pooled(AVERAGE_V4, 128),
    )


def _inception_c() -> Parallel:
    """Figure 6, at 8 pixels: 1536 features."""
    return side_by_side(
        branch1x1=normalized(256, 1),
        branch3x3=chain((384, 1), fork=crossed(256)),
        branch_double=chain((384, 1), (448, (3, 1)), (512, (1, 3)), fork=crossed(256)),
        branch_pool=pooled(AVERAGE_V4, 256),
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
        tail=stem(conv_4b=normalized(256, 3, 2, "VALID")),
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
        tail=stem(pool_5a=MaxPool(3, 2)),
        body=Layers(mixed_5b=with_5x5(96, AVERAGE_V4, 64))
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
        tail=stem_v4(),
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
