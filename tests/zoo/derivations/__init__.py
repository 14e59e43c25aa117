"""`DERIVED`: name of a zoo function -> its count by hand, collected from every family's file."""

import importlib
import pkgutil

_FAMILIES = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
    if module.name != "counting"
]
DERIVED = {name: count for family in _FAMILIES for name, count in family.DERIVED.items()}
