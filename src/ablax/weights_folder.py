"""A folder of weights: a checkpoint of orbax, and beside it what is needed to use them.

`weights.json` names the network of the zoo, whose weights they are, the preparation of the images
and the classes; the checkpoint holds `params` and `batch_stats` with checksums, as every checkpoint
of ablax (`ablax.training.checkpoint`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ablax.core import abstract_variables
from ablax.errors import AblaxError, WeightsError
from ablax.files import write_atomic
from ablax.interop.class_names import class_names
from ablax.interop.foreign import Foreign, load_foreign
from ablax.interop.origins import find_origin
from ablax.interop.preprocessing import Preprocessing, from_json
from ablax.training import checkpoint
from ablax.zoo import find

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
        "library": foreign.origin.library,
        "model": foreign.origin.model,
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
    origin = find_origin(name, about["library"])
    build = find(name).build
    network = build(classes=about["classes"])
    network = origin.change(network) if origin.change else network
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
    names = class_names(origin.classes, about["classes"])
    return Foreign(name, network, restored.state, origin, preprocessing, names)


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
