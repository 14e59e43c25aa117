"""Find experiments and recipes: a name is a file in `experiments/` or `configs/`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from ablax.config import Recipe
from ablax.errors import AblaxError, nearest
from ablax.experiment import Experiment

T = TypeVar("T")

_CHECKOUT = Path(__file__).resolve().parents[3]


def experiment(name: str) -> tuple[str, Experiment]:
    """The experiment of that name, or in the file of that path.

    Args:
        name: Such as `alexnet_ablation`, or `my_question.py`.

    Returns:
        Its name, and the value `EXPERIMENT` of its file.

    Raises:
        AblaxError: There is no such file, it cannot be run, or it defines no `EXPERIMENT`.
    """
    path = _find("experiments", "experiment", name)
    return path.stem, _value(path, "EXPERIMENT", Experiment)


def recipe(name: str) -> tuple[str, Recipe]:
    """The recipe of that name, or in the file of that path: the value `RECIPE` of its file.

    Raises:
        AblaxError: As `experiment`.
    """
    path = _find("configs", "recipe", name)
    return path.stem, _value(path, "RECIPE", Recipe)


def names(folder: str) -> list[str]:
    """What a folder, `experiments` or `configs`, offers."""
    return sorted({path.stem for place in _places(folder) for path in place.glob("[!_]*.py")})


def _places(folder: str) -> list[Path]:
    """The folder here, and in the checkout ablax is installed from."""
    return [place / folder for place in (Path.cwd(), _CHECKOUT) if (place / folder).is_dir()]


def _find(folder: str, kind: str, name: str) -> Path:
    if name.endswith(".py"):
        path = Path(name)
        if path.is_file():
            return path.resolve()
        raise AblaxError(
            f"there is no file {name!r}: give the path of a file that defines an {kind}"
        )
    for place in _places(folder):
        if (place / f"{name}.py").is_file():
            return place / f"{name}.py"
    raise AblaxError(f"there is no {kind} named {name!r}: {nearest(name, names(folder))}")


def _value(path: Path, attribute: str, kind: type[T]) -> T:
    value = getattr(_run(path), attribute, None)
    if not isinstance(value, kind):
        raise AblaxError(
            f"{path} must define {attribute}, a value of type {kind.__name__}, and it is {value!r}"
        )
    return value


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ablax_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise AblaxError(f"{path} is not a Python file that can be run")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, and so Linen modules, look their module up
    try:
        spec.loader.exec_module(module)
    except AblaxError:
        raise
    except (Exception, SystemExit) as error:  # a file that leaves would end us, with its status
        raise AblaxError(f"{path} fails with {type(error).__name__}: {error}") from error
    return module
