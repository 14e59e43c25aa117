"""`ablax roofline NETWORK`: each layer against the limits of this machine."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", help="a network of the zoo: ablax list")
    parser.add_argument("--out", type=Path, metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.add_argument("--format", choices=("text", "csv", "markdown", "json"), default="text")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument("--batch", type=int, default=1, help="images; 1 by default")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs; 5 by default")


def run(options: argparse.Namespace) -> None:
    """Measure the machine and every layer, print both, and draw them where asked."""
    from ablax.costs.machine import measure
    from ablax.costs.network import case
    from ablax.costs.roofline import roofline, roofline_table
    from ablax.costs.tables import written
    from ablax.errors import AblaxError
    from ablax.report.picture_file import check_file, save

    if options.repeats < 1:
        raise AblaxError(f"--repeats {options.repeats}: expected at least 1")
    chosen = case(options.network, options.image_size, options.batch)
    if options.out is not None:
        check_file(options.out)
    machine = measure(repeats=options.repeats)
    points = roofline(chosen, machine, options.repeats)
    print(written(roofline_table(chosen, points, machine), options.format))
    if options.out is not None:
        from ablax.costs.plots import roofline_figure

        save(roofline_figure(chosen, points, machine), options.out)
