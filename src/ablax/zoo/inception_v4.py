"""Inception V4: three kinds of module, repeated, and two that shrink the grid.

Szegedy, Ioffe, Vanhoucke, Alemi (2016): Inception-v4, Inception-ResNet and the impact of residual
connections on learning. arXiv 1602.07261, section 3.1, figures 3 to 9.

Conventions, as in the authors' TF-Slim and in timm: what the figures mark V and all layers with a
stride are not padded, and fit exactly at 299 pixels; average pools within modules are padded by 1
and do not count their padding; batch-norm epsilon 1e-3; dropout 0.2 (the paper keeps 0.8).
"""

from __future__ import annotations

from ablax.core import Layers, Network, chain
from ablax.layers import AveragePool, Dense, Dropout, GlobalAveragePool, MaxPool, Parallel
from ablax.zoo.entry import Entry
from ablax.zoo.inception_modules import normalized
from ablax.zoo.inception_v3 import COLUMN, ROW, crossed

AVERAGE = AveragePool(3, 1, padding=1)
"""Of the pool branches."""


def inception_v4(classes: int = 1000) -> Network:
    """Inception V4, for images of 299 pixels: figure 9.

    42,679,816 parameters and 12,253,974,624 multiply-accumulates, as in timm; 19.9 / 5.0 % error
    (top-1 / top-5). Images have at least 75 pixels.

    Args:
        classes: Scores an image.
    """
    body = Layers({f"inception_a{n}": _inception_a() for n in range(1, 5)})
    body = body + Layers(reduction_a=reduction_a(192, 224, 256, 384))
    body = body + Layers({f"inception_b{n}": _inception_b() for n in range(1, 8)})
    body = body + Layers(reduction_b=_reduction_b())
    body = body + Layers({f"inception_c{n}": _inception_c() for n in range(1, 4)})
    return Network(tail=stem(), body=body, head=kept_head(classes))


def stem() -> Layers:
    """Figure 3: 299 pixels to 35, and 384 features."""
    return Layers(
        conv_1a=normalized(32, 3, 2, "VALID"),
        conv_2a=normalized(32, 3, 1, "VALID"),
        conv_2b=normalized(64, 3),
        mixed_3a=Parallel(Layers(pool=MaxPool(3, 2), conv=normalized(96, 3, 2, "VALID"))),
        mixed_4a=Parallel(
            Layers(
                branch3x3=chain(conv1=normalized(64, 1), conv2=normalized(96, 3, 1, "VALID")),
                branch7x7=chain(
                    conv1=normalized(64, 1),
                    conv2=normalized(64, ROW),
                    conv3=normalized(64, COLUMN),
                    conv4=normalized(96, 3, 1, "VALID"),
                ),
            )
        ),
        mixed_5a=Parallel(Layers(conv=normalized(192, 3, 2, "VALID"), pool=MaxPool(3, 2))),
    )


def kept_head(classes: int) -> Layers:
    """Global average, dropout of 0.2, one dense layer: the head of all networks of the paper.

    Args:
        classes: Scores an image.
    """
    return Layers(
        average=GlobalAveragePool(),
        classifier=chain(dropout=Dropout(0.2), dense=Dense(classes)),
    )


def reduction_a(k: int, l: int, m: int, n: int) -> Parallel:  # noqa: E741  (table 1's letters)
    """Figure 7, from 35 to 17 pixels: adds m + n features to those it is given.

    Args:
        k: Features of the 1x1.
        l: Features of the 3x3 behind it.
        m: Features of the 3x3 with stride 2 behind that.
        n: Features of the 3x3 with stride 2 alone.

    References:
        Szegedy et al. 2016, table 1: the four numbers of each network.
    """
    return Parallel(
        Layers(
            branch3x3=normalized(n, 3, 2, "VALID"),
            branch_double=chain(
                conv1=normalized(k, 1),
                conv2=normalized(l, 3),
                conv3=normalized(m, 3, 2, "VALID"),
            ),
            branch_pool=MaxPool(3, 2),
        )
    )


def _inception_a() -> Parallel:
    """Figure 4, at 35 pixels: 384 features."""
    return Parallel(
        Layers(
            branch1x1=normalized(96, 1),
            branch3x3=chain(conv1=normalized(64, 1), conv2=normalized(96, 3)),
            branch_double=chain(
                conv1=normalized(64, 1), conv2=normalized(96, 3), conv3=normalized(96, 3)
            ),
            branch_pool=chain(pool=AVERAGE, project=normalized(96, 1)),
        )
    )


def _inception_b() -> Parallel:
    """Figure 5, at 17 pixels: 1024 features."""
    return Parallel(
        Layers(
            branch1x1=normalized(384, 1),
            branch7x7=chain(
                conv1=normalized(192, 1),
                conv2=normalized(224, ROW),
                conv3=normalized(256, COLUMN),
            ),
            branch_double=chain(
                conv1=normalized(192, 1),
                conv2=normalized(192, COLUMN),
                conv3=normalized(224, ROW),
                conv4=normalized(224, COLUMN),
                conv5=normalized(256, ROW),
            ),
            branch_pool=chain(pool=AVERAGE, project=normalized(128, 1)),
        )
    )


def _reduction_b() -> Parallel:
    """Figure 8, from 17 to 8 pixels: 512 + 1024 features."""
    return Parallel(
        Layers(
            branch3x3=chain(conv1=normalized(192, 1), conv2=normalized(192, 3, 2, "VALID")),
            branch7x7=chain(
                conv1=normalized(256, 1),
                conv2=normalized(256, ROW),
                conv3=normalized(320, COLUMN),
                conv4=normalized(320, 3, 2, "VALID"),
            ),
            branch_pool=MaxPool(3, 2),
        )
    )


def _inception_c() -> Parallel:
    """Figure 6, at 8 pixels: 1536 features."""
    return Parallel(
        Layers(
            branch1x1=normalized(256, 1),
            branch3x3=chain(conv1=normalized(384, 1), fork=crossed(256)),
            branch_double=chain(
                conv1=normalized(384, 1),
                conv2=normalized(448, (3, 1)),
                conv3=normalized(512, (1, 3)),
                fork=crossed(256),
            ),
            branch_pool=chain(pool=AVERAGE, project=normalized(256, 1)),
        )
    )


ENTRIES: tuple[Entry, ...] = (Entry(inception_v4, 299, 42_679_816, 12_253_974_624),)
