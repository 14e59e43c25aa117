"""A network made with the layer, and an ablation of it."""

from ablax.core import Layers, Network, Sequential, compose, replace, sequential
from ablax.layers import Convolution, MaxPool, ReLU
from ablax.zoo import heads, network
from stranger.layers import BlurPool


def convolution(features: int) -> Sequential:
    """A 3x3 convolution that keeps the size, and ReLU."""
    return sequential(conv=Convolution(features, 3, padding=1), relu=ReLU())


def blurred_pool() -> Sequential:
    """The maximum of 2x2 at every place, blurred and then subsampled."""
    return sequential(max=MaxPool(2, 1, padding="SAME"), blur=BlurPool())


@network(image=32, channels=1)
def tiny_net(classes: int = 10, features: int = 8) -> Network:
    """Two convolutions, each with a blurred pool behind it, and a global average."""
    return Network(
        tail=Layers(conv1=convolution(features), pool1=blurred_pool()),
        body=Layers(conv2=convolution(2 * features), pool2=blurred_pool()),
        head=heads.global_average_pool(classes),
    )


without_blur = compose(replace("pool1", MaxPool(2, 2)), replace("pool2", MaxPool(2, 2)))
"""Plain max pools, as large and as far apart."""
