"""The folder of one experiment under one recipe: what is in it, and whether it may go on there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ablax.config import Recipe
from ablax.core import ImageShape, Network, parameter_shapes, paths
from ablax.errors import AblaxError
from ablax.report.files import write_atomically
from ablax.training.trainer import Judged

FREE_FIELDS = ("seeds", "data.dir", "data.workers", "train.checkpoint_seconds")
"""Fields that may differ when a run goes on: they change no figure of a finished run."""


_ELSEWHERE = "give another place with --results FOLDER, or remove that folder to start anew"


class ResultsError(AblaxError):
    """The folder belongs to another recipe, or cannot be used."""


class ResultsFolder:
    """`results/<experiment>/<recipe>/`.

    Args:
        path: The folder; `claim` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def claim(
        self, experiment: str, recipe_name: str, recipe: Recipe, networks: Mapping[str, str]
    ) -> Iterator[None]:
        """Keep others out while the experiment runs, and make sure that it may go on here.

        Writes `recipe.json`, or compares with the one that is there.

        Args:
            experiment: Its name.
            recipe_name: The recipe's.
            recipe: All of its fields.
            networks: Variant to fingerprint (`fingerprint`).

        Raises:
            ResultsError: The folder cannot be written, is in use, is not ours, or belongs to
                another experiment, recipe or network.
        """
        with self._alone():
            path = self.path / "recipe.json"
            ours = {"experiment": experiment, "recipe": recipe_name, **flat(recipe)}
            theirs: dict[str, Any] = {}
            if path.exists():
                theirs = _read_json(path)
                self._refuse_another(ours, theirs, networks)
            elif any((self.path / name).exists() for name in ("runs", "checkpoints")):
                raise ResultsError(
                    f"{self.path} holds runs but no recipe.json, so nobody can say of which "
                    f"recipe: {_ELSEWHERE}"
                )
            known = {**theirs.get("networks", {}), **networks}
            write_atomically(path, json.dumps({**ours, "networks": known}, indent=2) + "\n")
            yield

    def _refuse_another(
        self, ours: dict[str, Any], theirs: dict[str, Any], networks: Mapping[str, str]
    ) -> None:
        # a field that was added to recipes since had its default there
        there = flat(Recipe()) | theirs
        differing = [
            f"{name}: {there.get(name)!r} there, {ours.get(name)!r} now"
            for name in dict.fromkeys([*there, *ours])
            if name not in (*FREE_FIELDS, "networks") and there.get(name) != ours.get(name)
        ]
        trained = theirs.get("networks", {})
        differing += [
            f"variant {name}: another network than the one there"
            for name, ours_now in networks.items()
            if trained.get(name, ours_now) != ours_now
        ]
        if differing:
            raise ResultsError(
                f"{self.path} holds results of another recipe ({'; '.join(differing)}): "
                f"{_ELSEWHERE}"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make the folder and lock it; the lock goes with the process, however that ends."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise ResultsError(
                f"the results cannot be written to {self.path} ({error.strerror or error}): give "
                "another place with --results FOLDER"
            ) from error
        with lock:
            if os.name == "posix":
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise ResultsError(
                        f"another process is running in {self.path}: wait for it, or give another "
                        "place with --results FOLDER"
                    ) from error
            yield

    def checkpoints(self, variant: str, seed: int) -> Path:
        """Where the states of one run are kept."""
        return self.path / "checkpoints" / variant / f"seed-{seed}"

    def finished(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What `finish` wrote; None while the run is not at its end."""
        path = self._run(variant, seed)
        if not path.exists():
            return None
        found = _read_json(path)
        missing = {"status", "test_error", "environment"} - set(found)
        if missing:
            raise ResultsError(
                f"{path} lacks {', '.join(sorted(missing))}: remove it, and the run is judged again"
            )
        return found

    def finish(self, variant: str, seed: int, summary: dict[str, Any]) -> None:
        """Mark a run as done. Written last, so that a killed run is never taken for a done one."""
        write_atomically(self._run(variant, seed), json.dumps(summary) + "\n")

    def write_predictions(self, variant: str, seed: int, judged: Judged) -> None:
        """Class, prediction and loss of every test image, in the data's order, as `.npz`."""
        path = self.path / "predictions" / f"{variant}-seed-{seed}.npz"
        try:
            path.parent.mkdir(exist_ok=True)
            np.savez_compressed(path, **judged._asdict())
        except OSError as error:
            raise ResultsError(
                f"{path} cannot be written ({error.strerror or error}): free some space, then give "
                "the same command again"
            ) from error

    def _run(self, variant: str, seed: int) -> Path:
        return self.path / "runs" / f"{variant}-seed-{seed}.json"


def changes(recipe: Recipe, base: Recipe) -> tuple[str, ...]:
    """The fields in which a variant's recipe differs from the experiment's, in words.

    Example:
        >>> from dataclasses import replace
        >>> changes(replace(Recipe(), width=0.5), Recipe())
        ('width: 0.5',)
    """
    ours, others = flat(recipe), flat(base)
    return tuple(f"{name}: {ours[name]}" for name in ours if ours[name] != others[name])


def fingerprint(network: Network, image_shape: ImageShape, changed: tuple[str, ...] = ()) -> str:
    """A short name of what a network is: its layers' paths, classes and fields, and its shapes.

    Two networks that differ only in a function of their own under one name are not told apart.

    Args:
        network: Any network.
        image_shape: (H, W, C).
        changed: What `changes` gives, which is told in words.
    """
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(network))
    told = f"{paths(network)} {layers} {parameter_shapes(network, image_shape)}"
    return "; ".join([hashlib.sha256(told.encode()).hexdigest()[:16], *changed])


def flat(recipe: Recipe) -> dict[str, Any]:
    """A recipe's fields under their dotted names, as JSON holds them.

    Example:
        >>> flat(Recipe())["train.batch"]
        128
    """

    def walk(value: Any, name: str) -> dict[str, Any]:
        if dataclasses.is_dataclass(value):
            found: dict[str, Any] = {}
            for field in dataclasses.fields(value):
                dotted = f"{name}.{field.name}" if name else field.name
                found |= walk(getattr(value, field.name), dotted)
            return found
        if isinstance(value, tuple):
            return {name: [list(one) if isinstance(one, tuple) else one for one in value]}
        return {name: str(value) if isinstance(value, Path) else value}

    return walk(recipe, "")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}): remove it to start anew, or give another place with "
            "--results FOLDER"
        ) from error
    if not isinstance(found, dict):
        raise ResultsError(f"{path} is not one of ours: give another place with --results FOLDER")
    return found
