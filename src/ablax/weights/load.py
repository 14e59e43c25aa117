"""Weights of others, opened: from their file, or from a folder that `ablax import` wrote."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablax.core import ImageShape, Network, abstract_variables, parameter_shapes
from ablax.errors import AblaxError, WeightsError
from ablax.files import write_atomic
from ablax.training import checkpoint
from ablax.weights.conversion import fold_biases, from_torch, leaf_paths, tensor_shapes
from ablax.weights.files import read_weights
from ablax.weights.preprocessing import Preprocessing, class_names, from_json
from ablax.weights.sources import Tensors, WeightSource, find_source, sources_of
from ablax.zoo import find

# ------------------------------------------------------------------------------------------
# A network of the zoo with the weights of others in it: nothing is loaded unless all fits.


@dataclass(frozen=True)
class Foreign:
    """What a file of weights became.

    Attributes:
        name: Of the network in the zoo.
        network: It, changed where the source computes something else.
        variables: Its parameters and statistics.
        source: Whose weights they are.
        preprocessing: What the images need.
        classes: The name of each class.
        left_out: Names of tensors that are not needed.
    """

    name: str
    network: Network
    variables: dict[str, Any]
    source: WeightSource
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
    source = choose_source(name, form, tensors, library)
    foreign = import_tensors(name, tensors, source)
    for known in source.files:
        if known.name == path.name and known.resize is not None:
            resized = dataclasses.replace(foreign.preprocessing, resize=known.resize)
            return dataclasses.replace(foreign, preprocessing=resized)
    return foreign


def import_tensors(name: str, tensors: Tensors, source: WeightSource) -> Foreign:
    """The network with these tensors as its weights.

    Args:
        name: Of the network in the zoo.
        tensors: By the names they have in the file, in PyTorch's order of axes.
        source: Whose they are.

    Raises:
        WeightsError: They do not fit the network.
    """
    tensors = source.prepare(tensors) if source.prepare else tensors
    left_out = tuple(
        each for each in tensors if source.left_out and each.startswith(source.left_out)
    )
    kept = {each: array for each, array in tensors.items() if each not in left_out}
    network = _network(name, kept, source)
    shape = source.preprocessing.image_shape
    if source.form in ("caffe", "keras"):
        kept = fold_biases(kept, leaf_paths(network, shape), source.names)
    variables = from_torch(network, shape, kept, source.names)
    count = _last_shape(network, shape)[1][-1]
    names = class_names(source.classes, count)
    return Foreign(name, network, variables, source, source.preprocessing, names, left_out)


def choose_source(
    name: str, form: str, tensors: Tensors, library: str | None = None
) -> WeightSource:
    """Whose tensors these are: of the sources of that form, the one whose names fit best.

    Raises:
        WeightsError: The network takes no weights of that form, or none of the library.
    """
    candidates = [each for each in sources_of(name) if each.form == form]
    if library is not None:
        candidates = [find_source(name, library)]
    if not candidates:
        takes = ", ".join(each.title for each in sources_of(name)) or "nobody's"
        raise WeightsError(f"{name} takes no weights of {form}'s form; it takes {takes}")
    return max(candidates, key=lambda source: _fit(name, source, tensors))


def _fit(name: str, source: WeightSource, tensors: Tensors) -> int:
    """How many of the names the network asks for are there."""
    shape = source.preprocessing.image_shape
    wanted = tensor_shapes(find(name).build(), shape, source.names)
    # Some names are put right only in `prepare`, which refuses tensors of another network.
    try:
        there = source.prepare(tensors) if source.prepare else tensors
    except WeightsError:
        return 0
    return len(set(wanted) & set(there))


def _network(name: str, tensors: Tensors, source: WeightSource) -> Network:
    """The network with as many classes as the tensors have scores."""
    build, shape = find(name).build, source.preprocessing.image_shape
    network = build()
    path, ours = _last_shape(network, shape)
    theirs = tensors.get(f"{source.names(path.rpartition('/')[0])}.weight")
    if theirs is not None and theirs.ndim in (2, 4) and theirs.shape[0] != ours[-1]:
        network = build(classes=int(theirs.shape[0]))
    return source.change(network) if source.change else network


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


# ------------------------------------------------------------------------------------------
# A folder of weights: a checkpoint of orbax, and beside it what is needed to use them.
#
# `weights.json` names the network of the zoo, whose weights they are, the preparation of the images
# and the classes; the checkpoint holds `params` and `batch_stats` with checksums, as every
# checkpoint of ablax (`ablax.training.checkpoint`).

_ABOUT = "weights.json"


def write_weights(folder: Path, foreign: Foreign, file: Path) -> None:
    """Write the weights into a folder.

    Args:
        folder: Created when missing; what it held before is replaced.
        foreign: The weights.
        file: Where they come from.

    Raises:
        AblaxError: The folder cannot be written, or holds something else.
    """
    if folder.exists() and not (folder / _ABOUT).exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder} holds something else: give another folder with --out")
    about = {
        "network": foreign.name,
        "library": foreign.source.library,
        "model": foreign.source.model,
        "file": file.name,
        "classes": len(foreign.classes),
        "preprocessing": foreign.preprocessing.as_json(),
    }
    checkpoints = checkpoint.open_checkpoints(folder, keep=1)
    try:
        checkpoint.save(checkpoints, 0, foreign.variables)
    finally:
        checkpoint.close(checkpoints)
    # Last: a folder with this file is whole.
    write_atomic(folder / _ABOUT, json.dumps(about, indent=2) + "\n")


def open_weights(name: str, path: Path, library: str | None = None) -> Foreign:
    """The weights in a folder that `ablax import` wrote, or in a file of another library.

    Args:
        name: Of the network in the zoo.
        path: The folder, or the file.
        library: Whose file it is, where its names fit several.

    Raises:
        AblaxError: There is no such folder or file, it is damaged, or it is another network's.
    """
    if path.is_file():
        return load_foreign(name, path, library)
    if not path.is_dir():
        raise WeightsError(
            f"there are no weights at {path}: give a folder that `ablax import` wrote, or a file"
        )
    return _read_folder(name, path)


def _read_folder(name: str, folder: Path) -> Foreign:
    about = _about(folder)
    if about["network"] != name:
        raise WeightsError(
            f"{folder} holds weights of {about['network']}, not of {name}: name that network"
        )
    source = find_source(name, about["library"])
    build = find(name).build
    network = build(classes=about["classes"])
    network = source.change(network) if source.change else network
    preprocessing: Preprocessing = from_json(about["preprocessing"])
    like = {
        kind: tree
        for kind, tree in abstract_variables(network, preprocessing.image_shape).items()
        if kind in ("params", "batch_stats")
    }
    checkpoints = checkpoint.open_checkpoints(folder, keep=1)
    try:
        restored = checkpoint.restore(checkpoints, like)
    finally:
        checkpoint.close(checkpoints)
    if restored is None:
        raise WeightsError(f"{folder} holds no checkpoint any more: import the weights again")
    names = class_names(source.classes, about["classes"])
    return Foreign(name, network, restored.state, source, preprocessing, names)


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / _ABOUT).read_text("utf-8"))
        return {key: about[key] for key in ("network", "library", "classes", "preprocessing")}
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder} holds no {_ABOUT}: give a folder that `ablax import` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AblaxError(f"{folder / _ABOUT} is damaged ({error}): import again") from error
