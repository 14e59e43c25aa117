"""The networks, one family a file, each as its paper's table."""

from ablax.zoo.alexnet import alexnet, alexnet_for, alexnet_small, alexnet_ungrouped
from ablax.zoo.catalog import CATALOG, Entry
from ablax.zoo.lenet import lenet5

__all__ = [
    "CATALOG",
    "Entry",
    "alexnet",
    "alexnet_for",
    "alexnet_small",
    "alexnet_ungrouped",
    "lenet5",
]
