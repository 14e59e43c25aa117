"""SqueezeNet: AlexNet's error with a fiftieth of its parameters.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer (2016): SqueezeNet: AlexNet-level accuracy with 50x
fewer parameters and <0.5MB model size. arXiv 1602.07360, table 1, sections 3 and 6. Authors' files:
forresti/SqueezeNet.

A fire module squeezes its input to few features by 1x1 convolutions, then expands them by 1x1 and
3x3 convolutions side by side. There is no dense layer: the last 1x1 convolution has one map per
class.

Conventions, as in the authors' Caffe files and in torchvision: max pools are not padded and round
up; the first convolution is not padded; biases everywhere, no batch normalization; the classifier
is initialized from a Gaussian of std 0.01, the other layers as in He et al. (2015) (the authors'
files have Xavier's).

The paper's table 1 prints images of 224 pixels and a first map of 111, which belong to 227 pixels:
(227 - 7) / 2 + 1 = 111. At 224 pixels the first map has 109, the fire modules 54, 27 and 13, and so
it is counted here; the parameters are the same. The lecture's table (L2) repeats the 111, and
prints 13x12 for the last pool where 13x13 is meant.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import MaxPool, Parallel, Residual
from ablax.layers.normalization import rectified
from ablax.zoo import heads
from ablax.zoo.alexnet import scaled
from ablax.zoo.register import TORCHVISION, network

POOL = MaxPool(3, 2, ceil_mode=True)
BYPASSED = ("fire3", "fire5", "fire7", "fire9")
"""The fire modules whose input and output have equally many features."""


@network(
    *(224, 1_248_424, 818_924_576),
    counted=TORCHVISION,
    errors=(42.5, 19.7),
    source="Iandola et al. 2016, table 3",
)
def squeezenet_1_0(classes: int = 1000) -> Network:
    """SqueezeNet of the paper's table 1, for images of 224 pixels; as many parameters as there."""
    tail = Layers(conv1=rectified(96, 7, stride=2, padding="VALID"), pool1=POOL)
    return Network(tail, _body(pooled=(4, 8)), heads.convolution(classes))


@network(224, 1_235_496, 349_151_936, counted=TORCHVISION)
def squeezenet_1_1(classes: int = 1000) -> Network:
    """SqueezeNet of the authors' second file: a smaller first window, and pools moved forward.

    2.3 times fewer multiply-accumulates than `squeezenet_1_0`.
    """
    tail = Layers(conv1=rectified(64, 3, stride=2, padding="VALID"), pool1=POOL)
    return Network(tail, _body(pooled=(3, 5)), heads.convolution(classes))


@network(32, 727_626, 88_735_744)
def squeezenet_small(classes: int = 10, width: float = 1.0) -> Network:
    """SqueezeNet 1.1 for images of 32 or 28 pixels: the first layer keeps the size.

    An adaptation of ours: a 3x3 convolution with stride 1 and no first pool, then the eight fire
    modules and two pools of 1.1, at 32, 16 and 8 pixels.
    """
    tail = Layers(conv1=rectified(scaled(64, width), 3))
    return Network(tail, _body((3, 5), width), heads.convolution(classes))


# Table 1: the features of the 1x1 that squeezes, and of each of the two that expand.
_FIRE = {
    **{2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128)},
    **{6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)},
}


def _body(pooled: tuple[int, int], width: float = 1.0) -> Layers:
    """`fire2` to `fire9`, and a pool behind two of them."""
    body = Layers()
    for number, (squeeze, expand) in _FIRE.items():
        narrow, wide = scaled(squeeze, width), scaled(expand, width)
        body = body + Layers({f"fire{number}": fire(narrow, wide, wide)})
        if number in pooled:
            body = body + Layers({f"pool{number}": POOL})
    return body


def fire(squeeze: int, expand1x1: int, expand3x3: int) -> Sequential:
    """The fire module: 1x1 to few features, then 1x1 and 3x3 side by side.

    (N, H, W, C) -> (N, H, W, expand1x1 + expand3x3), with squeeze (C + expand1x1 + 9 expand3x3)
    weights and one bias per feature (section 3.2 and figure 1).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((1, 54, 54, 96))
        >>> jax.eval_shape(fire(16, 64, 64).init_with_output, jax.random.key(0), x)[0].shape
        (1, 54, 54, 128)
    """
    return sequential(
        squeeze=rectified(squeeze, 1),
        expand=Parallel(
            Layers(expand1x1=rectified(expand1x1, 1), expand3x3=rectified(expand3x3, 3))
        ),
    )


def with_simple_bypass(network: Network) -> Network:
    """The edit that adds to the output of fire modules 3, 5, 7 and 9 their input.

    It has no parameters, and those there are keep their paths. The paper's error falls from 42.5 /
    19.7 to 39.6 / 17.5 % (section 6, figure 2, middle, and table 3).

    Raises:
        AblaxError: The network lacks one of these modules.

    Example:
        >>> with_simple_bypass(squeezenet_1_0()).body["fire3"].residual == fire(16, 64, 64).layers
        True
    """
    body = dict(network.body.items())
    if missing := [name for name in BYPASSED if not isinstance(network.body[name], Sequential)]:
        raise AblaxError(
            f"{', '.join(missing)}: a fire module is expected; is it bypassed already?"
        )
    return network.copy(body=Layers(body | {n: Residual(body[n].layers) for n in BYPASSED}))
