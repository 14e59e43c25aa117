"""Inception V3: large windows factorized into small ones and into rows and columns.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2015): Rethinking the Inception architecture for computer
vision. arXiv 1512.00567, figures 5 to 7 and 10, table 1. Authors' code: tensorflow/models,
research/slim/nets/inception_v3.py, whose widths and numbers of modules torchvision and these here
have; table 1 differs (see `ablax.zoo.inception_v2.inception_v2_factorized`).

A 7x7 window is a 1x7 and a 7x1 behind each other: 14 weights a pair of channels instead of 49. A
grid shrinks by a convolution and a pool with stride 2 side by side, so that no layer is narrow.

Conventions, as in torchvision: convolutions and pools with a stride are not padded and fit exactly
at 299 pixels; 3x3 average pools within modules are padded by 1 and count their padding (TF-Slim's
do not); batch-norm epsilon 1e-3; dropout 0.5 (TF-Slim has 0.2).

Differences between the authors' code and the paper's figures: modules at 35 pixels keep a 5x5
beside the two 3x3 that figure 5 puts in its place.
"""

from __future__ import annotations

from ablax.core import Edit, Layers, Network, insert_after, sequential
from ablax.layers import AveragePool, Dense, Dropout, GlobalAveragePool, MaxPool, Parallel
from ablax.layers.blocks import Auxiliary
from ablax.zoo.googlenet import normalized
from ablax.zoo.register import Entry

ROW, COLUMN = (1, 7), (7, 1)
"""Windows of 7 pixels along a row, and down a column."""

AVERAGE = AveragePool(3, 1, padding=1, count_include_pad=True)
"""Of the pool branches."""


def inception_v3(classes: int = 1000) -> Network:
    """Inception V3, for images of 299 pixels, as in torchvision.

    23,834,568 parameters and 5,713,216,096 multiply-accumulates, without the auxiliary classifier
    that `with_auxiliary` adds for training. The error of 22.5 / 6.5 % (top-1 / top-5) is of
    torchvision's weights, which are the authors'. Images have at least 75 pixels.

    Args:
        classes: Scores per image.
    """
    return Network(
        tail=stem(),
        body=Layers(
            mixed_5b=_figure5(pool=32),
            mixed_5c=_figure5(pool=64),
            mixed_5d=_figure5(pool=64),
            mixed_6a=grid_reduction6(),
            mixed_6b=factorized(128),
            mixed_6c=factorized(160),
            mixed_6d=factorized(160),
            mixed_6e=factorized(192),
            mixed_7a=grid_reduction7(),
            mixed_7b=widened(),
            mixed_7c=widened(),
        ),
        head=Layers(
            average=GlobalAveragePool(),
            classifier=sequential(dropout=Dropout(0.5), dense=Dense(classes)),
        ),
    )


def auxiliary_head(classes: int = 1000) -> Layers:
    """The auxiliary classifier: 5x5/3 average, 1x1 to 128, 5x5 to 768, dense; as in torchvision.

    3,326,696 parameters for 1000 classes, at any size from 17 pixels. The paper has one, on the
    last maps of 17 pixels, and finds that it regularizes: batch normalization in it is what its
    table 3 calls "BN-auxiliary" (section 4).

    Args:
        classes: Scores per image.
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

    Args:
        head: `auxiliary_head`, or any head of the zoo.

    Raises:
        EditError: When applied to a network without this module.

    References:
        Szegedy et al. 2015, Rethinking the Inception architecture, section 4.

    Example:
        >>> layers = list(with_auxiliary(auxiliary_head())(inception_v3()).layers)
        >>> layers[layers.index("mixed_6e") :][:3]
        ['mixed_6e', 'auxiliary', 'mixed_7a']
    """
    return insert_after("mixed_6e", auxiliary=Auxiliary(head))


def stem() -> Layers:
    """299 pixels to 35, and 192 features: the tail of V3 and of TF-Slim's Inception-ResNet V2."""
    return Layers(
        conv_1a=normalized(32, 3, 2, "VALID"),
        conv_2a=normalized(32, 3, 1, "VALID"),
        conv_2b=normalized(64, 3),
        pool_3a=MaxPool(3, 2),
        conv_3b=normalized(80, 1),
        conv_4a=normalized(192, 3, 1, "VALID"),
        pool_5a=MaxPool(3, 2),
    )


def _figure5(pool: int) -> Parallel:
    """At 35 pixels: a 5x5, and two 3x3 behind each other. 224 + `pool` features."""
    return Parallel(
        Layers(
            branch1x1=normalized(64, 1),
            branch5x5=sequential(conv1=normalized(48, 1), conv2=normalized(64, 5)),
            branch_double=sequential(
                conv1=normalized(64, 1), conv2=normalized(96, 3), conv3=normalized(96, 3)
            ),
            branch_pool=sequential(pool=AVERAGE, project=normalized(pool, 1)),
        )
    )


def grid_reduction6() -> Parallel:
    """Figure 10, from 35 to 17 pixels: adds 480 features to those it is given."""
    return Parallel(
        Layers(
            branch3x3=normalized(384, 3, 2, "VALID"),
            branch_double=sequential(
                conv1=normalized(64, 1),
                conv2=normalized(96, 3),
                conv3=normalized(96, 3, 2, "VALID"),
            ),
            branch_pool=MaxPool(3, 2),
        )
    )


def factorized(inner: int) -> Parallel:
    """Figure 6 with n = 7, at 17 pixels: a 7x7 as 1x7 and 7x1, and two of them. 768 features.

    Args:
        inner: Features between the convolutions of a branch.
    """
    return Parallel(
        Layers(
            branch1x1=normalized(192, 1),
            branch7x7=sequential(
                conv1=normalized(inner, 1),
                conv2=normalized(inner, ROW),
                conv3=normalized(192, COLUMN),
            ),
            branch_double=sequential(
                conv1=normalized(inner, 1),
                conv2=normalized(inner, COLUMN),
                conv3=normalized(inner, ROW),
                conv4=normalized(inner, COLUMN),
                conv5=normalized(192, ROW),
            ),
            branch_pool=sequential(pool=AVERAGE, project=normalized(192, 1)),
        )
    )


def grid_reduction7() -> Parallel:
    """Figure 10, from 17 to 8 pixels: adds 512 features to those it is given."""
    return Parallel(
        Layers(
            branch3x3=sequential(conv1=normalized(192, 1), conv2=normalized(320, 3, 2, "VALID")),
            branch7x7=sequential(
                conv1=normalized(192, 1),
                conv2=normalized(192, ROW),
                conv3=normalized(192, COLUMN),
                conv4=normalized(192, 3, 2, "VALID"),
            ),
            branch_pool=MaxPool(3, 2),
        )
    )


def widened() -> Parallel:
    """Figure 7, at 8 pixels: branches that end in 1x3 and 3x1 side by side. 2048 features."""
    return Parallel(
        Layers(
            branch1x1=normalized(320, 1),
            branch3x3=sequential(conv1=normalized(384, 1), fork=crossed(384)),
            branch_double=sequential(
                conv1=normalized(448, 1), conv2=normalized(384, 3), fork=crossed(384)
            ),
            branch_pool=sequential(pool=AVERAGE, project=normalized(192, 1)),
        )
    )


def crossed(features: int) -> Parallel:
    """1x3 and 3x1 side by side: twice the features.

    Args:
        features: Of each.
    """
    return Parallel(Layers(row=normalized(features, (1, 3)), column=normalized(features, (3, 1))))


ENTRIES: tuple[Entry, ...] = (Entry(inception_v3, 299, 23_834_568, 5_713_216_096),)
