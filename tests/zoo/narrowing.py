"""Networks small enough to train in a test: few features, few blocks, images of 32 pixels."""

from ablax.core import Layers, edit
from ablax.layers import Convolution, Dense
from ablax.zoo.googlenet import normalized


def narrowed(network, divisor, classes=4):
    """The network with `features / divisor` in every layer, and `classes` scores.

    Sums of features stay sums, so residual blocks still fit where the divisor divides them all.
    """

    def rewrite(path, layer):
        name = path.rsplit("/", 1)[-1]
        if isinstance(layer, (Convolution, Dense)):
            last = path.split("/")[0] == "classifier"
            features = classes if last else max(1, layer.features // divisor)
            return Layers({name: layer.copy(features=features)})
        return None

    return edit(network, rewrite)


def shortened(network, *names):
    """The network with these layers of its body alone, in this order."""
    return network.copy(body=Layers({name: network.body[name] for name in names}))


def at_32_pixels(network, features):
    """The network behind one 3x3 convolution instead of its tail."""
    return network.copy(tail=Layers(conv1=normalized(features, 3)))
