"""Every name that a source uses is bound in it: ruff and mypy do not look, for the shapes' sake."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "experiments", "configs", "benchmarks", "docs")


def unbound(source: str) -> list[str]:
    """The names that are read somewhere and bound nowhere, with the line of the first reading."""
    bound, read = set(dir(builtins)) | {"__file__", "__path__"}, {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(name, ast.Load()):
                read.setdefault(name, node.lineno)
            case ast.Name(name) | ast.arg(name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.AsyncFunctionDef(name):
                bound.add(name)
            case ast.alias(name, renamed):
                bound.add(renamed or name.split(".")[0])
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
    return [f"{name} in line {line}" for name, line in read.items() if name not in bound]


def test_every_name_that_is_read_is_bound_in_its_file():
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 300
    found = {str(path.relative_to(ROOT)): unbound(path.read_text("utf-8")) for path in sources}
    assert not {name: gone for name, gone in found.items() if gone}


def test_a_name_that_is_gone_is_found_in_code_and_in_annotations():
    assert unbound("import a\ndef f(b: c) -> a:\n    return [d for e in b if (g := e)]\n") == [
        "c in line 2",
        "d in line 3",
    ]
