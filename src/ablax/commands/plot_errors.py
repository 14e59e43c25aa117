"""`ablax plot-errors FILE`: published errors against multiply-accumulates and parameters."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", type=Path, help="the picture: .png, .svg or .pdf")
    parser.add_argument("--data", choices=("imagenet", "cifar"), default="imagenet")


def run(options: argparse.Namespace) -> None:
    """Draw the picture."""
    from ablax.costs.plots import errors_figure
    from ablax.report.picture_file import check_file, save

    check_file(options.file)
    save(errors_figure(options.data), options.file)
    print(options.file)
