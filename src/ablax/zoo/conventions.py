"""The choices that papers leave open and libraries make differently, read off a network."""

from __future__ import annotations

from collections.abc import Iterator

from ablax.core import Layers, Network, inner_layers
from ablax.layers import AveragePool, BatchNormalization, LocalResponseNormalization, MaxPool


def conventions(network: Network) -> tuple[str, ...]:
    """What the network rounds, counts and adds, one remark a convention, each once.

    How a pool rounds the number of its windows; whether an average counts its padding; the epsilon
    of batch normalization; what multiplies the sum of squares in local response normalization, as
    here, and as PyTorch and Caffe write it, who divide by the number of channels first.

    Args:
        network: Any network.

    Example:
        >>> from ablax.zoo import alexnet
        >>> conventions(alexnet())
        ('LRN alpha 0.0001 on the sum (0.0005 on the mean), k 2.0', 'max pool rounds to floor')
    """
    return tuple(sorted(set(_found(network.layers))))


def _found(layers: Layers) -> Iterator[str]:
    for _, layer in layers.items():
        yield from _remarks(layer)
        for inner in inner_layers(layer).values():
            yield from _found(inner)


def _remarks(layer: object) -> Iterator[str]:
    if isinstance(layer, MaxPool):
        yield f"max pool rounds to {layer.rounding}"
    elif isinstance(layer, AveragePool):
        yield f"average pool rounds to {layer.rounding}"
        if layer.padding not in ("VALID", 0):
            counts = "counts" if layer.count_padding else "leaves out"
            yield f"average pool {counts} its padding"
    elif isinstance(layer, BatchNormalization):
        yield f"batch-norm epsilon {layer.epsilon:g}"
    elif isinstance(layer, LocalResponseNormalization):
        mean = layer.alpha * layer.size
        yield f"LRN alpha {layer.alpha:.3g} on the sum ({mean:.3g} on the mean), k {layer.k}"
