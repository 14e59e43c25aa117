"""`CASES`: every network that torchvision or timm defines too, collected from the families."""

import importlib
import pkgutil

_FAMILIES = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
]
CASES = tuple(case for family in _FAMILIES for case in family.CASES)
