"""`ablax show MODEL`: a network, one line per layer."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options


def show(
    model: Positional[options.ModelSource],
    depth: options.NonNegativeInt = 1,
    image_size: options.ImageSize = None,
) -> None:
    """Print a network, one line per layer.

    Args:
        depth: How many levels of blocks to open; 0 opens all.
    """
    from ablax.core import describe

    asked = options.opened(model, None, image_size).model
    print(describe(asked.network, asked.image_shape, depth or None))
