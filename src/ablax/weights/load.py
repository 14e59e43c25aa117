"""Weights of others as models of ours: layouts, names and folded biases, files and folders."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ablax.core import ImageShape, Network, abstract_variables, fingerprint, walk
from ablax.core.features import layer_shapes
from ablax.core.network import leaves_by_path, parameter_shapes
from ablax.errors import AblaxError, WeightsError
from ablax.files import sealed, unsealed, write_atomic
from ablax.layers import Dense, Flatten
from ablax.model import Model, Preprocessing, from_json
from ablax.training import checkpoint
from ablax.weights.files import read_weights
from ablax.weights.names import ModuleName
from ablax.weights.sources import Tensors, WeightSource, class_names, find_source, sources_of
from ablax.zoo import find

# PyTorch's tensors as our variables: names, axes, and the order in which a vector is read.
#
# PyTorch keeps a convolution as (features, channels, height, width) and a dense layer as (outputs,
# inputs); ours are (height, width, channels, features) and (inputs, outputs). A dense layer behind
# `Flatten` also reads another order: PyTorch lays maps out channel by channel, we pixel by
# pixel.

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "slope": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_NOT_WEIGHTS = ("num_batches_tracked",)


def tensor_name(path: str, module_name: ModuleName) -> str:
    """PyTorch's name of a leaf of our variables.

    Example:
        >>> tensor_name("conv1/conv/kernel", lambda path: "features.0")
        'features.0.weight'
    """
    module, leaf = path.rsplit("/", 1)
    return f"{module_name(module)}.{_LEAVES.get(leaf, leaf)}"


def tensor_shapes(
    network: Network, image_shape: ImageShape, module_name: ModuleName
) -> dict[str, tuple[int, ...]]:
    """The tensors that PyTorch's definition of the network has: from its names to its shapes.

    Raises:
        WeightsError: Two leaves have the same name there.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path, leaf in leaves_by_path(_kept(abstract_variables(network, image_shape))).items():
        name = tensor_name(_within(path), module_name)
        if name in shapes:
            raise WeightsError(f"two parameters are both called {name!r} in PyTorch: one is {path}")
        shapes[name] = tuple(leaf.shape[axis] for axis in _AXES[leaf.ndim])
    return shapes


def from_torch(
    network: Network,
    image_shape: ImageShape,
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    module_name: ModuleName,
) -> dict[str, Any]:
    """Our variables with PyTorch's values in them, a `state_dict` as numpy arrays, in float32.

    The maps in front of a `Flatten` depend on the images' (H, W, C). A dense layer may be a 1x1
    convolution there.

    Raises:
        WeightsError: Tensors that are missing, left over, or of another shape, listed by name.
            Nothing is loaded then.
    """
    abstract = _kept(abstract_variables(network, image_shape))
    maps = _vectorized(network, image_shape)
    arrays: list[np.ndarray] = []
    wrong: list[str] = []
    left = {name for name in tensors if not name.endswith(_NOT_WEIGHTS)}
    for path, leaf in leaves_by_path(abstract).items():
        name = tensor_name(_within(path), module_name)
        left.discard(name)
        if name not in tensors:
            wrong.append(f"missing: {name} (our {path})")
            continue
        layer = _within(path).rpartition("/")[0]
        array = _ours(np.asarray(tensors[name]), leaf.shape, maps.get(layer))
        if array is None:
            given = tuple(np.shape(tensors[name]))
            wrong.append(f"another shape: {name} is {given}, our {path} is {tuple(leaf.shape)}")
        else:
            arrays.append(array)
            wrong += [f"no numbers: {name} {flaw}" for flaw in _flaws(path, array)]
    wrong += [f"left over: {name}" for name in sorted(left)]
    if wrong:
        count = Counter(line.partition(":")[0] for line in wrong)
        title = (
            f"the tensors do not fit the network: {count['missing']} missing, "
            f"{count['another shape']} of another shape, {count['left over']} left over"
        ) + f", {count['no numbers']} with numbers that no weights have" * ("no numbers" in count)
        raise WeightsError("\n  ".join([title, *wrong]))
    return jax.tree.unflatten(jax.tree.structure(abstract), map(jnp.asarray, arrays))


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
    with np.errstate(over="ignore"):  # what overflows is found below
        return np.asarray(array, np.float32) if array.shape == shape else None


def _flaws(path: str, array: np.ndarray) -> Iterator[str]:
    """Why the numbers of a leaf can be no weights or statistics, in words; nothing where they can.

    Numbers of 64 bits that 32 bits cannot hold are infinite by now.
    """
    if strange := int(np.sum(~np.isfinite(array))):
        yield f"has {strange:,} of {array.size:,} that are not finite in float32"
    if path.endswith("/var") and np.any(array < 0):
        yield f"has a variance of {array.min():g}"


def _vectorized(network: Network, image_shape: ImageShape) -> dict[str, tuple[int, ...]]:
    """The maps (H, W, C) that a dense layer behind a `Flatten` reads, by the layer's path."""
    shapes = layer_shapes(network, image_shape)
    found: dict[str, tuple[int, ...]] = {}
    maps: tuple[int, ...] = image_shape
    waiting: tuple[int, ...] | None = None
    before = ""
    for path, layer in walk(network.layers):
        # What the layer before gave, or the one that ended with it, unless this one is inside.
        ended = "/".join(before.split("/")[: path.count("/") + 1])
        if not path.startswith(f"{ended}/"):
            maps = shapes.get(ended, maps)
        if isinstance(layer, Flatten):
            waiting = maps
        elif isinstance(layer, Dense) and waiting is not None:
            found[path], waiting = waiting, None
        before = path
    return found


def _within(path: str) -> str:
    """The path of a leaf without its collection, `params` or `batch_stats`."""
    return path.partition("/")[2]


def _kept(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: variables[kind] for kind in ("params", "batch_stats") if kind in variables}


def fold_biases(
    tensors: Mapping[str, np.ndarray], paths: Iterable[str], names: ModuleName
) -> dict[str, np.ndarray]:
    """Take the bias of a convolution into the running mean behind it, as our networks have none.

    (x + b - mean) / sqrt(var + e) = (x - (mean - b)) / sqrt(var + e).

    `paths` are those of our leaves, and `names` gives the library's, as `tensors` has them.

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
        if leaf != "kernel" or kind not in ("conv", "pointwise"):
            continue
        if f"{layer}/bias" in ours or f"{block}/bn/mean" not in ours:
            continue
        bias, mean = f"{names(layer)}.bias", f"{names(f'{block}/bn')}.running_mean"
        if bias in folded and mean in folded:
            folded[mean] = folded[mean] - folded.pop(bias)
    return folded


class Imported(NamedTuple):
    """What a file of weights became: a model, its source, and the tensors that are not needed.

    The model's network is changed where the source computes something else.
    """

    model: Model
    source: WeightSource
    left_out: tuple[str, ...] = ()


def import_file(name: str, path: Path, library: str | None = None) -> Imported:
    """The network with the weights of a file of PyTorch's, safetensors', Caffe's or Keras'.

    The library is whose weights they are, where several have such files; by default the one whose
    names fit best.

    Raises:
        WeightsError: The file cannot be read, or does not fit the network: what is missing, left
            over or of another shape is listed by name, and nothing is loaded.
        AblaxError: There is no such network.
    """
    find(name)
    form, tensors = read_weights(path)
    sources = [each for each in sources_of(name) if each.form == form]
    if library is not None:
        sources = [find_source(name, library)]
    if not sources:
        takes = ", ".join(each.title for each in sources_of(name)) or "nobody's"
        raise WeightsError(f"{name} takes no weights of {form}'s form; it takes {takes}")
    source = max(sources, key=lambda each: _fit(name, each, tensors))
    found = import_tensors(name, tensors, source)
    model = dataclasses.replace(found.model, weights=f"weights {path.name} of {source.library}")
    for known in source.files:
        if known.name == path.name and known.resize is not None:
            resized = dataclasses.replace(model.preprocessing, resize=known.resize)
            model = dataclasses.replace(model, preprocessing=resized)
    return found._replace(model=model)


def import_tensors(name: str, tensors: Tensors, source: WeightSource) -> Imported:
    """The network with these tensors as its weights, in PyTorch's order of axes.

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
        leaves = leaves_by_path(_kept(abstract_variables(network, shape)))
        kept = fold_biases(kept, map(_within, leaves), source.names)
    variables = from_torch(network, shape, kept, source.names)
    count = _last_shape(network, shape)[1][-1]
    names = class_names(source.classes, count)
    weights = f"weights of {source.title}"
    model = Model(name, network, variables, source.preprocessing, names, weights)
    return Imported(model, source, left_out)


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


# A folder of weights: a checkpoint of orbax, and beside it what is needed to use them.
#
# `weights.json` names the network of the zoo, whose weights they are, the preparation of the images
# and the classes; the checkpoint holds `params` and `batch_stats` with checksums, as every
# checkpoint of ablax (`ablax.training.checkpoint`).

OURS = "ablax"
"""The library of what `save_model` writes."""
WEIGHTS = "weights.json"
"""What a folder of weights is known by."""


def write_weights(folder: Path, imported: Imported, file: Path) -> None:
    """Write the weights of a file into a folder, as `save_model` does."""
    source, classes = imported.source, len(imported.model.classes)
    about = {"library": source.library, "model": source.model, "file": file.name}
    _write(folder, imported.model, {**about, "classes": classes})


def save_model(model: Model, folder: Path | str) -> None:
    """Write a model into a folder, from which `ablax.load_model(folder, network=...)` takes it.

    What is written is data alone: a checkpoint with checksums, and `weights.json` with name,
    classes, preparation of images and the network's fingerprint. The network itself is code. A
    model that the folder held before is replaced.

    Raises:
        AblaxError: The folder cannot be written, or holds something else.
    """
    about = {
        "library": OURS,
        "fingerprint": fingerprint(model.network, model.image_shape),
        "classes": list(model.classes),
        "weights": model.weights,
        "precision": model.precision,
    }
    _refuse_flaws(model.variables, f"the weights of {model.name} are no numbers")
    _write(Path(folder), model, about)


def _write(folder: Path, model: Model, about: Mapping[str, Any]) -> None:
    if folder.exists() and not (folder / WEIGHTS).exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder} holds something else: give another folder")
    (folder / WEIGHTS).unlink(missing_ok=True)
    with checkpoint.open_checkpoints(folder, keep=1) as checkpoints:
        kept = {kind: tree for kind, tree in model.variables.items() if tree}
        checkpoint.save(checkpoints, 0, kept)
    # Last: a folder with this file is whole.
    whole = {"network": model.name, **about, "preprocessing": model.preprocessing.as_json()}
    whole["checkpoint"] = _digest(folder)
    write_atomic(folder / WEIGHTS, sealed(whole))


def _digest(folder: Path) -> str:
    """SHA-256 of the checkpoint's list of checksums, which is one of all its files."""
    listed = checkpoint.folder_of(folder, 0) / checkpoint.LIST_NAME
    return hashlib.sha256(listed.read_bytes()).hexdigest()


def open_weights(folder: Path, network: Network | None = None) -> Model:
    """The model in a folder that `ablax import` or `save_model` wrote.

    The network is that whose weights `save_model` wrote; one of the zoo is not needed.

    Raises:
        AblaxError: There is no such folder, it is damaged, or of another network.
    """
    about = _about(folder)
    name, library, classes = about["network"], about["library"], about["classes"]
    fields = from_json(about["preprocessing"])
    if library != OURS:
        if network is not None:
            raise WeightsError(
                f"{folder} says itself of which network it is: leave the network out"
            )
        source = find_source(name, library)
        network = find(name).build(classes=classes)
        network = source.change(network) if source.change else network
        variables, names = _restored(folder, network, fields), class_names(source.classes, classes)
        return Model(name, network, variables, fields, names, f"weights {folder.name} of {library}")
    if network is None:
        try:
            network = find(name).build(classes=len(classes))
        except AblaxError as error:
            raise WeightsError(
                f"{folder} holds the weights of {name!r}, which is no network of the zoo: give the "
                f"network, ablax.load_model({str(folder)!r}, network=...)"
            ) from error
    if (now := fingerprint(network, fields.image_shape)) != about["fingerprint"]:
        raise WeightsError(
            f"{folder} holds the weights of another network than the one given (fingerprints "
            f"{about['fingerprint']} and {now}): give the network that was saved"
        )
    variables, names = _restored(folder, network, fields), tuple(classes)
    return Model(name, network, variables, fields, names, about["weights"], about["precision"])


def _restored(folder: Path, network: Network, preprocessing: Preprocessing) -> dict[str, Any]:
    like = _kept(abstract_variables(network, preprocessing.image_shape))
    with checkpoint.open_checkpoints(folder, keep=1) as checkpoints:
        restored = checkpoint.restore(checkpoints, like)
    if restored is None:
        raise WeightsError(f"{folder} holds no checkpoint any more: import or save again")
    found: dict[str, Any] = restored.state
    _refuse_flaws(found, f"{folder} holds weights that are no numbers")
    return found


def _refuse_flaws(variables: Mapping[str, Any], title: str) -> None:
    leaves = leaves_by_path(variables)
    wrong = [f"{p} {flaw}" for p, leaf in leaves.items() for flaw in _flaws(p, np.asarray(leaf))]
    if wrong:
        raise WeightsError("\n  ".join([title, *wrong]))


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = unsealed((folder / WEIGHTS).read_bytes())
        keys = ["network", "library", "classes", "preprocessing", "checkpoint"]
        keys += ["fingerprint", "weights", "precision"] if about["library"] == OURS else []
        found, own = {key: about[key] for key in keys}, _digest(folder)
    except FileNotFoundError as error:
        gone = Path(str(error.filename)).name
        raise WeightsError(
            f"{folder} holds no {gone}: give a folder that `ablax import` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AblaxError(f"{folder / WEIGHTS} is damaged ({error}): import again") from error
    if found["checkpoint"] != own:
        raise AblaxError(
            f"{folder / WEIGHTS} is of other weights than those beside it: import again"
        )
    return found
