"""Deliberate breaks, one at a time: do the fast tests of a file notice each of them?

`make mutation-test`, or `python tests/mutations.py [WORDS ...]`; words choose among lines such as
`src/ablax/training/step.py:231 update: 1 becomes 2`. Every break runs in a copy of the tree; the
end lists those that survived and are not in `EQUIVALENT`; the exit status is 1 if there are any.

Own code, since of the libraries mutmut forks a process that has run JAX, which may hang, and
cosmic-ray drops no keyword arguments, which is how a call of optax or Flax goes wrong.
"""

from __future__ import annotations

import ast
import copy
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Imported once and before any computation, so that processes may be forked from here.
import flax.linen  # noqa: F401
import jax  # noqa: F401
import optax  # noqa: F401
import orbax.checkpoint  # noqa: F401
import pytest
import scipy.stats  # noqa: F401

ROOT = Path(__file__).parents[1]
SECONDS = 600
"""A break that runs longer counts as caught: a loop without an end."""
OPTIONS = "--doctest-modules --strict-markers"
"""Of pytest: without the check of every type at run time, so that tests have to notice."""

TARGETS = {
    "src/ablax/training/step.py": (
        "tests/training/test_step.py",
        "tests/training/test_transplant.py",
        "src/ablax/training/step.py",
    ),
    "src/ablax/training/optimizer.py": (
        "tests/training/test_optimizer.py",
        "tests/training/test_folded_training.py",
        "src/ablax/training/optimizer.py",
    ),
    "src/ablax/report/statistics.py": (
        "tests/report/test_report_statistics.py",
        "tests/report/test_report_flatness.py",
        "src/ablax/report/statistics.py",
    ),
}
"""Each file, and the fast tests that concern it."""

EQUIVALENT: dict[str, str] = {
    "update: optax.apply_updates(state.params, updates) with its first two arguments swapped": (
        "a sum of two trees of one type"
    ),
    **dict.fromkeys(
        ("_taken: zip(...) without strict=True", "_taken: True becomes False"),
        "leaves of one tree, and their names",
    ),
    **dict.fromkeys(
        (
            "_rule: optax.scale_by_rms(...) without decay=0.9",
            "_rule: optax.scale_by_rms(...) without eps=1e-08",
        ),
        "as optax has it, were it left out",
    ),
    **dict.fromkeys(
        (
            "comparison: zip(...) without strict=True",
            "comparison: True becomes False",
            "mean_curve: zip(...) without strict=True",
            "mean_curve: True becomes False",
        ),
        "as many of one as of the other, by the lines above",
    ),
    **dict.fromkeys(
        (
            "penalized_squared_error: squared_error(outputs, targets) with its first two arguments "
            "swapped",
            "weight_penalty: jnp.promote_types(weight.dtype, jnp.float32) with its first two "
            "arguments swapped",
            "comparison: correlation(left, right) with its first two arguments swapped",
            "flattened: min(first, chance) with its first two arguments swapped",
            "flattened: max(3 * scatter, 0.05) with its first two arguments swapped",
        ),
        "the same whatever the order",
    ),
    "correlation: np.clip(a @ b / scale, -1, 1) with its first two arguments swapped": (
        "the middle one of three numbers, whatever the order"
    ),
    "flattened: power > 0 becomes power >= 0": "where it is asked, |power| is 1 or more",
}
"""Breaks that change nothing anybody could see, as `function: what becomes what`, and why."""

OTHERS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
SUMS = (ast.Add, ast.Sub, ast.Mult, ast.Div)


@dataclass(frozen=True)
class Mutant:
    """One break.

    Attributes:
        path: Of the file, from the root.
        line: Where.
        what: `function: what becomes what`.
        source: The whole file, broken.
    """

    path: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.what}"


def breaks(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Other nodes for this one, each a break, and what it is."""
    if isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            broken = copy.deepcopy(node)
            del broken.keywords[place]
            yield f"{_short(node.func)}(...) without {_short(keyword)}", broken
        if len(node.args) > 1:
            broken = copy.deepcopy(node)
            broken.args[:2] = broken.args[1::-1]
            yield f"{_short(node)} with its first two arguments swapped", broken
    for broken in _others(node):
        yield f"{_short(node)} becomes {_short(broken)}", broken


def _others(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare | ast.BoolOp | ast.BinOp):
        operators = node.ops if isinstance(node, ast.Compare) else [node.op]
        for place, operator in enumerate(operators):
            for other in OTHERS.get(type(operator), ()):
                broken = copy.deepcopy(node)
                if isinstance(broken, ast.Compare):
                    broken.ops[place] = other()
                else:
                    broken.op = other()
                yield broken
    if isinstance(node, ast.BinOp) and isinstance(node.op, SUMS):
        yield from (node.left, node.right)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        broken = copy.deepcopy(node)
        broken.test = ast.UnaryOp(ast.Not(), broken.test)
        yield broken
    if isinstance(node, ast.comprehension) and node.ifs:
        broken = copy.deepcopy(node)
        broken.ifs = [ast.UnaryOp(ast.Not(), each) for each in broken.ifs]
        yield broken
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)


def parts(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """What runs inside a node, as owner, field, place and child; not annotations, not words."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield node, field, place, child
                yield from parts(child)


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Every break of every function of a file, in order."""
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    inner = {id(child) for outer in functions for _, _, _, child in parts(outer)}
    for function in functions:
        if id(function) in inner:
            continue
        for owner, field, place, child in parts(function):
            for what, broken in breaks(child):
                held = getattr(owner, field)
                if place is None:
                    setattr(owner, field, broken)
                else:
                    held[place] = broken
                text = ast.unparse(ast.fix_missing_locations(tree))
                setattr(owner, field, held)
                if place is not None:
                    held[place] = child
                line = getattr(child, "lineno", getattr(owner, "lineno", function.lineno))
                yield Mutant(path, line, f"{function.name}: {what}", text)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) < 90 else f"{text[:60]} ... {text[-25:]}"


def start(tree: Path, mutant: Mutant) -> int:
    """A process that breaks a tree and runs the fast tests of the file there; its number."""
    if child := os.fork():
        return child
    try:
        (tree / mutant.path).write_text(mutant.source, "utf-8")
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree / "src")
        ours = {str(ROOT / folder) for folder in ("src", "tests", "")}  # not the site-packages
        sys.path[:] = [str(tree / "src"), *(one for one in sys.path if one not in ours)]
        sys.dont_write_bytecode = True
        signal.alarm(SECONDS)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        words = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-o", f"addopts={OPTIONS}"]
        words += ["-m", "not slow and not deep", *TARGETS[mutant.path]]
        os._exit(min(1, int(pytest.main(words))))
    finally:
        os._exit(1)  # whatever was raised


def verdicts(chosen: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Each break as it is judged, and whether a test failed; so many processes at once."""
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns(".*", "results", "build", "__pycache__")
        trees = [
            Path(shutil.copytree(ROOT, Path(folder) / str(number), ignore=ignored))
            for number in range(jobs)
        ]
        for tree in trees:  # compiled programs are shared with the ordinary tests
            (tree / ".pytest_cache").symlink_to(ROOT / ".pytest_cache")
        running: dict[int, tuple[Path, Mutant]] = {}
        waiting = list(reversed(chosen))
        while waiting or running:
            while waiting and trees:
                tree, mutant = trees.pop(), waiting.pop()
                running[start(tree, mutant)] = (tree, mutant)
            done, status = os.wait()
            tree, mutant = running.pop(done)
            (tree / mutant.path).write_text((ROOT / mutant.path).read_text("utf-8"), "utf-8")
            trees.append(tree)
            yield mutant, status != 0


def main(words: list[str], jobs: int = 2) -> int:
    """Break, test and tell."""
    sources = {path: (ROOT / path).read_text("utf-8") for path in TARGETS}
    chosen = [
        mutant
        for path, source in sources.items()
        for mutant in mutants(path, source)
        if not words or any(word in str(mutant) for word in words)
    ]
    whole = [Mutant(path, 0, "nothing", sources[path]) for path in {m.path for m in chosen}]
    for mutant, found in verdicts(whole, jobs):
        if found:
            sys.exit(f"{mutant.path}: its tests fail without any break, so nothing can be told")
    survived = []
    for number, (mutant, found) in enumerate(verdicts(chosen, jobs), start=1):
        reason = EQUIVALENT.get(mutant.what)
        verdict = "caught" if found else "equivalent" if reason else "SURVIVED"
        print(f"{number}/{len(chosen)} {verdict}: {mutant}", flush=True)
        if not found:
            survived.append((mutant, reason))
    left = [mutant for mutant, reason in survived if reason is None]
    same = len(survived) - len(left)
    print(f"{len(chosen)} breaks: {len(chosen) - len(survived)} caught, {same} equivalent,")
    print("\n".join([f"{len(left)} survived", *map(str, left)]))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
