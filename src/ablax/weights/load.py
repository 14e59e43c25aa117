"""Weights of others as models of ours: layouts, names and folded biases, files and folders."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ablax.core import ImageShape, Network, abstract_variables, fingerprint, walk
from ablax.core.features import layer_shapes
from ablax.core.network import leaves_by_path, parameter_shapes
from ablax.errors import AblaxError, WeightsError, nearest
from ablax.files import sealed, unsealed, write_atomic
from ablax.layers import BatchNormalization, Convolution, Dense, Flatten, Scale
from ablax.model import Model, Preprocessing, from_json
from ablax.training import checkpoint
from ablax.weights.files import Stored, WeightsFile, nest_of, open_file, read_all, short
from ablax.weights.names import ModuleName
from ablax.weights.sources import (
    WEIGHT_SOURCES,
    Tensors,
    WeightSource,
    class_names,
    find_source,
    sources_of,
)
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
# counted by PyTorch, and by thop where someone measured a model before it was saved
_NOT_WEIGHTS = ("num_batches_tracked", "total_ops", "total_params")
_MOST_LINES = 8
"""Of tensors that do not fit; how many more there are is said."""


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
    tensors: Tensors,
    module_name: ModuleName,
) -> dict[str, Any]:
    """Our variables with PyTorch's values in them, a `state_dict` as numpy arrays, in float32.

    The maps in front of a `Flatten` depend on the images' (H, W, C). A dense layer may be a 1x1
    convolution there.

    Raises:
        WeightsError: Tensors that are missing, left over, or of another shape, some of each listed
            by name. Nothing is loaded then.
    """
    abstract = _kept(abstract_variables(network, image_shape))
    maps = _vectorized(network, image_shape)
    if wrong := _misfits(abstract, {n: _held(array) for n, array in tensors.items()}, module_name):
        raise _refusal(wrong)
    arrays: list[np.ndarray] = []
    for path, leaf in leaves_by_path(abstract).items():
        name = tensor_name(_within(path), module_name)
        maps_read = maps.get(_within(path).rpartition("/")[0])
        arrays.append(_ours(np.asarray(tensors[name]), leaf.shape, maps_read))
        wrong += [f"no numbers: {name} {flaw}" for flaw in _flaws(path, arrays[-1])]
    if wrong:
        raise _refusal(wrong)
    return jax.tree.unflatten(jax.tree.structure(abstract), map(jnp.asarray, arrays))


def _held(array: np.ndarray) -> Stored:
    array = np.asarray(array)
    return Stored(array.shape, array.dtype, lambda: array)


def _misfits(
    abstract: Mapping[str, Any], tensors: Mapping[str, Stored], module_name: ModuleName
) -> list[str]:
    """What keeps the tensors from being these variables, of which nothing is read yet."""
    wrong: list[str] = []
    left = {name for name in tensors if not name.endswith(_NOT_WEIGHTS)}
    for path, leaf in leaves_by_path(abstract).items():
        name = tensor_name(_within(path), module_name)
        left.discard(name)
        found = tensors.get(name)
        if found is None:
            wrong.append(f"missing: {name} (our {path})")
        elif found.flaw:
            wrong.append(f"not readable: {name} {found.flaw}")
        elif not _fits(found.shape, tuple(leaf.shape[axis] for axis in _AXES[leaf.ndim])):
            theirs, ours = short(str(found.shape[:8])), tuple(leaf.shape)
            wrong.append(f"another shape: {name} is {theirs}, our {path} is {ours}")
    return wrong + [f"left over: {short(name)}" for name in sorted(left)]


def _fits(theirs: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a tensor has the shape; a dense layer may be a convolution of one pixel."""
    return theirs == wanted or (len(wanted) == 2 and theirs == (*wanted, 1, 1))


def _refusal(
    wrong: list[str], hint: str = "", file: str = "", network: str = "the network"
) -> WeightsError:
    """How many tensors do not fit, a few of every kind, and what may be meant."""
    kinds: dict[str, list[str]] = {}
    for line in wrong:
        kinds.setdefault(line.partition(":")[0], []).append(line)
    count = Counter({kind: len(lines) for kind, lines in kinds.items()})
    whose = f"the tensors of {file}" if file else "the tensors"
    title = (
        f"{whose} do not fit {network}: {count['missing']} missing, "
        f"{count['another shape']} of another shape, {count['left over']} left over"
    )
    title += f", {count['not readable']} that cannot be read" * ("not readable" in count)
    title += f", {count['no numbers']} with numbers that no weights have" * ("no numbers" in count)
    shown = [title]
    for lines in kinds.values():
        most = _MOST_LINES // len(kinds)
        more = f"; and {len(lines) - most:,} more" if len(lines) > most else ""
        shown += [*lines[: most - 1], "; ".join(lines[most - 1 : most]) + more]
    return WeightsError("\n  ".join([*filter(None, shown), *filter(None, [hint])]))


_AXES = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,), 0: ()}
"""Where PyTorch's axes are among ours, by rank: (F, C, h, w) from (h, w, C, F)."""


def _ours(tensor: np.ndarray, shape: tuple[int, ...], maps: tuple[int, ...] | None) -> np.ndarray:
    """The tensor, which fits, in our axes."""
    if tensor.ndim == 4 and len(shape) == 2:
        tensor = tensor[:, :, 0, 0]
    if tensor.ndim == 2 and maps is not None and tensor.shape[1] == np.prod(maps):
        height, width, channels = maps
        pixels = tensor.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        tensor = pixels.reshape(tensor.shape)
    array = tensor.transpose(np.argsort(_AXES[tensor.ndim]))
    return _single(array)


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
    folded = dict(tensors)
    for bias, mean in _foldable(tensors, paths, names):
        folded[mean] = folded[mean] - folded.pop(bias)
    return folded


def _foldable(
    tensors: Iterable[str], paths: Iterable[str], names: ModuleName
) -> Iterator[tuple[str, str]]:
    """The names of each bias that can be folded, and of the mean that takes it."""
    ours, there = set(paths), set(tensors)
    for path in ours:
        layer, _, leaf = path.rpartition("/")
        block, _, kind = layer.rpartition("/")
        if leaf != "kernel" or kind not in ("conv", "pointwise"):
            continue
        if f"{layer}/bias" in ours or f"{block}/bn/mean" not in ours:
            continue
        bias, mean = f"{names(layer)}.bias", f"{names(f'{block}/bn')}.running_mean"
        if bias in there and mean in there:
            yield bias, mean


class Imported(NamedTuple):
    """What a file of weights became.

    Attributes:
        model: Its network is changed where the source computes something else.
        source: Whose weights they are.
        left_out: The tensors that are not needed.
        taken: Which of the file's tensors were taken, where there was a choice, and how others are
            asked for; empty where there was none.
        skipped: What the file calls, which was not run.
        file: Its name.
    """

    model: Model
    source: WeightSource
    left_out: tuple[str, ...] = ()
    taken: str = ""
    skipped: tuple[str, ...] = ()
    file: str = ""


class _Choice(NamedTuple):
    """Some of a file's tensors as a source's: their key, the beginning of their names, the rest."""

    source: WeightSource
    key: str
    prefix: str
    tensors: Mapping[str, Stored]
    outside: tuple[str, ...]
    fit: tuple[int, int]

    def __str__(self) -> str:
        said = {"--key": self.key, "--prefix": self.prefix}
        asked = [f"{option} {short(given)}" for option, given in said.items() if given]
        return " ".join(asked) or "the outermost tensors as they are called"

    @property
    def averaged(self) -> bool:
        """Whether it is called as a moving average of a model, or as another's teacher."""
        return bool(_AVERAGED.search(f"{self.key}.{self.prefix}"))


_AVERAGED = re.compile(r"ema|avg|average|swa|teacher|momentum", re.IGNORECASE)


def import_file(
    name: str,
    path: Path,
    library: str | None = None,
    key: str | None = None,
    prefix: str | None = None,
) -> Imported:
    """The network with the weights of a file of PyTorch's, safetensors', Caffe's or Keras'.

    The library is whose weights they are, where several have such files; the key leads to the
    tensors within a checkpoint of a training, such as `state_dict`; the prefix is what their names
    begin with, such as `module.`. By default each is what makes most names and shapes agree.

    Raises:
        WeightsError: The file cannot be read, or does not fit the network: some of what is missing,
            left over or of another shape is listed by name, and nothing is loaded.
        AblaxError: There is no such network.
    """
    find(name)
    published = {known.name for each in sources_of(name) for known in each.files}
    with open_file(path, published) as file:
        sources = [each for each in sources_of(name) if each.form == file.form]
        if library is not None:
            sources = [find_source(name, library)]
        if not sources:
            takes = ", ".join(each.title for each in sources_of(name)) or "nobody's"
            raise WeightsError(f"{name} takes no weights of {file.form}'s form; it takes {takes}")
        choices = _choices(name, file, sources, key, prefix)
        best = max(choices, key=lambda each: (each.fit, not each.averaged))
        found = _imported(name, best.tensors, best.source, path)
    others = [each for each in choices if each.source is best.source and each is not best]
    also = [str(each) for each in others if each.fit == best.fit]
    taken = f"{path.name}: taken: {best}" if best.key or best.prefix or also else ""
    taken += f"; {' and '.join(also[:3])} would fit too" * bool(also)
    model = dataclasses.replace(
        found.model, weights=f"weights {path.name} of {best.source.library}"
    )
    for known in best.source.files:
        if known.name == path.name and known.resize is not None:
            resized = dataclasses.replace(model.preprocessing, resize=known.resize)
            model = dataclasses.replace(model, preprocessing=resized)
    left_out = (*found.left_out, *best.outside)
    return Imported(model, best.source, left_out, taken, file.skipped, path.name)


def _choices(
    name: str, file: WeightsFile, sources: list[WeightSource], key: str | None, prefix: str | None
) -> list[_Choice]:
    """What may be taken of a file, with how many shapes and names agree with the network's."""
    nests = file.nests if key is None else {key: nest_of(file, key)}
    shapes: dict[Any, dict[str, tuple[int, ...]]] = {}
    found = []
    for source in sources:
        shape = source.preprocessing.image_shape
        if (source.names, shape) not in shapes:
            shapes[source.names, shape] = tensor_shapes(find(name).build(), shape, source.names)
        wanted = shapes[source.names, shape]
        for at, nest in nests.items():
            tensors = source.renamed(nest) if source.renamed else nest
            for start in _prefixes(wanted, tensors) if prefix is None else [prefix]:
                inside = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
                outside = [n for n in tensors if not n.startswith(start)]
                # a number that counts something, such as epochs or averaged models
                outside += [n for n, t in inside.items() if t.shape == () and n not in wanted]
                kept = {n: t for n, t in inside.items() if t.shape or n in wanted}
                there = [n for n in wanted if n in kept]
                fit = sum(_fits(kept[n].shape, wanted[n]) for n in there), len(there)
                found.append(_Choice(source, at, start, kept, tuple(outside), fit))
    if prefix is not None and not any(each.tensors for each in found):
        starts = {n.partition(".")[0] + "." for nest in nests.values() for n in nest if "." in n}
        known = nearest(prefix, sorted(map(short, starts))[:20])
        raise WeightsError(f"--prefix {prefix}: no name in {file.path} begins so: {known}")
    return found


def _prefixes(wanted: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The beginnings in front of names that are wanted, the most frequent first, and none at all.

    Example:
        >>> _prefixes({"conv1.weight": 0, "fc.bias": 0}, ["net.conv1.weight", "net.fc.bias", "n"])
        ['net.', '']
    """
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".", 8)
        for start in range(len(parts)):
            if ".".join(parts[start:]) in wanted:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    frequent = [start for start, _ in counts.most_common(4)]
    return frequent if "" in frequent else [*frequent, ""]


def import_tensors(name: str, tensors: Tensors, source: WeightSource) -> Imported:
    """The network with these tensors as its weights, in PyTorch's order of axes.

    Raises:
        WeightsError: They do not fit the network.
    """
    stored = {each: _held(array) for each, array in tensors.items()}
    return _imported(name, source.renamed(stored) if source.renamed else stored, source, Path())


def _imported(
    name: str, tensors: Mapping[str, Stored], source: WeightSource, path: Path
) -> Imported:
    """The network with those of these tensors that it wants; nothing is read unless all fit."""
    left_out = tuple(
        each for each in tensors if source.left_out and each.startswith(source.left_out)
    )
    kept = {each: tensor for each, tensor in tensors.items() if each not in left_out}
    network = _network(name, kept, source)
    shape = source.preprocessing.image_shape
    abstract = _kept(abstract_variables(network, shape))
    paths = [_within(each) for each in leaves_by_path(abstract)]
    biases = {}
    if source.form in ("caffe", "keras"):
        biases = dict(_foldable(kept, paths, source.names))
    foldable = {b for b, mean in biases.items() if kept[b].shape == kept[mean].shape}
    kept = {each: _usable(tensor) for each, tensor in kept.items()}
    asked = {each: tensor for each, tensor in kept.items() if each not in foldable}
    if wrong := _misfits(abstract, asked, source.names):
        file = str(path) if path.name else ""
        raise _refusal(wrong, _better(name, source.form, asked), file, name)
    read = read_all({each: t for each, t in kept.items() if not each.endswith(_NOT_WEIGHTS)}, path)
    arrays: Tensors = source.prepare(read) if source.prepare else read
    if foldable:
        arrays = fold_biases(arrays, paths, source.names)
    variables = from_torch(network, shape, arrays, source.names)
    count = _last_shape(network, shape)[1][-1]
    names = class_names(source.classes, count)
    weights = f"weights of {source.title}"
    model = Model(name, network, variables, source.preprocessing, names, weights)
    return Imported(model, source, left_out)


def _usable(tensor: Stored) -> Stored:
    """The tensor in float32, with a flaw where its numbers are whole: weights without a scale."""
    if tensor.flaw:
        return tensor
    if tensor.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        flaw = f"holds {tensor.dtype.name}: expected floating-point numbers, not quantized ones"
        return dataclasses.replace(tensor, flaw=flaw)
    return dataclasses.replace(tensor, read=lambda: _single(tensor.read()))


def _single(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what overflows is found later, by name
        return np.asarray(array, np.float32)


def _better(name: str, form: str, tensors: Iterable[str]) -> str:
    """The network whose layers the names are of, if it is another, in words; else nothing."""
    given = {each.rpartition(".")[0] for each in tensors}
    views = [{each.split(".", cut)[-1] for each in given} for cut in range(3)]
    scores: dict[str, float] = {}
    for other, sources in WEIGHT_SOURCES.items():
        for source in (each for each in sources if each.form == form):
            layers = walk(find(other).build().layers)
            kinds = (BatchNormalization, Convolution, Dense, Scale)
            theirs = {source.names(path) for path, layer in layers if isinstance(layer, kinds)}
            for view in views:
                score = len(view & theirs) / len(view | theirs)
                scores[other] = max(score, scores.get(other, 0.0))
    most = max(scores.values(), default=0.0)
    fitting = [other for other, score in scores.items() if score == most]
    if most < 0.5 or name in fitting:
        return ""
    return f"its names are rather those of {' or '.join(fitting[:4])}: name that network instead"


def _network(name: str, tensors: Mapping[str, Stored], source: WeightSource) -> Network:
    """The network with as many classes as the tensors have scores."""
    build, shape = find(name).build, source.preprocessing.image_shape
    network = build()
    path, ours = _last_shape(network, shape)
    theirs = tensors.get(f"{source.names(path.rpartition('/')[0])}.weight")
    if theirs is not None and theirs.shape and not theirs.flaw:
        count = theirs.shape[0]
        if count not in (0, ours[-1]) and _fits(theirs.shape, (count, ours[-2])):
            network = build(classes=count)
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


_FIELDS: dict[str, type] = {
    **{"network": str, "library": str, "preprocessing": dict, "checkpoint": str},
    "classes": int,
}
_FIELDS_OF_OTHERS = {**_FIELDS, "model": str, "file": str}
_FIELDS_OF_OURS = {
    **_FIELDS,
    **{"classes": list, "fingerprint": str, "weights": str, "precision": str},
}


def _about(folder: Path) -> dict[str, Any]:
    try:
        about, own = unsealed((folder / WEIGHTS).read_bytes()), _digest(folder)
        fields = _FIELDS_OF_OURS if about["library"] == OURS else _FIELDS_OF_OTHERS
        wrong = [key for key, kind in fields.items() if type(about[key]) is not kind]
    except FileNotFoundError as error:
        gone = Path(str(error.filename)).name
        raise WeightsError(
            f"{folder} holds no {gone}: give a folder that `ablax import` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AblaxError(f"{folder / WEIGHTS} is damaged ({error}): import again") from error
    if wrong:
        given = short(str(about[wrong[0]]))
        raise AblaxError(f"{folder / WEIGHTS} is damaged ({wrong[0]} is {given!r}): import again")
    if unknown := sorted(set(about) - set(fields)):
        raise WeightsError(
            f"{folder / WEIGHTS} has the field {short(unknown[0])!r}, which this version of ablax "
            "does not know: use the version that wrote it, or import again"
        )
    if about["checkpoint"] != own:
        raise AblaxError(
            f"{folder / WEIGHTS} is of other weights than those beside it: import again"
        )
    return about


def published_error(imported: Imported | Path) -> float | None:
    """The top-1 error in percent that is known of weights, of a folder's or just imported ones.

    That of the very file where its publisher says one, else that of the network's paper; None where
    nothing is known, or the weights tell other classes apart than the source's.
    """
    if isinstance(imported, Path):
        about = _about(imported)
        if about["library"] == OURS:
            return None
        source, classes = find_source(about["network"], about["library"]), about["classes"]
        name, file = about["network"], about["file"]
    else:
        source, classes = imported.source, len(imported.model.classes)
        name, file = imported.model.name, imported.file
    if classes != _CLASSES.get(source.classes):
        return None
    known = [each.top1 for each in source.files if each.name == file and each.top1 is not None]
    return [*known, *find(name).errors, None][0]


_CLASSES = {"imagenet": 1000, "cifar10": 10}
