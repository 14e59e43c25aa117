"""The folder of one experiment under one recipe: what is in it, and whether it may go on there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ablax.config import Recipe
from ablax.errors import AblaxError
from ablax.report.files import write_atomically
from ablax.training.trainer import Judged

FREE_FIELDS = ("seeds", "data.dir", "data.workers", "train.checkpoint_seconds")
"""Fields that may differ when a run goes on: they change no figure of a finished run."""


class ResultsError(AblaxError):
    """The folder belongs to another recipe, or cannot be used."""


class ResultsFolder:
    """`results/<experiment>/<recipe>/`.

    Args:
        path: The folder; made when it does not exist.

    Raises:
        ResultsError: It cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ResultsError(
                f"the results cannot be written to {path} ({error.strerror or error}): give "
                "another place with --results FOLDER"
            ) from error

    def claim(self, experiment: str, recipe_name: str, recipe: Recipe) -> None:
        """Write `recipe.json`, or make sure that the one that is there says the same.

        Raises:
            ResultsError: Another experiment or recipe has its results here, or the file is damaged.
        """
        path = self.path / "recipe.json"
        ours = {"experiment": experiment, "recipe": recipe_name, **flat(recipe)}
        if path.exists():
            theirs = _read_json(path)
            differing = [
                f"{name}: {theirs.get(name)!r} there, {ours.get(name)!r} now"
                for name in dict.fromkeys([*theirs, *ours])
                if name not in FREE_FIELDS and theirs.get(name) != ours.get(name)
            ]
            if differing:
                raise ResultsError(
                    f"{self.path} holds results of another recipe ({'; '.join(differing)}): give "
                    "another place with --results FOLDER, or remove that folder to start anew"
                )
        write_atomically(path, json.dumps(ours, indent=2) + "\n")

    def checkpoints(self, variant: str, seed: int) -> Path:
        """Where the states of one run are kept."""
        return self.path / "checkpoints" / variant / f"seed-{seed}"

    def finished(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What `finish` wrote; None while the run is not at its end."""
        path = self._run(variant, seed)
        return _read_json(path) if path.exists() else None

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
            return {name: list(value)}
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
