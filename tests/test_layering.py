"""The layering of the design, held by reading the imports: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRIES = 24
"""At the top of `src/ablax`, at most, beside `__init__`, `__main__` and `py.typed`."""
FILES = 143
"""Of Python in `src/ablax`, at most; a new subject raises it, a second file of one does not."""
LEVELS = 9
"""Of parts that import one another, at most."""

CORE = {"ablax.core", "ablax.errors"}
LAYERS = CORE | {"ablax.layers", "ablax.native", "ablax.analysis.jax_versions"}
ZOO = CORE | {"ablax.layers", "ablax.lazy", "ablax.model", "ablax.zoo"}
TRAINING = CORE | {
    *("ablax.config", "ablax.data", "ablax.files", "ablax.lazy", "ablax.losses", "ablax.model"),
    *("ablax.training", "ablax.analysis.jax_versions"),
}
MEASUREMENTS = ZOO | TRAINING | {"ablax.analysis", "ablax.report", "ablax.measurements"}
STUDY = MEASUREMENTS | {"ablax.experiment", "ablax.native", "ablax.study", "ablax.weights"}
INSPECTION = ZOO | {"ablax.analysis", "ablax.report", "ablax.inspection", "ablax.weights"}

# Each part, and what it may import of ours beside itself. The most exact name counts.
OURS: dict[str, set[str]] = {
    # what the door exports stands in `__init__.pyi` and is imported when it is asked for
    "ablax": {"ablax.lazy"},
    "ablax.lazy": {"ablax.errors"},
    "ablax.errors": set(),
    "ablax.files": {"ablax.errors"},
    "ablax.analysis": set(),
    "ablax.core": CORE | {"ablax.analysis.jax_versions"},
    "ablax.losses": {"ablax.errors"},
    "ablax.data": {"ablax.errors", "ablax.files", "ablax.lazy"},
    "ablax.report": {"ablax.errors", "ablax.files", "ablax.lazy"},
    "ablax.native": {"ablax.errors", "ablax.files", "ablax.analysis.jax_versions"},
    "ablax.config": {"ablax.data.augment", "ablax.errors"},
    "ablax.layers": LAYERS,
    "ablax.model": CORE | {"ablax.losses"},
    "ablax.zoo": ZOO,
    "ablax.training": TRAINING,
    "ablax.weights": ZOO | TRAINING,
    "ablax.inspection": INSPECTION | TRAINING,
    "ablax.measurements": MEASUREMENTS,
    "ablax.experiment": MEASUREMENTS,
    "ablax.study": STUDY,
    "ablax.doctor": STUDY | {"ablax.inspection"},
    "ablax.commands": STUDY | INSPECTION | {"ablax.doctor"},
    "ablax.__main__": {"ablax.commands", "ablax.errors"},
    "configs": {"ablax.config", "ablax.data"},
    "experiments": MEASUREMENTS | {"ablax.experiment", "configs"},
    "docs.scripts": STUDY,
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


def name_violations(path: str) -> list[str]:
    """What a file's name has against the design."""
    return [
        f"{path}: `{name}` does not say what is inside; name it after what it holds"
        for name in Path(path).with_suffix("").parts
        if name in NAMES_THAT_SAY_NOTHING
    ]


def module_of(path: str) -> str:
    """The dotted name of a file of our tree."""
    return ".".join(Path(path.removeprefix("src/")).with_suffix("").parts).removesuffix(".__init__")


def import_graph(files: dict[str, str], top_only: bool) -> dict[str, set[str]]:
    """Each module of `ablax`, and those it imports.

    Args:
        files: Path and source.
        top_only: Only imports that run when the module is imported.
    """
    graph: dict[str, set[str]] = {module_of(path): set() for path in files if "src/" in path}
    for path, source in files.items():
        module = module_of(path)
        if module not in graph:
            continue
        body = ast.parse(source).body
        kept = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)] if top_only else body
        told = "\n".join(ast.unparse(node) for node in kept)
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        for _, _, targets in imports(package, told):
            known = max(targets & set(graph), key=len, default="")
            graph[module] |= {known} - {"", "ablax", module}
    return graph


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """How many modules stand on one another up to each.

    Raises:
        ValueError: There is a circle; the message has its modules.
    """
    found: dict[str, int] = {}

    def level(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(" -> ".join([*above[above.index(name) :], name]))
        if name not in found:
            found[name] = 1 + max((level(n, (*above, name)) for n in graph[name]), default=0)
        return found[name]

    for name in graph:
        level(name, ())
    return found


def by_part(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same graph of the entries at the top of `src/ablax`."""

    def entry(module: str) -> str:
        return ".".join(module.split(".")[:2])

    graph = {module: targets for module, targets in graph.items() if module != "ablax.__main__"}
    parts: dict[str, set[str]] = {entry(module): set() for module in graph}
    for module, targets in graph.items():
        # which form of a JAX function a version has is a question below all others, and so is how
        # Python imports a name
        below = {"ablax.analysis.jax_versions", "ablax.lazy"}
        used = {entry(t) for t in targets if t not in below}
        parts[entry(module)] |= used - {entry(module)}
    return parts


def our_files() -> dict[str, str]:
    """Path from the root and text of each Python file that the design speaks of."""
    folders = [ROOT / "src" / "ablax", ROOT / "configs", ROOT / "experiments"]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}


@pytest.mark.slow
def test_imports_follow_the_layers_of_the_design():
    files = our_files()
    assert {"src/ablax/errors.py", "src/ablax/analysis/jaxpr.py"} <= set(files)
    found = [v for path, source in files.items() for v in import_violations(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_files_are_named_after_what_they_hold():
    found = [violation for path in our_files() for violation in name_violations(path)]
    assert not found, "\n" + "\n".join(found)


def test_a_stranger_sees_few_entries_at_the_top():
    entries = {
        path.stem
        for path in (ROOT / "src" / "ablax").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert len(entries - {"__init__", "__main__"}) <= ENTRIES


def test_there_are_few_files():
    assert len([path for path in our_files() if path.startswith("src/")]) <= FILES


def test_no_module_imports_itself_through_others():
    levels(import_graph(our_files(), top_only=True))


def test_parts_stand_on_one_another_in_few_levels_and_without_a_circle():
    found = levels(by_part(import_graph(our_files(), top_only=False)))
    assert max(found.values()) <= LEVELS, found


def test_a_circle_is_named():
    with pytest.raises(ValueError, match="b -> c -> b"):
        levels({"a": {"b"}, "b": {"c"}, "c": {"b"}})


def test_levels_count_what_stands_on_what():
    assert levels({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 3, "b": 2, "c": 1}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("src/ablax/core/network.py", "from ablax.layers import Dense"),
        ("src/ablax/core/network.py", "import ablax.zoo.alexnet as alexnet"),
        ("src/ablax/core/network.py", "from ..layers import dense"),
        ("src/ablax/core/__init__.py", "from ..layers import dense"),
        ("src/ablax/core/network.py", "from .. import layers"),
        ("src/ablax/layers/dense.py", "from ablax import zoo"),
        ("src/ablax/zoo/alexnet.py", "from ablax import core, training"),
        ("src/ablax/zoo/alexnet.py", "import flax.linen as nn"),
        ("src/ablax/zoo/alexnet.py", "from ablax import analysis"),
        ("src/ablax/zoo/vgg.py", "import configs.digits"),
        ("src/ablax/analysis/cost.py", "from ablax.errors import AblaxError"),
        ("src/ablax/analysis/cost.py", "import optax"),
        ("src/ablax/analysis/cost.py", "from flax import linen"),
        ("src/ablax/data/sources.py", "def f():\n    import flax"),
        ("src/ablax/data/sources.py", "from ablax.core import Network"),
        ("src/ablax/report/study_tables.py", "from ablax.analysis.cost import macs"),
        ("src/ablax/config.py", "from ablax.data import sources"),
        ("src/ablax/config.py", "from ablax.data.sources import ImageSet"),
        ("src/ablax/training/loop.py", "from ablax.layers import Dense"),
        ("src/ablax/training/loop.py", "from ablax.experiment import Experiment"),
        ("src/ablax/experiment.py", "from ablax.study.runner import run"),
        ("src/ablax/study/runner.py", "from ablax.__main__ import main"),
        ("src/ablax/experiment.py", "from experiments import alexnet_ablation"),
        ("src/ablax/__main__.py", "import configs"),
        ("src/ablax/__main__.py", "from ablax import study"),
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
        ("src/ablax/__main__.py", "from ablax.commands.options import parse"),
        ("src/ablax/commands/run.py", "from ablax import experiment, study"),
        ("experiments/depth_sweep.py", "import configs.digits\nfrom ablax import zoo"),
    ],
)
def test_import_along_the_layers_passes(path, source):
    assert import_violations(path, source) == []


def test_violation_names_file_line_import_and_rule():
    (violation,) = import_violations("src/ablax/data/sources.py", "\nimport ablax.core")
    assert violation == (
        "src/ablax/data/sources.py:2: `import ablax.core`: "
        "ablax.data may import ablax.errors, ablax.files, ablax.lazy of ours"
    )


def test_module_without_an_entry_in_the_table_is_named():
    (violation,) = import_violations("src/ablax/attic.py", "")
    assert "no entry of OURS" in violation
    assert "ablax.attic" in violation


@pytest.mark.parametrize("path", ["src/ablax/core/utils.py", "src/ablax/common/arrays.py"])
def test_name_that_says_nothing_is_named(path):
    (violation,) = name_violations(path)
    assert "does not say what is inside" in violation
