"""What TensorFlow's definitions do otherwise: where padding goes, and what keeps a root from zero.

`padding="same"` there adds as few zeros as give ceil(size / stride) pixels, and where their number
is odd one more behind than in front; PyTorch's padding is the same on all sides. At stride 1 the
two agree, at stride 2 and an even size they are a pixel apart.
"""

from __future__ import annotations

from ablax.core import Layers, Network, edit
from ablax.layers import AveragePool, BatchNormalization, Convolution, MaxPool

_KEPT = (0, "VALID", "SAME")


def tensorflow_conventions(network: Network) -> Network:
    """The edit that pads as TensorFlow does, and sets batch-norm epsilon 1e-3 as Keras does.

    Convolutions and pools that are padded get `padding="SAME"`; those that are not stay so.

    Raises:
        EditError: The network has nothing of the kind.

    Example:
        >>> from ablax.zoo import mobilenet_v1
        >>> tensorflow_conventions(mobilenet_v1()).layers["conv1"].layers["conv"].padding
        'SAME'
    """

    def rewrite(path: str, layer: object) -> Layers | None:
        name = path.rsplit("/", 1)[-1]
        if isinstance(layer, BatchNormalization):
            return Layers({name: layer.copy(epsilon=1e-3)})
        if isinstance(layer, (Convolution, MaxPool, AveragePool)) and layer.padding not in _KEPT:
            return Layers({name: layer.copy(padding="SAME")})
        return None

    return edit(network, rewrite)
