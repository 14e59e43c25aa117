"""Find experiments and recipes: files in `experiments/` and `configs/`, and those of packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from ablax import lazy
from ablax.config import Recipe
from ablax.errors import AblaxError, brief, nearest, others_code
from ablax.experiment import Experiment

T = TypeVar("T")

_PACKAGE = Path(__file__).resolve().parents[1]


def experiment(name: str) -> tuple[str, Experiment]:
    """Name and value `EXPERIMENT` of the file of that name or path, or of the module.

    The name is such as `alexnet_ablation`; `my_question.py`; or `my_package.my_question`. An
    installed package names its own as entry points of the group `ablax.experiments`.

    Raises:
        AblaxError: There is no such file or module, it cannot be run, or it defines no
            `EXPERIMENT`.
    """
    return _named("experiments", "experiment", name, "EXPERIMENT", Experiment)


def recipe(name: str) -> tuple[str, Recipe]:
    """Likewise a recipe, the value `RECIPE`; the group of entry points is `ablax.configs`."""
    return _named("configs", "recipe", name, "RECIPE", Recipe)


def names(folder: str) -> list[str]:
    """What the folders called `experiments` or `configs`, and other packages, offer."""
    found = {path.stem for place in _places(folder) for path in place.glob("[!_]*.py")}
    return sorted(found | {*lazy.offered(f"ablax.{folder}")})


def _places(folder: str) -> list[Path]:
    """The folder here, in the checkout ablax is installed from, and in the installed package."""
    checkout = _PACKAGE.parents[1]
    ours = (checkout,) if (checkout / "src" / "ablax").is_dir() else ()
    return [p / folder for p in (Path.cwd(), *ours, _PACKAGE) if (p / folder).is_dir()]


def _named(folder: str, kind: str, name: str, attribute: str, of: type[T]) -> tuple[str, T]:
    """The name that finds it again, and the value."""
    path = _find(folder, kind, name)
    group, module = f"ablax.{folder}", name.removesuffix(f":{attribute}")
    where, value = module, None
    if path is not None:
        name, where, value = path.stem, str(path), getattr(_run(path), attribute, None)
    elif name in lazy.offered(group):
        where, value = f"the entry point {name}", lazy.offer(group, name)
    elif "." in module or module != name:
        name, value = module, getattr(lazy.module(module), attribute, None)
    else:
        raise AblaxError(f"there is no {kind} named {name!r}: {nearest(name, names(folder))}")
    if not isinstance(value, of):
        raise AblaxError(
            f"{where} must define {attribute}, a value of type {of.__name__}, and it is "
            f"{brief(repr(value))}"
        )
    return name, value


def _find(folder: str, kind: str, name: str) -> Path | None:
    if name.endswith(".py"):
        path = Path(name)
        if path.is_file():
            return path.resolve()
        a = "an" if kind[0] in "aeiou" else "a"
        raise AblaxError(
            f"there is no file {name!r}: give the path of a file that defines {a} {kind}"
        )
    if Path(name).name != name:
        raise AblaxError(
            f"there is no {kind} named {name!r}: give a name alone, or the path of a file, which "
            f"ends in .py; {nearest(Path(name).name, names(folder))}"
        )
    for place in _places(folder):
        if (place / f"{name}.py").is_file():
            return place / f"{name}.py"
    return None


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ablax_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise AblaxError(f"{path} is not a Python file that can be run: give the path of one")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, and so Linen modules, look their module up
    with others_code(f"{path} fails with"):
        spec.loader.exec_module(module)
    return module
