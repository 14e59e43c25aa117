"""Imports that happen when they are asked for: names of ours, and what packages of others add.

A value of theirs is written `module:name`, or is an entry point.
"""

from __future__ import annotations

import functools
import importlib
import sys

TYPE_CHECKING = False  # so spelt, type checkers take it for true; `typing` itself takes a while

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
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

    @functools.cache
    def homes() -> dict[str, str]:
        from pathlib import Path  # not needed before a name is asked for

        return exports(Path(module.__path__[0], "__init__.pyi").read_text("utf-8"))

    def get(name: str) -> Any:
        if name == "__all__":
            return sorted(homes())
        # Python and tools ask for names with underscores, and expect most to be absent
        if name.startswith("__") or name not in homes():
            said = f"module {package!r} has no attribute {name!r}"
            if not name.startswith("__"):
                from ablax.errors import nearest

                said += f": {nearest(name, homes())}"
            raise AttributeError(said, name=name, obj=module)
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


def module(name: str) -> ModuleType:
    """The module of that name; one in the current folder counts as installed.

    Raises:
        AblaxError: There is none, or it fails while it is imported.
    """
    from pathlib import Path

    from ablax.errors import AblaxError, others_code

    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.append(here)  # at the end: it hides nothing that is installed
    if "/" in name or "" in name.split("."):
        raise AblaxError(f"{name!r} is no module: expected a name such as my_package.my_module")
    remedy = ": install the package that has it, or run ablax in the folder that has it"
    with others_code(f"cannot import {name!r}:", remedy):
        return importlib.import_module(name)


def named(written: str) -> Any:
    """The value that `module:name` means.

    Raises:
        AblaxError: There is no such module, or nothing of that name in it.

    Example:
        >>> named("ablax.zoo:lenet5").__name__
        'lenet5'
    """
    from ablax.errors import AblaxError, nearest

    module_name, _, name = written.partition(":")
    if not module_name or not name:
        raise AblaxError(f"{written!r} is no value: expected module:name, such as my_networks:tiny")
    found = module(module_name)
    if not hasattr(found, name):
        known = [each for each in vars(found) if not each.startswith("_")]
        raise AblaxError(f"{module_name!r} has no {name!r}: {nearest(name, known)}")
    return getattr(found, name)


def offered(group: str) -> dict[str, str]:
    """What installed packages offer in a group of entry points, such as `ablax.networks`.

    From names to `module:name`; nothing is imported.

    Example:
        >>> offered("ablax.nothing")
        {}
    """
    from importlib.metadata import entry_points

    return {point.name: point.value for point in sorted(entry_points(group=group))}


def offer(group: str, name: str) -> Any:
    """The value that an installed package offers under this name, one of `offered(group)`.

    Raises:
        AblaxError: Several packages offer different values of this name, or it cannot be imported.
    """
    from importlib.metadata import entry_points

    from ablax.errors import AblaxError

    values = {point.value for point in entry_points(group=group, name=name)}
    if len(values) > 1:
        raise AblaxError(
            f"several packages offer {name!r} ({', '.join(sorted(values))}): uninstall all but one"
        )
    return named(values.pop())
