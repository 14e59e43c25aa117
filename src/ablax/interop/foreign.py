"""A network of the zoo with the weights of others in it: nothing is loaded unless all fits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablax.core import ImageShape, Network, parameter_shapes
from ablax.errors import WeightsError
from ablax.interop.class_names import class_names
from ablax.interop.folded_biases import fold_biases
from ablax.interop.origins import Origin, find_origin, origins_of
from ablax.interop.origins.origin import Tensors
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_weights import from_torch, leaf_paths, tensor_shapes
from ablax.interop.weight_files import read_weights
from ablax.zoo import find


@dataclass(frozen=True)
class Foreign:
    """What a file of weights became.

    Attributes:
        name: Of the network in the zoo.
        network: It, changed where the origin computes something else.
        variables: Its parameters and statistics.
        origin: Whose weights they are.
        preprocessing: What the images need.
        classes: The name of each class.
        left_out: Names of tensors that are not needed.
    """

    name: str
    network: Network
    variables: dict[str, Any]
    origin: Origin
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C) of the images it takes."""
        return self.preprocessing.image_shape


def load_foreign(name: str, path: Path, library: str | None = None) -> Foreign:
    """The network with the weights of a file of PyTorch's, safetensors', Caffe's or Keras'.

    Args:
        name: Of the network in the zoo.
        path: The file.
        library: Whose weights they are, where several have such files; by default the one whose
            names fit best.

    Raises:
        WeightsError: The file cannot be read, or does not fit the network: what is missing, left
            over or of another shape is listed by name, and nothing is loaded.
        AblaxError: There is no such network.
    """
    find(name)
    form, tensors = read_weights(path)
    origin = choose_origin(name, form, tensors, library)
    foreign = take_over(name, tensors, origin)
    for known in origin.files:
        if known.name == path.name and known.resize is not None:
            resized = dataclasses.replace(foreign.preprocessing, resize=known.resize)
            return dataclasses.replace(foreign, preprocessing=resized)
    return foreign


def take_over(name: str, tensors: Tensors, origin: Origin) -> Foreign:
    """The network with these tensors as its weights.

    Args:
        name: Of the network in the zoo.
        tensors: By the names they have in the file, in PyTorch's order of axes.
        origin: Whose they are.

    Raises:
        WeightsError: They do not fit the network.
    """
    tensors = origin.prepare(tensors) if origin.prepare else tensors
    left_out = tuple(
        each for each in tensors if origin.left_out and each.startswith(origin.left_out)
    )
    kept = {each: array for each, array in tensors.items() if each not in left_out}
    network = _network(name, kept, origin)
    shape = origin.preprocessing.image_shape
    if origin.form in ("caffe", "keras"):
        kept = fold_biases(kept, leaf_paths(network, shape), origin.names)
    variables = from_torch(network, shape, kept, origin.names)
    count = _last_shape(network, shape)[1][-1]
    names = class_names(origin.classes, count)
    return Foreign(name, network, variables, origin, origin.preprocessing, names, left_out)


def choose_origin(name: str, form: str, tensors: Tensors, library: str | None = None) -> Origin:
    """Whose tensors these are: of the origins of that form, the one whose names fit best.

    Raises:
        WeightsError: The network takes no weights of that form, or none of the library.
    """
    candidates = [each for each in origins_of(name) if each.form == form]
    if library is not None:
        candidates = [find_origin(name, library)]
    if not candidates:
        takes = ", ".join(each.title for each in origins_of(name)) or "nobody's"
        raise WeightsError(f"{name} takes no weights of {form}'s form; it takes {takes}")
    return max(candidates, key=lambda origin: _fit(name, origin, tensors))


def _fit(name: str, origin: Origin, tensors: Tensors) -> int:
    """How many of the names the network asks for are there."""
    shape = origin.preprocessing.image_shape
    wanted = tensor_shapes(find(name).build(), shape, origin.names)
    # Some names are put right only in `prepare`, which refuses tensors of another network.
    try:
        there = origin.prepare(tensors) if origin.prepare else tensors
    except WeightsError:
        return 0
    return len(set(wanted) & set(there))


def _network(name: str, tensors: Tensors, origin: Origin) -> Network:
    """The network with as many classes as the tensors have scores."""
    build, shape = find(name).build, origin.preprocessing.image_shape
    network = build()
    path, ours = _last_shape(network, shape)
    theirs = tensors.get(f"{origin.names(path.rpartition('/')[0])}.weight")
    if theirs is not None and theirs.ndim in (2, 4) and theirs.shape[0] != ours[-1]:
        network = build(classes=int(theirs.shape[0]))
    return origin.change(network) if origin.change else network


def _last_shape(network: Network, shape: ImageShape) -> tuple[str, tuple[int, ...]]:
    """Path and shape of the kernel of the last layer that has one, the classifier."""
    head = [f"{layer}/" for layer in network.head]
    kernels = {
        path: size
        for path, size in parameter_shapes(network, shape).items()
        if path.endswith("/kernel") and path.startswith(tuple(head))
    }
    last = max(kernels, key=lambda path: head.index(f"{path.partition('/')[0]}/"))
    return last, kernels[last]
