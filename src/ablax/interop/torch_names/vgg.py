"""What torchvision calls the layers of VGG: numbers that depend on how many stand in front."""

from __future__ import annotations

import re
from collections.abc import Callable

from ablax.zoo.vgg import Stages

_CONVOLUTION = re.compile(r"conv(\d)_(\d)/conv")
_DENSE = {"fc6/dense": "classifier.0", "fc7/dense": "classifier.3", "fc8": "classifier.6"}


def vgg(stages: Stages) -> Callable[[str], str]:
    """The names in torchvision of the layers of `ablax.zoo.vgg.vgg(stages)`.

    Each convolution counts as two layers of `features`, its ReLU being the second, and each pool as
    one.

    Args:
        stages: The column of the paper's table 1.

    Returns:
        From our path of a layer that holds parameters, without the leaf, to the module there; to
        the path itself where nothing is known of it.

    Example:
        >>> from ablax.zoo.vgg import A, D
        >>> vgg(A)("conv3_1/conv"), vgg(D)("conv3_1/conv"), vgg(D)("fc8")
        ('features.6', 'features.10', 'classifier.6')
    """

    def name(path: str) -> str:
        found = _CONVOLUTION.fullmatch(path)
        if found is None:
            return _DENSE.get(path, path)
        stage, number = int(found[1]), int(found[2])
        before = sum(2 * len(windows) + 1 for windows in stages[: stage - 1])
        return f"features.{before + 2 * (number - 1)}"

    return name
