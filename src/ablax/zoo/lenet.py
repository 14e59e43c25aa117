"""LeNet-5, the network that read checks.

LeCun, Bottou, Bengio, Haffner (1998): Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86, section II.B and figure 2.
"""

from __future__ import annotations

from ablax.core import Chain, Layers, Network, chain
from ablax.errors import AblaxError
from ablax.layers import AveragePool, Convolution, Dense, Tanh, Vectorize
from ablax.layers.initializers import LECUN_NORMAL


def lenet5(classes: int = 10, image_size: int = 32) -> Network:
    """LeNet-5 for images of 32 pixels, or of 28 padded to them.

    61,706 parameters and 0.42 M multiply-accumulates with one channel. Differences from the paper:
    C3 reads all six maps of S2 (its table I connects some), S2 and S4 are plain averages (the paper
    learns a gain and a bias for each map), tanh instead of 1.7159 tanh(2x/3), and a dense output
    layer instead of distances to 84-bit codes.

    Args:
        classes: Scores an image.
        image_size: 32, or 28 (MNIST's size, padded by 2 on each side as the paper does).

    Raises:
        AblaxError: Another image size.
    """
    if image_size not in (28, 32):
        raise AblaxError(
            f"LeNet-5 takes images of 32 pixels, or 28 padded to 32, and {image_size} were given: "
            "resize them (--data.image-size 32)"
        )
    return Network(
        tail=Layers(c1=_convolution(6, (32 - image_size) // 2), s2=AveragePool(2, 2)),
        body=Layers(c3=_convolution(16), s4=AveragePool(2, 2), c5=_convolution(120)),
        head=Layers(
            vectorize=Vectorize(),
            f6=chain(dense=Dense(84, kernel_init=LECUN_NORMAL), tanh=Tanh()),
            output=Dense(classes, kernel_init=LECUN_NORMAL),
        ),
    )


def _convolution(features: int, padding: int = 0) -> Chain:
    convolution = Convolution(features, 5, padding=padding, kernel_init=LECUN_NORMAL)
    return chain(conv=convolution, tanh=Tanh())
