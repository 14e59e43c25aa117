"""The networks, one paper or family a file, each as its paper's table.

All files are imported at once: so the register is whole, and the functions that are called as their
file is (`alexnet`) stand over it. What there is to use stands in `__init__.pyi`.
"""

from importlib import import_module

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

# In the order of `ablax list`.
_FAMILIES = (
    *("lenet", "alexnet", "vgg", "googlenet", "inception_v2_v3", "inception_v4", "squeezenet"),
    *("resnet", "resnext", "senet", "densenet", "msdnet", "dpn"),
    *("mobilenet", "xception", "shufflenet", "shiftnet"),
)

for _family in _FAMILIES:
    import_module(f"{__name__}.{_family}")

globals().update({entry.name: entry.build for entry in import_module("ablax.zoo.register").CATALOG})

del import_module, lazily
