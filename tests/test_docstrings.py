"""Names that prose gives in backticks exist: in docstrings, comments, pages and the README."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"`(ablax(?:\.\w+)+)(?:\([^`]*\))?`")
"""A dotted name alone in backticks, called or not; `ablax.layers/...` and commands are none."""


GROUPS = ("ablax.networks", "ablax.experiments", "ablax.configs")
"""Of entry points, and of what a wheel installs beside the sources."""


def exists(name: str) -> bool:
    """Whether the longest part of the name that is a module has the rest as attributes."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            fields = getattr(found, "__annotations__", {})
            if not hasattr(found, part):
                return part in fields
            found = getattr(found, part)
        return True
    return False


def texts() -> list[Path]:
    """Sources, pages of docs/ and the README."""
    sources = sorted((ROOT / "src").rglob("*.py"))
    return [*sources, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def test_every_dotted_name_in_backticks_exists():
    unknown = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts()
        for name in sorted(set(NAME.findall(path.read_text())))
        if name not in GROUPS and not exists(name)
    ]
    assert not unknown, "\n".join(unknown)


def test_a_name_that_is_gone_is_found():
    there = ("ablax.layers.convolution", "ablax.core.Network", "ablax.layers.gone", "ablax.gone.it")
    assert [exists(name) for name in there] == [True, True, False, False]
