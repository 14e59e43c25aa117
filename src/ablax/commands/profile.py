"""`ablax profile NETWORK`: where the time of a training step goes, layer by layer."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", help="a network of the zoo: ablax list")
    parser.add_argument("--inference", action="store_true", help="instead of a step of training")
    parser.add_argument("--batch", type=int, default=32, help="images a step; 32 by default")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument("--steps", type=int, default=4, help="steps to trace; 4 by default")
    parser.add_argument("--depth", type=int, default=1, help="how far to look into blocks")
    parser.add_argument("--format", choices=("text", "csv", "markdown", "json"), default="text")


def run(options: argparse.Namespace) -> None:
    """Measure the machine and the step, and print both."""
    from ablax.costs.machine import measure
    from ablax.costs.network import case
    from ablax.costs.tables import written
    from ablax.errors import AblaxError
    from ablax.profiling.profile import profile, profile_table

    for name in ("steps", "depth"):
        if getattr(options, name) < 1:
            raise AblaxError(f"--{name} is {getattr(options, name)}: expected at least 1")
    chosen = case(options.network, options.image_size, options.batch)
    found = profile(
        chosen, training=not options.inference, steps=options.steps, depth=options.depth
    )
    print(written(profile_table(found, measure(), options.depth), options.format))
