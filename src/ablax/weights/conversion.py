"""Tensors of other libraries as variables of ours: layouts and folded biases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ablax.core import (
    ImageShape,
    Layers,
    Network,
    abstract_variables,
    inner_layers,
    layer_shapes,
    leaves_by_path,
)
from ablax.errors import WeightsError
from ablax.layers import Dense, Flatten

# ------------------------------------------------------------------------------------------
# PyTorch's tensors as our variables: names, axes, and the order in which a vector is read.
#
# PyTorch keeps a convolution as (features, channels, height, width) and a dense layer as (outputs,
# inputs); ours are (height, width, channels, features) and (inputs, outputs). A dense layer behind
# `Flatten` also reads another order: PyTorch lays maps out channel by channel, we pixel by
# pixel.

ModuleName = Callable[[str], str]
"""From the path of a layer (`res2a/conv1/conv`) to PyTorch's module (`layer1.0.conv1`)."""

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "slope": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_NOT_WEIGHTS = ("num_batches_tracked",)
_MISFITS = {"missing": "missing", "another": "of another shape", "left": "left over"}


def tensor_name(path: str, module_name: ModuleName) -> str:
    """PyTorch's name of a leaf of our variables.

    Args:
        path: Of the leaf, such as `conv1/conv/kernel`.
        module_name: The family's names.

    Example:
        >>> tensor_name("conv1/conv/kernel", lambda path: "features.0")
        'features.0.weight'
    """
    module, leaf = path.rsplit("/", 1)
    return f"{module_name(module)}.{_LEAVES.get(leaf, leaf)}"


def tensor_shapes(
    network: Network, image_shape: ImageShape, module_name: ModuleName
) -> dict[str, tuple[int, ...]]:
    """The tensors that PyTorch's definition of the network has, by its names.

    Args:
        network: Of the zoo.
        image_shape: (H, W, C) in pixels and channels.
        module_name: The family's names.

    Returns:
        From each name to PyTorch's shape, in our order.

    Raises:
        WeightsError: Two leaves have the same name there.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path, leaf in _leaves(abstract_variables(network, image_shape)).items():
        name = tensor_name(path.split("/", 1)[1], module_name)
        if name in shapes:
            raise WeightsError(f"two parameters are both called {name!r} in PyTorch: one is {path}")
        shapes[name] = tuple(leaf.shape[axis] for axis in _AXES[leaf.ndim])
    return shapes


def leaf_paths(network: Network, image_shape: ImageShape) -> tuple[str, ...]:
    """The paths of all parameters and running statistics, such as `conv1/bn/mean`."""
    leaves = _leaves(abstract_variables(network, image_shape))
    return tuple(path.split("/", 1)[1] for path in leaves)


def from_torch(
    network: Network,
    image_shape: ImageShape,
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    module_name: ModuleName,
) -> dict[str, Any]:
    """Our variables with PyTorch's values in them.

    Args:
        network: Of the zoo.
        image_shape: (H, W, C): the maps in front of a `Flatten` depend on it.
        tensors: PyTorch's `state_dict` as numpy arrays. A dense layer may be kept as a 1x1
            convolution there.
        module_name: The family's names.

    Returns:
        `{"params": ...}` in float32, and `"batch_stats"` where there is batch normalization.

    Raises:
        WeightsError: Tensors that are missing, left over, or of another shape, listed by name.
            Nothing is loaded then.
    """
    abstract = abstract_variables(network, image_shape)
    maps = _vectorized(network, image_shape)
    arrays: dict[str, Any] = {}
    wrong: list[str] = []
    left = {name for name in tensors if not name.endswith(_NOT_WEIGHTS)}
    for path, leaf in _leaves(abstract).items():
        name = tensor_name(path.split("/", 1)[1], module_name)
        left.discard(name)
        if name not in tensors:
            wrong.append(f"missing: {name} (our {path})")
            continue
        layer = path.split("/", 1)[1].rsplit("/", 1)[0]
        array = _ours(np.asarray(tensors[name]), leaf.shape, maps.get(layer))
        if array is None:
            given = tuple(np.shape(tensors[name]))
            wrong.append(f"another shape: {name} is {given}, our {path} is {tuple(leaf.shape)}")
        arrays[path] = array
    wrong += [f"left over: {name}" for name in sorted(left)]
    if wrong:
        counts = (
            f"{sum(line.startswith(kind) for line in wrong)} {words}"
            for kind, words in _MISFITS.items()
        )
        title = f"the tensors do not fit the network: {', '.join(counts)}"
        raise WeightsError("\n  ".join([title, *wrong]))
    return _filled(abstract, arrays)


_AXES = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,), 0: ()}
"""Where PyTorch's axes are among ours, by rank: (F, C, h, w) from (h, w, C, F)."""


def _ours(
    tensor: np.ndarray, shape: tuple[int, ...], maps: tuple[int, ...] | None
) -> np.ndarray | None:
    """The tensor in our axes, or None where it does not fit."""
    if tensor.ndim == 4 and len(shape) == 2 and tensor.shape[2:] == (1, 1):
        tensor = tensor[:, :, 0, 0]
    if tensor.ndim != len(shape) or tensor.ndim not in _AXES:
        return None
    if tensor.ndim == 2 and maps is not None and tensor.shape[1] == np.prod(maps):
        height, width, channels = maps
        pixels = tensor.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        tensor = pixels.reshape(tensor.shape)
    array = tensor.transpose(np.argsort(_AXES[tensor.ndim]))
    return np.asarray(array, np.float32) if array.shape == shape else None


def _vectorized(network: Network, image_shape: ImageShape) -> dict[str, tuple[int, ...]]:
    """The maps (H, W, C) that a dense layer behind a `Flatten` reads, by the layer's path."""
    shapes = layer_shapes(network, image_shape)
    found: dict[str, tuple[int, ...]] = {}
    maps: tuple[int, ...] = image_shape
    waiting: tuple[int, ...] | None = None

    def walk(layers: Layers, prefix: str) -> None:
        nonlocal maps, waiting
        for name, layer in layers.items():
            path = prefix + name
            if isinstance(layer, Flatten):
                waiting = maps
            elif isinstance(layer, Dense) and waiting is not None:
                found[path] = waiting
                waiting = None
            for inner in inner_layers(layer).values():
                walk(inner, f"{path}/")
            maps = shapes.get(path, maps)

    walk(network.layers, "")
    return found


def _leaves(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of `params` and `batch_stats`, under `collection/path`."""
    kept = {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}
    return leaves_by_path(kept)


def _filled(variables: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    def fill(tree: Any, prefix: str) -> Any:
        if not isinstance(tree, Mapping):
            return jnp.asarray(arrays[prefix])
        return {key: fill(below, f"{prefix}/{key}") for key, below in tree.items()}

    return {
        name: fill(variables[name], name) for name in ("params", "batch_stats") if name in variables
    }


# ------------------------------------------------------------------------------------------
# Biases in front of batch normalization, which our networks do not have and do not need.


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
