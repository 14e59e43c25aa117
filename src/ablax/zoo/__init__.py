"""The networks, one paper or family a file, each as its paper's table.

Arguments are called the same in all files:

- `classes`: scores of an image, the first argument of every network;
- `features` and `channels`: of the result and of the input of a layer or block; of a network made
  of stages, those of the first, which double from stage to stage, and those in front of it;
- `counts`: blocks of each stage; `depth`: layers with weights, of which not all numbers exist
  (`AblaxError` names the nearest that do); `growth`: features that a dense layer or block adds;
- `window`, `stride`, `groups`: of a convolution, in pixels, steps and numbers;
- `width`: factor on the features of every layer but the last, above 0 (else `AblaxError`);
- `dropout`: a rate in [0, 1).

All files are imported at once: so the register is whole, and the functions that are called as their
file is (`alexnet`) stand over it. What there is to use stands in `__init__.pyi`.
"""

from importlib import import_module

from ablax.lazy import lazily
from ablax.zoo.register import family

__getattr__, __dir__ = lazily(__name__)

# In the order of `ablax list`.
_FAMILIES = (
    *("lenet", "alexnet", "vgg", "googlenet", "inception", "squeezenet"),
    *("resnet", "resnext", "senet", "densenet", "msdnet", "dpn"),
    *("mobilenet", "xception", "shufflenet", "shiftnet"),
)
for _name in _FAMILIES:
    globals().update(family(import_module(f"{__name__}.{_name}")))

del family, import_module, lazily
