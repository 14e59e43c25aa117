"""What packages of others add: a value written `module:name`, or an entry point of theirs."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from ablax.errors import AblaxError, nearest


def module(name: str) -> ModuleType:
    """The module of that name; one in the current folder counts as installed.

    Raises:
        AblaxError: There is none, or it fails while it is imported.
    """
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.append(here)  # at the end: it hides nothing that is installed
    try:
        return importlib.import_module(name)
    except AblaxError:
        raise
    except (Exception, SystemExit) as error:  # whatever the module does
        raise AblaxError(
            f"cannot import {name!r} ({type(error).__name__}: {error}): install the package that "
            "has it, or run ablax in the folder that has it"
        ) from error


def named(written: str) -> Any:
    """The value that `module:name` means.

    Raises:
        AblaxError: There is no such module, or nothing of that name in it.

    Example:
        >>> named("ablax.zoo:lenet5").__name__
        'lenet5'
    """
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
    return {point.name: point.value for point in sorted(entry_points(group=group))}


def offer(group: str, name: str) -> Any:
    """The value that an installed package offers under this name, one of `offered(group)`.

    Raises:
        AblaxError: Several packages offer different values of this name, or it cannot be imported.
    """
    values = {point.value for point in entry_points(group=group, name=name)}
    if len(values) > 1:
        raise AblaxError(
            f"several packages offer {name!r} ({', '.join(sorted(values))}): uninstall all but one"
        )
    return named(values.pop())
