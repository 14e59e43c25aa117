"""A network, and the independent definition that it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ablax.core import ImageShape, Network


@dataclass(frozen=True)
class Case:
    """A network of the zoo beside the same network of torchvision or timm.

    Attributes:
        name: Of the zoo's function.
        build: The zoo's function.
        image_size: The reference size, in pixels.
        torch_name: From our paths to PyTorch's module names.
        source: Theirs: a function of PyTorch's, `torchvision.models.resnet50`; a name of timm's,
            `timm:resnetv2_50`; or of Keras', `keras:MobileNet`.
        change: What is changed in PyTorch's network before the comparison.
        gradients: Whether the gradients are compared too: for one network a family.
        gain: Variance of a drawn kernel times its fan-in. 2 keeps a chain of ReLUs alive. With it
            the sums of a residual network grow, and sigmoid gates on them round to 0 and 1, so
            that gated networks take 1, and deep ones whose gradients are compared.
    """

    name: str
    build: Callable[[], Network]
    image_size: int
    torch_name: Callable[[str], str]
    source: str
    change: Callable[[Any], Any] | None = None
    gradients: bool = False
    gain: float = 2.0
    prepare: Callable[[Any], Any] | None = None

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return (self.image_size, self.image_size, 3)
