"""What the catalog says of a network of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ablax.core import ImageShape, Network


@dataclass(frozen=True)
class Entry:
    """A network of the zoo, the images it was made for, and its counts.

    The counts are written here so that a list of all networks costs nothing; the tests count every
    network anew, and hold the figures against the published ones or a derivation from the paper.

    Attributes:
        build: The zoo's function; its defaults are the paper's, and its argument `classes` says how
            many scores an image gets.
        image_size: Height and width in pixels.
        parameters: Numbers it learns; running statistics are not among them.
        macs: Multiply-accumulates of convolutions and dense layers for one image; padded taps
            count.
        channels: 3 for color, 1 for gray.
    """

    build: Callable[..., Network]
    image_size: int
    parameters: int
    macs: int
    channels: int = 3

    @property
    def name(self) -> str:
        """The name of the zoo's function."""
        return self.build.__name__

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return (self.image_size, self.image_size, self.channels)
