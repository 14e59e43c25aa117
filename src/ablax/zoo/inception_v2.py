"""Inception V2, which means two networks: with batch normalization, and with factorized windows.

`inception_v2` is BN-Inception, as the later papers of the authors call V2 in their text and TF-Slim
in its code: Ioffe, Szegedy (2015): Batch normalization: accelerating deep network training by
reducing internal covariate shift. arXiv 1502.03167, figure 5 (appendix).

`inception_v2_factorized` is the network that the next paper names so: Szegedy, Vanhoucke, Ioffe,
Shlens, Wojna (2015): Rethinking the Inception architecture for computer vision. arXiv 1512.00567,
table 1 and section 6. What it adds in training makes it V3 (`ablax.zoo.inception_v3`).

Conventions: batch-norm epsilon 1e-3, as in the authors' TF-Slim (Caffe's BN-Inception has 1e-5);
3x3 average pools within modules are padded by 1 and count their padding, as in Caffe (TensorFlow
does not). In `inception_v2` strided 3x3 convolutions are padded by 1 and max pools round up; in
`inception_v2_factorized` neither convolutions with a stride nor pools are padded.
"""

from __future__ import annotations

from ablax.core import Layers, Network, sequential
from ablax.layers import AveragePool, MaxPool, Parallel
from ablax.zoo import heads
from ablax.zoo.googlenet import normalized
from ablax.zoo.inception_v3 import (
    AVERAGE,
    factorized,
    grid_reduction6,
    grid_reduction7,
    widened,
)
from ablax.zoo.register import Entry

MAXIMUM = MaxPool(3, 1, padding=1)


def inception_v2(classes: int = 1000) -> Network:
    """BN-Inception, for images of 224 pixels.

    11,285,224 parameters and 2,032,600,064 multiply-accumulates; the figure in circulation,
    11,295,240, adds the 10,016 biases that Caffe's convolutions have in front of their batch
    normalization. GoogLeNet with batch normalization, two 3x3 convolutions for each 5x5, a third
    module at 28 pixels, average pools in all modules but one, and modules with stride 2 (3c, 4e)
    instead of pools between the stages.

    The table prints 576 features for modules 4c and 4d, whose rows add up to 608, and hence 1024
    for 4e, which gives 1056; the rows are built, as in Caffe's network (TF-Slim has projections of
    96 there, which give 576). The paper makes its first convolution depthwise separable, with
    multiplier 8; it is a plain one here, as in Caffe's.

    Args:
        classes: Scores per image.
    """
    return Network(
        tail=Layers(conv1=normalized(64, 7, stride=2, padding=3), pool1=_pool()),
        body=Layers(
            conv2_reduce=normalized(64, 1),
            conv2=normalized(192, 3),
            pool2=_pool(),
            # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, projection
            inception_3a=_module(64, 64, 64, 64, 96, AVERAGE, 32),
            inception_3b=_module(64, 64, 96, 64, 96, AVERAGE, 64),
            inception_3c=_strided(128, 160, 64, 96),
            inception_4a=_module(224, 64, 96, 96, 128, AVERAGE, 128),
            inception_4b=_module(192, 96, 128, 96, 128, AVERAGE, 128),
            inception_4c=_module(160, 128, 160, 128, 160, AVERAGE, 128),
            inception_4d=_module(96, 128, 192, 160, 192, AVERAGE, 128),
            inception_4e=_strided(128, 192, 192, 256),
            inception_5a=_module(352, 192, 320, 160, 224, AVERAGE, 128),
            inception_5b=_module(352, 192, 320, 192, 224, MAXIMUM, 128),
        ),
        head=heads.global_average_pool(classes),
    )


def inception_v2_factorized(classes: int = 1000) -> Network:
    """Inception V2 of "Rethinking the Inception architecture", for images of 299 pixels.

    25,954,248 parameters and 6,352,562,784 multiply-accumulates. Table 1 row by row: six
    convolutions, the traditional 7x7 among them as three 3x3; three modules of figure 5 at 35
    pixels, which replace 5x5 by two 3x3; five of figure 6 at 17, which replace 7x7 by 1x7 and 7x1;
    two of figure 7 at 8, which end in 1x3 and 3x1 side by side; between them, as section 6 says,
    the grid reductions of figure 10.

    The paper leaves open the features within a module (they stood in a file beside the submission).
    Here they are those of V3, whose sums are table 1's 288, 768, 1280 and 2048, with the middle one
    of V3's four modules at 17 pixels three times instead of twice. The paper prints 42 layers and
    2.5 times the cost of GoogLeNet; what its table builds has 54 and costs 4.0 times it.

    Args:
        classes: Scores per image.
    """
    return Network(
        tail=Layers(
            conv_1a=normalized(32, 3, 2, "VALID"),
            conv_2a=normalized(32, 3, 1, "VALID"),
            conv_2b=normalized(64, 3),
            pool_3a=MaxPool(3, 2),
            conv_3b=normalized(80, 3, 1, "VALID"),
            conv_4a=normalized(192, 3, 2, "VALID"),
            conv_4b=normalized(288, 3),
        ),
        body=Layers(
            mixed_5a=_figure5(),
            mixed_5b=_figure5(),
            mixed_5c=_figure5(),
            mixed_6a=grid_reduction6(),
            mixed_6b=factorized(128),
            mixed_6c=factorized(160),
            mixed_6d=factorized(160),
            mixed_6e=factorized(160),
            mixed_6f=factorized(192),
            mixed_7a=grid_reduction7(),
            mixed_7b=widened(),
            mixed_7c=widened(),
        ),
        head=heads.global_average_pool(classes),
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
    return Parallel(
        Layers(
            branch1x1=normalized(one, 1),
            branch3x3=sequential(reduce=normalized(reduce3, 1), large=normalized(three, 3)),
            branch_double=sequential(
                reduce=normalized(reduce_double, 1),
                first=normalized(double, 3),
                second=normalized(double, 3),
            ),
            branch_pool=sequential(pool=pool, project=normalized(projection, 1)),
        )
    )


def _strided(reduce3: int, three: int, reduce_double: int, double: int) -> Parallel:
    """A row with stride 2: no 1x1 branch, and a max pool that passes all features through."""
    return Parallel(
        Layers(
            branch3x3=sequential(
                reduce=normalized(reduce3, 1), large=normalized(three, 3, stride=2, padding=1)
            ),
            branch_double=sequential(
                reduce=normalized(reduce_double, 1),
                first=normalized(double, 3),
                second=normalized(double, 3, stride=2, padding=1),
            ),
            branch_pool=_pool(),
        )
    )


def _figure5() -> Parallel:
    """Figure 5 of "Rethinking": the 5x5 as two 3x3. 288 features."""
    return Parallel(
        Layers(
            branch1x1=normalized(64, 1),
            branch3x3=sequential(reduce=normalized(48, 1), large=normalized(64, 3)),
            branch_double=sequential(
                reduce=normalized(64, 1), first=normalized(96, 3), second=normalized(96, 3)
            ),
            branch_pool=sequential(pool=AVERAGE, project=normalized(64, 1)),
        )
    )


def _pool() -> MaxPool:
    return MaxPool(3, 2, ceil_mode=True)


ENTRIES: tuple[Entry, ...] = (
    Entry(inception_v2, 224, 11_285_224, 2_032_600_064),
    Entry(inception_v2_factorized, 299, 25_954_248, 6_352_562_784),
)
