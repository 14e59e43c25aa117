"""What `ablax list` shows: the networks of the zoo at the size of their papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ablax.core import ImageShape, Network
from ablax.zoo.alexnet import alexnet, alexnet_small, alexnet_ungrouped
from ablax.zoo.lenet import lenet5


@dataclass(frozen=True)
class Entry:
    """A network of the zoo, and the images it was made for.

    Attributes:
        build: The zoo's function; its defaults are the paper's.
        image_size: Height and width in pixels.
        channels: 3 for color, 1 for gray.
    """

    build: Callable[[], Network]
    image_size: int
    channels: int = 3

    @property
    def name(self) -> str:
        """The name of the zoo's function."""
        return self.build.__name__

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return (self.image_size, self.image_size, self.channels)


CATALOG = (
    Entry(lenet5, 32, channels=1),
    Entry(alexnet, 227),
    Entry(alexnet_ungrouped, 224),
    Entry(alexnet_small, 32),
)
