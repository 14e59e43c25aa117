"""Xception: an Inception module taken to its extreme, space and channels convolved one by one.

Chollet (2016): Xception: deep learning with depthwise separable convolutions. arXiv 1610.02357,
figure 5, section 3 and 4.3. Author's code: keras.applications.xception.

A separable convolution is a depthwise 3x3 and a 1x1, with nothing between them: section 4.7 finds
that a nonlinearity there hurts. Three flows: `entry1` to `entry3` halve rows and columns and raise
the features to 728, `middle1` to `middle8` keep both, `exit1` to `exit3` end at 2048 features. All
but the last two are residual blocks, with a 1x1 convolution on the shortcut where the shape
changes.

Conventions: 299 pixels; the first convolution is not padded and has stride 2, the second neither;
max pools are padded by 1 on each side and round down, as in timm (the author's TensorFlow pads an
even size only behind); batch-norm epsilon 1e-5, momentum 0.9 (the author's code has 1e-3 and 0.99);
dropout of 0.5 in front of the classifier, as in section 4.3, which the code of timm and Keras
leaves out. Initial weights are He's, of variance 2 over the inputs of a layer.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, MaxPool, ReLU, Residual
from ablax.layers.normalization import normalized
from ablax.zoo import heads
from ablax.zoo.alexnet import scaled
from ablax.zoo.register import TIMM, network

ENTRY = (128, 256, 728)
"""Features of the three residual blocks of the entry flow."""


@network(
    *(299, 22_855_952, 8_357_403_496),
    counted=TIMM,
    errors=(21.0, 5.5),
    source="Chollet 2016, table 1",
)
def xception(classes: int = 1000) -> Network:
    """Xception of figure 5, for images of 299 pixels; the paper prints as many parameters."""
    tail = Layers(conv1=_unpadded(32, stride=2), conv2=_unpadded(64, stride=1))
    return _flows(tail, (2, 2, 2), middle=8, classes=classes, width=1.0)


@network(32, 20_827_442, 1_129_681_408)
def xception_small(classes: int = 10, width: float = 1.0, middle: int = 8) -> Network:
    """Xception for images of 32 or 28 pixels: two of the five strides of 2 become 1.

    The first two convolutions are padded and have stride 1, and the third block of the entry flow
    pools with stride 1 and keeps its 8x8 pixels; the last maps have 4x4. The choice is that of
    weiaicunzai/pytorch-cifar100; the paper has no such form. `middle` are the blocks of that flow,
    at least 0.
    """
    if middle < 0:
        raise AblaxError(f"middle={middle} blocks: a number of at least 0 is expected, such as 8")
    tail = Layers(
        conv1=normalized(scaled(32, width), 3, relu=ReLU()),
        conv2=normalized(scaled(64, width), 3, relu=ReLU()),
    )
    return _flows(tail, (2, 2, 1), middle, classes, width)


def _flows(
    tail: Layers, strides: tuple[int, int, int], middle: int, classes: int, width: float
) -> Network:
    """Figure 5 behind its first two convolutions."""
    channels = scaled(64, width)
    body = Layers()
    for number, (features, stride) in enumerate(zip(ENTRY, strides, strict=True), start=1):
        wide = scaled(features, width)
        # The first block comes behind a ReLU and has none of its own.
        block = _shrinking(channels, (wide, wide), stride, relu_first=number > 1)
        body = body + Layers({f"entry{number}": block})
        channels = wide
    for number in range(1, middle + 1):
        body = body + Layers({f"middle{number}": Residual(_separables(channels, (channels,) * 3))})
    narrow, wide, last = scaled(1024, width), scaled(1536, width), scaled(2048, width)
    body = body + Layers(
        exit1=_shrinking(channels, (channels, narrow), 2),
        exit2=Sequential(_separable(narrow, wide).layers + Layers(relu=ReLU())),
        exit3=Sequential(_separable(wide, last).layers + Layers(relu=ReLU())),
    )
    return Network(tail, body, heads.global_average_pool(classes, dropout=0.5))


def _shrinking(
    channels: int, features: tuple[int, int], stride: int, relu_first: bool = True
) -> Residual:
    """Two separable convolutions and a max pool; the shortcut is a 1x1 of the same stride."""
    layers = _separables(channels, features)
    kept = Layers({name: layer for name, layer in layers.items() if relu_first or name != "relu1"})
    return Residual(
        residual=kept + Layers(pool=MaxPool(3, stride, padding=1)),
        shortcut=Layers(projection=normalized(features[-1], 1, stride)),
    )


def _separables(channels: int, features: tuple[int, ...]) -> Layers:
    """`relu1`, `sep1`, `relu2`, `sep2`, ...: each separable convolution behind a ReLU."""
    layers = Layers()
    for number, wide in enumerate(features, start=1):
        pair = {f"relu{number}": ReLU(), f"sep{number}": _separable(channels, wide)}
        layers = layers + Layers(pair)
        channels = wide
    return layers


def _separable(channels: int, features: int) -> Sequential:
    """A depthwise 3x3 and a 1x1 with nothing between them, then batch normalization."""
    return sequential(
        depthwise=Convolution(channels, 3, padding=1, groups=channels, use_bias=False),
        pointwise=Convolution(features, 1, use_bias=False),
        bn=BatchNormalization(),
    )


def _unpadded(features: int, stride: int) -> Sequential:
    convolution = Convolution(features, 3, stride, padding=0, use_bias=False)
    return sequential(conv=convolution, bn=BatchNormalization(), relu=ReLU())
