"""`ablax import NETWORK FILE`: weights of another library, as a checkpoint of orbax."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    from ablax.preprocessing_options import add_preprocessing_arguments

    parser.add_argument("network", help="a network of the zoo (ablax list shows whose it takes)")
    parser.add_argument(
        "file", type=Path, nargs="?", help=".pth, .safetensors, .caffemodel or .h5; none: where"
    )
    parser.add_argument("--out", type=Path, help="the folder; weights/NETWORK by default")
    parser.add_argument("--from", dest="library", help="whose file it is, if its names fit several")
    add_preprocessing_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Import the file, and say what became of it; without a file, say where there are some."""
    from ablax.interop.foreign import load_foreign
    from ablax.preprocessing_options import with_options
    from ablax.weights_folder import write_weights

    if options.file is None:
        print(_whose(options.network))
        return
    foreign = with_options(load_foreign(options.network, options.file, options.library), options)
    folder = options.out or Path("weights") / options.network
    write_weights(folder, foreign, options.file)
    numbers = _count(foreign.variables["params"])
    print(f"{options.network}: {numbers:,} parameters of {foreign.origin.title} in {folder}")
    for name in foreign.left_out[:3]:
        print(f"  left out: {name}")
    if len(foreign.left_out) > 3:
        print(f"  left out: {len(foreign.left_out) - 3} more of the side classifiers")
    print(f"next: ablax predict {options.network} --weights {folder} PICTURE ...")


def _count(tree: object) -> int:
    import jax

    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _whose(network: str) -> str:
    """Whose weights the network takes, and where their files are."""
    from ablax.interop.origins import origins_of
    from ablax.zoo import find

    find(network)
    origins = origins_of(network)
    if not origins:
        return f"{network}: nobody publishes weights that it takes"
    lines = [f"{network} takes weights of:"]
    for origin in origins:
        lines.append(f"  {origin.title} (--from {origin.library})")
        for file in origin.files:
            errors = f"error {file.top1:.2f} / {file.top5:.2f} %" if file.top1 else ""
            lines.append(f"    {origin.home}{file.name}  {errors}")
    return "\n".join([*lines, f"download one, then: ablax import {network} FILE"])
