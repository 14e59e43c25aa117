"""`ablax show NETWORK`: a network of the zoo, one line per layer."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands.options import NetworkName, NonNegativeInt, Pixels


def show(
    network: Positional[NetworkName], depth: NonNegativeInt = 1, image_size: Pixels | None = None
) -> None:
    """Print a network of the zoo, one line per layer.

    Args:
        network: A network of the zoo (ablax list), or module:function.
        depth: How many levels of blocks to open; 0 opens all.
        image_size: Height and width of the images; the paper's by default.
    """
    from ablax.core import describe
    from ablax.zoo import find

    entry = find(network)
    print(describe(entry.build(), entry.shape(image_size), depth or None))
