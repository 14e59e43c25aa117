"""Biases in front of batch normalization, which our networks do not have and do not need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ablax.interop.torch_weights import ModuleName


def fold_biases(
    tensors: Mapping[str, np.ndarray], paths: Iterable[str], names: ModuleName
) -> dict[str, np.ndarray]:
    """Take the bias of a convolution into the running mean behind it: BN(x + b) is BN'(x).

    (x + b - mean) / sqrt(var + e) = (x - (mean - b)) / sqrt(var + e).

    Args:
        tensors: By the names of the library.
        paths: Of our leaves, such as `conv1/conv/kernel`.
        names: From our paths to the library's names.

    Returns:
        The tensors without those biases.

    Example:
        >>> theirs = {"c.bias": np.array([1.0]), "n.running_mean": np.array([3.0])}
        >>> names = {"conv1/conv": "c", "conv1/bn": "n"}.get
        >>> fold_biases(theirs, ["conv1/conv/kernel", "conv1/bn/mean"], names)
        {'n.running_mean': array([2.])}
    """
    ours = set(paths)
    folded = dict(tensors)
    for path in ours:
        layer, _, leaf = path.rpartition("/")
        block, _, kind = layer.rpartition("/")
        if leaf != "kernel" or f"{layer}/bias" in ours or f"{block}/bn/mean" not in ours:
            continue
        if kind not in ("conv", "pointwise"):
            continue
        bias, mean = f"{names(layer)}.bias", f"{names(f'{block}/bn')}.running_mean"
        if bias in folded and mean in folded:
            folded[mean] = folded[mean] - folded.pop(bias)
    return folded
