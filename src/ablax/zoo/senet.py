"""Squeeze-and-excitation networks: residual networks that scale each channel by what all say.

Hu, Shen, Sun (2017): Squeeze-and-excitation networks. arXiv 1709.01507, sections 3 and 4, table 1.
Authors' code and prototxt files: hujie-frank/SENet.

Behind the last convolution of every block, before the sum, stands the gate `se`: the mean of each
channel, a dense layer to 1/16 of the channels, ReLU, a dense layer back, sigmoid, times the
channel. Both dense layers have biases, as in the authors' files (the paper's equation 3 omits
them).

Conventions, as in the authors' files and in timm's `legacy_` networks: the first max pool is not
padded and rounds up (torchvision's ResNets pad by 1 and round down); SE-ResNet strides in the first
1x1, SE-ResNeXt and SENet-154 in the 3x3; the gate's global average has no padding; batch-norm
epsilon 1e-5.

The errors are of the authors' re-training (README of their repository), one crop of 224 pixels; the
paper's table 2 has somewhat higher ones.
"""

from __future__ import annotations

from functools import partial

from ablax.core import Layers, Network
from ablax.layers import Residual, squeeze_excite
from ablax.layers.blocks import Highway
from ablax.layers.normalization import normalized
from ablax.zoo import heads, tails
from ablax.zoo.register import TIMM, network, row
from ablax.zoo.resnet import BASIC, BOTTLENECK, Block, option_b, original, resnet, resnet_cifar
from ablax.zoo.resnext import aggregate


def senet(counts: tuple[int, ...], block: Block, classes: int = 1000) -> Network:
    """A residual network for ImageNet with a gate in each block, and the tail of the Caffe files.

    `block` is what is gated, such as `BOTTLENECK` or `aggregate(32, 4)`.
    """
    return resnet(counts, gated(block), 256, classes).copy(tail=tails.caffe(64))


def gated(block: Block, reduction: int = 16) -> Block:
    """The same blocks with a squeeze-and-excitation gate `se` at the end of their residual.

    y = after(shortcut(x) + se(residual(x))); so any residual network becomes one of these. The
    reduction is features of a block over units of its gate.

    Raises:
        FieldError: In use, when the reduction leaves a gate without a unit.
    """

    def with_gate(channels: int, features: int, stride: int) -> Residual | Highway:
        plain = block(channels, features, stride)
        return plain.copy(residual=plain.residual + Layers(se=squeeze_excite(features, reduction)))

    return with_gate


def wide_middle(features: int, stride: int) -> tuple[tuple[int, ...], ...]:
    """1x1 to half the features, 3x3 to all in 64 groups, 1x1: the layers of SENet-154's block."""
    return ((features // 2, 1, 1), (features, 3, stride, 64), (features, 1, 1))


def wide_projection(channels: int, features: int, stride: int) -> Layers:
    """Option B, but a 3x3 convolution with stride 2 where rows and columns halve."""
    if stride == 1:
        return option_b(channels, features, stride)
    return Layers(projection=normalized(features, 3, stride))


_HU = "the authors' repository of Hu et al. 2017, centre crop"
_gated = partial(row, senet, 224, counted=TIMM, source=_HU)
_AGGREGATE = aggregate(cardinality=32, width=4)

se_resnet50 = _gated(((3, 4, 6, 3), BOTTLENECK), 28_088_024, 3_860_488_192, (22.37, 6.36))
se_resnet101 = _gated(((3, 4, 23, 3), BOTTLENECK), 49_326_872, 7_574_937_600, (21.75, 5.72))
se_resnet152 = _gated(((3, 8, 36, 3), BOTTLENECK), 66_821_848, 11_288_993_792, (21.34, 5.54))
se_resnext50_32x4d = _gated(((3, 4, 6, 3), _AGGREGATE), 27_559_896, 4_232_994_816, (20.97, 5.54))
se_resnext101_32x4d = _gated(
    ((3, 4, 23, 3), _AGGREGATE), 48_955_416, 7_974_739_968, (19.81, 4.96), counted=""
)


@network(224, 115_088_984, 20_688_363_520, counted=TIMM, errors=(18.68, 4.47), source=_HU)
def senet154(classes: int = 1000) -> Network:
    """SENet-154, which won ILSVRC 2017: a ResNeXt-152 64x4d with gates and four changes.

    Three 3x3 convolutions in the tail, half the features in the first 1x1 of a block, 3x3
    projections where rows and columns halve, dropout of 0.2 in front of the classifier. "64x4d" is
    then said of the 3x3: 256 features in 64 groups of 4 in the first stage.
    """
    block = gated(original(wide_middle, wide_projection))
    whole = resnet((3, 8, 36, 3), block, 256, classes, channels=128)
    head = heads.global_average_pool(classes, dropout=0.2)
    return whole.copy(tail=tails.senet(128), head=head)


@network(32, 272_095, 40_553_056)
def se_resnet20(classes: int = 10) -> Network:
    """SE-ResNet-20 for images of 32 pixels: ResNet-20 with a gate in each block.

    An adaptation of ours: the ResNet-20 of He et al. 2015 (section 4.2, shortcut option A) and the
    gate with reduction 16, which leaves 1, 2 and 4 units in the three stages. The paper's CIFAR
    networks are SE-ResNet-110 and 164. moskomule/senet.pytorch has a network of this name with
    projections as shortcuts and no biases in the gate.
    """
    return resnet_cifar(20, classes, gated(BASIC))
