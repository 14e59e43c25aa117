"""`ablax show NETWORK`: a network of the zoo, one line a layer."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network")
    parser.add_argument("--depth", type=int, default=1, help="how far to look into blocks (0: all)")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")


def run(options: argparse.Namespace) -> None:
    """Print the network."""
    from ablax.core import describe
    from ablax.zoo import find

    entry = find(options.network)
    size = entry.image_size if options.image_size is None else options.image_size
    print(describe(entry.build(), (size, size, entry.channels), options.depth or None))
