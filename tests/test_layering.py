"""The layering of the design, held by reading the imports: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = 450

# core <- layers <- zoo <- ablations <- configs <- experiments
CORE = {"ablax.core", "ablax.errors"}
JAX_VERSIONS = "ablax.analysis.jax_versions"  # what JAX calls by other names in other versions
LAYERS = CORE | {"ablax.layers", "ablax.native", JAX_VERSIONS}
ZOO = LAYERS | {"ablax.zoo"}
ABLATIONS = ZOO | {"ablax.ablations"}
CONFIGS = ABLATIONS | {"ablax.config", "ablax.data", "ablax.training"}
EXPERIMENTS = CONFIGS | {
    *("ablax.analysis", "ablax.report", "ablax.interop", "ablax.experiment", "ablax.losses"),
    "ablax.measurements",
}
RUNNER = EXPERIMENTS | {
    *("ablax.environment", "ablax.finished_runs", "ablax.results_folder", "ablax.bench"),
    "ablax.rebuild",
}
COMMANDS = RUNNER | {
    *("ablax.runner", "ablax.discovery"),
    *("ablax.inference", "ablax.evaluation_data", "ablax.weights_folder"),
    *("ablax.costs", "ablax.sight", "ablax.drawing"),
    *("ablax.profiling", "ablax.inside", "ablax.doctor"),
    *("ablax.atomic", "ablax.overview"),
}

# Each part, and what it may import of ours beside itself. The most exact name counts.
OURS: dict[str, set[str]] = {
    "ablax": set(),
    "ablax.errors": set(),
    "ablax.core": CORE,
    "ablax.native": {"ablax.data.cache", "ablax.errors", JAX_VERSIONS},
    "ablax.layers": LAYERS,
    "ablax.losses": {"ablax.errors"},
    "ablax.zoo": ZOO,
    "ablax.ablations": ABLATIONS,
    "ablax.analysis": set(),
    "ablax.data": {"ablax.errors"},
    "ablax.atomic": set(),
    "ablax.report": {"ablax.atomic", "ablax.errors"},
    "ablax.config": {"ablax.data.augment", "ablax.errors"},
    "ablax.training": {
        *("ablax.core", "ablax.data", "ablax.config", "ablax.atomic", "ablax.errors"),
    },
    "ablax.interop": ZOO,
    "ablax.draw_layers": {"ablax.data", "ablax.layers", "ablax.report"},
    "ablax.experiment": EXPERIMENTS,
    "ablax.environment": {"ablax.errors", "ablax.native"},
    "ablax.finished_runs": {
        *("ablax.measurements", "ablax.report", "ablax.results_folder", "ablax.training"),
        "ablax.errors",
    },
    "ablax.rebuild": EXPERIMENTS | {"ablax.finished_runs", "ablax.results_folder"},
    "ablax.results_folder": {
        *("ablax.config", "ablax.core", "ablax.training", "ablax.report", "ablax.errors"),
        "ablax.atomic",
    },
    "ablax.discovery": {"ablax.config", "ablax.experiment", "ablax.errors"},
    "ablax.measurements": ZOO
    | {
        *("ablax.analysis", "ablax.config", "ablax.costs", "ablax.data", "ablax.report"),
        "ablax.training",
    },
    "ablax.overview": {
        *("ablax.experiment", "ablax.report", "ablax.results_folder", "ablax.errors"),
    },
    "ablax.bench": RUNNER,
    "ablax.pretraining": RUNNER,
    "ablax.runner": RUNNER | {"ablax.pretraining"},
    "ablax.costs": {"ablax.core", "ablax.zoo", "ablax.analysis", "ablax.report", "ablax.errors"},
    "ablax.sight": ZOO | {"ablax.analysis", "ablax.costs", "ablax.report"},
    "ablax.drawing": CORE | {"ablax.analysis"},
    "ablax.profiling": {
        *("ablax.analysis", "ablax.config", "ablax.core", "ablax.costs", "ablax.data"),
        *("ablax.training", "ablax.errors"),
    },
    "ablax.inside": ZOO
    | {
        *("ablax.analysis", "ablax.costs", "ablax.interop", "ablax.report"),
    },
    "ablax.doctor": {
        *("ablax.analysis", "ablax.config", "ablax.core", "ablax.costs", "ablax.data"),
        *("ablax.discovery", "ablax.errors", "ablax.experiment", "ablax.finished_runs"),
        *("ablax.layers", "ablax.report", "ablax.results_folder", "ablax.training"),
        "ablax.measurements",
    },
    "ablax.weights_folder": ZOO | {"ablax.interop", "ablax.training", "ablax.atomic"},
    "ablax.inference": {"ablax.interop", "ablax.errors"},
    "ablax.evaluation_data": {"ablax.interop", "ablax.data", "ablax.errors"},
    "ablax.commands": COMMANDS,
    "ablax.__main__": {"ablax.commands", "ablax.errors"},
    "configs": CONFIGS,
    "experiments": EXPERIMENTS | {"configs"},
}
# A package of others that only some parts may import.
ONLY_IN: dict[str, set[str]] = {"flax": {"ablax.core", "ablax.layers", "ablax.training"}}
# A part that may import only some packages of others (and the standard library).
ONLY_FROM: dict[str, set[str]] = {"ablax.analysis": {"jax", "jaxtyping", "numpy", "scipy"}}

NAMES_THAT_SAY_NOTHING = {"utils", "common", "misc", "base", "helpers"}


def within(name: str, parents: set[str]) -> bool:
    """Is `name` one of the `parents`, or inside one?"""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def part_of(module: str) -> str | None:
    """The most exact entry of the table that holds the module."""
    # The root package is its `__init__` alone: a new module wants an entry of its own.
    if module == "ablax":
        return module
    entries = [part for part in OURS if part != "ablax" and within(module, {part})]
    return max(entries, key=len, default=None)


def imports(package: str, source: str) -> Iterator[tuple[int, str, set[str]]]:
    """Line, words and possible targets of each import, wherever it stands in the source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, f"import {alias.name}", {alias.name}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:  # one dot is the package of the file, each further dot one above
                above = package.split(".")[: package.count(".") + 2 - node.level]
                origin = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                words = f"from {origin} import {alias.name}"
                # Only the file system knows whether the name is a module or stands in one.
                yield node.lineno, words, {origin, f"{origin}.{alias.name}"}


def import_violations(path: str, source: str) -> list[str]:
    """What a file of our tree (path from the root, with `/`) imports against the design."""
    *folders, file = Path(path.removeprefix("src/")).with_suffix("").parts
    package = ".".join(folders)
    module = package if file == "__init__" else f"{package}.{file}"
    part = part_of(module)
    if part is None:
        return [f"{path}: no entry of OURS in tests/test_layering.py holds {module}; add one"]
    found = []
    for line, words, targets in imports(package, source):
        top = min(targets).split(".")[0]
        rule = ""
        if top in ("ablax", "configs", "experiments"):
            allowed = OURS[part] | ({part} - {"ablax"})
            # `from ablax import core` reaches both `ablax` and `ablax.core`: judge the second.
            if not any(within(target, allowed) for target in targets - {"ablax"}):
                beside = ", ".join(sorted(OURS[part])) or "nothing"
                rule = f"{part} may import {beside} of ours"
        elif top in ONLY_IN and not within(module, ONLY_IN[top]):
            rule = f"{top} is imported only in {', '.join(sorted(ONLY_IN[top]))}"
        elif part in ONLY_FROM and top not in ONLY_FROM[part] | sys.stdlib_module_names:
            rule = f"{part} may import only {', '.join(sorted(ONLY_FROM[part]))}"
        if rule:
            found.append(f"{path}:{line}: `{words}`: {rule}")
    return found


def form_violations(path: str, source: str) -> list[str]:
    """What a file's name and length have against the design."""
    found = [
        f"{path}: `{name}` does not say what is inside; name it after what it holds"
        for name in Path(path).with_suffix("").parts
        if name in NAMES_THAT_SAY_NOTHING
    ]
    if (lines := len(source.splitlines())) > LINES:
        found.append(f"{path}: {lines} lines, at most {LINES}; split it by what it holds")
    return found


def our_files() -> dict[str, str]:
    """Path from the root and text of each Python file that the design speaks of."""
    folders = [ROOT / "src" / "ablax", ROOT / "configs", ROOT / "experiments"]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}


def test_imports_follow_the_layers_of_the_design():
    files = our_files()
    assert {"src/ablax/errors.py", "src/ablax/analysis/equations.py"} <= set(files)
    found = [v for path, source in files.items() for v in import_violations(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_files_are_short_and_named_after_what_they_hold():
    found = [v for path, source in our_files().items() for v in form_violations(path, source)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("src/ablax/core/network.py", "from ablax.layers import Dense"),
        ("src/ablax/core/network.py", "import ablax.zoo.alexnet as alexnet"),
        ("src/ablax/core/network.py", "from ..layers import dense"),
        ("src/ablax/core/__init__.py", "from ..layers import dense"),
        ("src/ablax/core/network.py", "from .. import layers"),
        ("src/ablax/layers/dense.py", "from ablax import zoo"),
        ("src/ablax/zoo/alexnet.py", "from ablax import core, ablations"),
        ("src/ablax/zoo/alexnet.py", "import flax.linen as nn"),
        ("src/ablax/zoo/alexnet.py", "from ablax import analysis"),
        ("src/ablax/ablations.py", "import configs.digits"),
        ("src/ablax/analysis/cost.py", "from ablax.errors import AblaxError"),
        ("src/ablax/analysis/cost.py", "import optax"),
        ("src/ablax/analysis/cost.py", "from flax import linen"),
        ("src/ablax/data/sources.py", "def f():\n    import flax"),
        ("src/ablax/data/sources.py", "from ablax.core import Network"),
        ("src/ablax/report/tables.py", "from ablax.analysis.cost import macs"),
        ("src/ablax/config.py", "from ablax.data import sources"),
        ("src/ablax/config.py", "from ablax.data.sources import ImageSet"),
        ("src/ablax/training/loop.py", "from ablax.layers import Dense"),
        ("src/ablax/training/loop.py", "from ablax.experiment import run"),
        ("src/ablax/experiment.py", "from ablax.runner import run"),
        ("src/ablax/runner.py", "from ablax.__main__ import main"),
        ("src/ablax/experiment.py", "from experiments import alexnet_ablation"),
        ("src/ablax/__main__.py", "import configs"),
        ("src/ablax/__main__.py", "from ablax import discovery"),
        ("src/ablax/commands/run.py", "import flax"),
        ("src/ablax/errors.py", "from ablax.core import Network"),
        ("src/ablax/__init__.py", "from ablax.core import Network"),
        ("configs/digits.py", "from experiments.alexnet_ablation import EXPERIMENT"),
        ("configs/digits.py", "from ablax.__main__ import main"),
        ("experiments/depth_sweep.py", "from ablax.__main__ import main"),
    ],
)
def test_import_against_the_layers_is_named(path, source):
    (violation,) = import_violations(path, source)
    assert violation.startswith(f"{path}:{len(source.splitlines())}: `")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("src/ablax/core/network.py", "import flax.linen as nn\nfrom ablax import errors"),
        ("src/ablax/core/network.py", "from . import layers\nfrom ..errors import AblaxError"),
        (
            "src/ablax/core/__init__.py",
            "from .network import Network\nfrom ..errors import nearest",
        ),
        ("src/ablax/core/edits.py", "from ablax.core.network import Network"),
        ("src/ablax/zoo/alexnet.py", "from ablax.layers.dense import Dense\nimport ablax.core"),
        ("src/ablax/analysis/cost.py", "import math\nimport jax\nfrom ablax.analysis import cost"),
        ("src/ablax/data/sources.py", "import jax, numpy\nfrom ablax.errors import AblaxError"),
        ("src/ablax/config.py", "from ablax.data import augment\nimport ablax.data.augment"),
        ("src/ablax/__main__.py", "from ablax.commands.parsing import parse"),
        ("src/ablax/commands/run.py", "from ablax import experiment, discovery"),
        ("experiments/depth_sweep.py", "import configs.digits\nfrom ablax import ablations"),
    ],
)
def test_import_along_the_layers_passes(path, source):
    assert import_violations(path, source) == []


def test_violation_names_file_line_import_and_rule():
    (violation,) = import_violations("src/ablax/data/sources.py", "\nimport ablax.core")
    assert violation == (
        "src/ablax/data/sources.py:2: `import ablax.core`: "
        "ablax.data may import ablax.errors of ours"
    )


def test_module_without_an_entry_in_the_table_is_named():
    (violation,) = import_violations("src/ablax/attic.py", "")
    assert "no entry of OURS" in violation
    assert "ablax.attic" in violation


@pytest.mark.parametrize("path", ["src/ablax/core/utils.py", "src/ablax/common/arrays.py"])
def test_name_that_says_nothing_is_named(path):
    (violation,) = form_violations(path, "")
    assert "does not say what is inside" in violation


def test_file_longer_than_the_limit_is_named():
    assert form_violations("src/ablax/__main__.py", "pass\n" * LINES) == []
    (violation,) = form_violations("src/ablax/__main__.py", "pass\n" * (LINES + 1))
    assert violation.startswith(f"src/ablax/__main__.py: {LINES + 1} lines")
