"""The five orders of weight layers (W), batch normalizations (BN) and ReLUs in a residual block.

He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027,
section 4, figure 4 and table 2.

| figure | order | residual | behind the sum | 110 layers | 164 layers |
|---|---|---|---|---|---|
| 4(a) | `original` | W BN ReLU W BN | ReLU | 6.61 | 5.93 |
| 4(b) | `bn_after_addition` | W BN ReLU W | BN ReLU | 8.17 | 6.50 |
| 4(c) | `relu_before_addition` | W BN ReLU W BN ReLU | | 7.84 | 6.14 |
| 4(d) | `relu_preactivation` | ReLU W BN ReLU W BN | | 6.71 | 5.91 |
| 4(e) | `full_preactivation` | BN ReLU W BN ReLU W | | 6.37 | 5.46 |

The two columns on the right are the paper's: error in percent on CIFAR-10, median of five runs.

Every weight layer has the same path in all five (`res2a/conv1/conv`), so networks that differ in
the order alone start from bit-equal kernels. Batch-norm epsilon is 1e-5 and each scale starts at 1.
"""

from __future__ import annotations

from ablax.core import Chain, Layers, Network, chain
from ablax.layers import BatchNormalization, ReLU, Residual
from ablax.zoo.resnet_blocks import Block, Shortcut, WeightLayers, convolution, linear, weights


def original(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(a): normalized weight layers, and a ReLU behind each and behind the sum."""

    def block(channels: int, features: int, stride: int) -> Residual:
        *inner, last = weight_layers(features, stride)
        return Residual(
            residual=_numbered([convolution(*layer) for layer in inner] + [linear(*last)]),
            shortcut=shortcut(channels, features, stride),
            after=Layers(relu=ReLU()),
        )

    return block


def bn_after_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(b): the last normalization stands behind the sum, in everybody's way."""

    def block(channels: int, features: int, stride: int) -> Residual:
        *inner, last = weight_layers(features, stride)
        bare = chain(conv=weights(*last))
        return Residual(
            residual=_numbered([convolution(*layer) for layer in inner] + [bare]),
            shortcut=shortcut(channels, features, stride),
            after=Layers(bn=BatchNormalization(), relu=ReLU()),
        )

    return block


def relu_before_addition(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(c): the last ReLU stands in front of the sum, so a residual is never negative."""

    def block(channels: int, features: int, stride: int) -> Residual:
        layers = weight_layers(features, stride)
        return Residual(
            residual=_numbered([convolution(*layer) for layer in layers]),
            shortcut=shortcut(channels, features, stride),
        )

    return block


def relu_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(d): a ReLU in front of each weight layer, normalization behind.

    Blocks that change the shape apply their first ReLU in front of the fork (`share_activation`).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        first, *others = weight_layers(features, stride)
        behind = [
            chain(relu=ReLU(), conv=weights(*layer), bn=BatchNormalization()) for layer in others
        ]
        made = Residual(
            residual=Layers(preactivation=chain(relu=ReLU()))
            + _numbered([linear(*first), *behind]),
            shortcut=shortcut(channels, features, stride),
        )
        return share_activation(made) if (channels, stride) != (features, 1) else made

    return block


def full_preactivation(weight_layers: WeightLayers, shortcut: Shortcut) -> Block:
    """Figure 4(e): normalization and ReLU in front of each weight layer, nothing behind the sum.

    Blocks that change the shape activate in front of the fork, as in the authors' code
    (`share_activation`).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        first, *others = weight_layers(features, stride)
        behind = [
            chain(bn=BatchNormalization(), relu=ReLU(), conv=weights(*layer)) for layer in others
        ]
        made = Residual(
            residual=Layers(preactivation=chain(bn=BatchNormalization(), relu=ReLU()))
            + _numbered([chain(conv=weights(*first)), *behind]),
            shortcut=shortcut(channels, features, stride),
        )
        return share_activation(made) if (channels, stride) != (features, 1) else made

    return block


def share_activation(block: Residual) -> Residual:
    """The block with its `preactivation` in front of the fork, so that the shortcut sees it too."""
    residual = dict(block.residual.items())
    shared = Layers(preactivation=residual.pop("preactivation"))
    return block.copy(before=shared, residual=Layers(residual))


def activate_ends(network: Network) -> Network:
    """The pre-activated network with the first and the last activation where the authors have them.

    The first block activates in front of its fork, right behind the first convolution; the sum of
    the last block is activated once more, as `activation`, in front of the head.

    Args:
        network: One whose blocks have a `preactivation`.

    References:
        He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks, appendix.
    """
    (first, block), *others = network.body.items()
    assert isinstance(block, Residual)
    if "preactivation" in block.residual:
        block = share_activation(block)
    activation = Layers(activation=block.before["preactivation"])
    return network.copy(body=Layers({first: block, **dict(others)}) + activation)


def _numbered(layers: list[Chain]) -> Layers:
    """`conv1`, `conv2`, ..."""
    return Layers({f"conv{number}": layer for number, layer in enumerate(layers, 1)})
