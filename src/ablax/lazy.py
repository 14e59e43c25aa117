"""Packages whose names are imported when they are first asked for."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # so spelt, type checkers take it for true; `typing` itself takes a while

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` (PEP 562) of a package, read from its `__init__.pyi`.

    The stub is the one list of what the package exports: type checkers and editors read it as it
    stands, and the package imports what it names, each name on first use. It holds imports
    (`from ablax.core import Network as Network`) and nothing else that runs. `__all__` is its
    names, sorted.

    No name may be that of a module of the package, unless the module itself is meant: Python binds
    a module to its package whenever anybody imports it, over whatever stood there.
    """
    module = sys.modules[package]

    known: dict[str, str] = {}

    def homes() -> dict[str, str]:
        if not known:
            from pathlib import Path  # not needed before a name is asked for

            stub = Path(module.__path__[0], "__init__.pyi")
            known.update(exports(stub.read_text("utf-8")))
        return known

    def get(name: str) -> Any:
        if name == "__all__":
            return sorted(homes())
        if name.startswith("__") or name not in homes():
            raise AttributeError(_refusal(package, name, homes), name=name, obj=module)
        home = homes()[name]
        if home == package:
            return importlib.import_module(f"{package}.{name}")
        found = getattr(importlib.import_module(home), name)
        setattr(module, name, found)  # asked for again, it is simply there
        return found

    def names() -> list[str]:
        return sorted({*homes(), *(name for name in vars(module) if name.startswith("__"))})

    return get, names


def exports(stub: str) -> dict[str, str]:
    """From each name that a stub imports to the module that it comes from.

    Example:
        >>> exports("from ablax.core import Network as Network, remove as remove")
        {'Network': 'ablax.core', 'remove': 'ablax.core'}
    """
    import ast

    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def _refusal(package: str, name: str, homes: Callable[[], dict[str, str]]) -> str:
    said = f"module {package!r} has no attribute {name!r}"
    if name.startswith("__"):  # asked for by Python and by tools, which expect most to be absent
        return said
    from ablax.errors import nearest

    return f"{said}: {nearest(name, homes())}"
