"""`python -m ablax.draw_layers --folder docs/layers`: pictures of what the layers do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ablax.draw_layers import contrast, convolutions, nonlinearities, translation
from ablax.draw_layers.sheet import save
from ablax.report.figures import settings

PICTURES: dict[str, Callable[[], Figure]] = {
    "convolution": convolutions.example,
    "moving_average": convolutions.average,
    "detector": convolutions.detector,
    "matrices": convolutions.matrices,
    "pools": translation.pools,
    "translation": translation.moving,
    "pyramid": translation.pyramid,
    "nonlinearities": nonlinearities.curves,
    "contrast": contrast.normalization,
    "stage": contrast.stage,
}


def draw_all(folder: Path) -> list[Path]:
    """One PNG for each picture, in `folder`; the same bytes every time.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with settings():
        for name, draw in PICTURES.items():
            save(draw(), folder / f"{name}.png")
            written.append(folder / f"{name}.png")
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ablax.draw_layers", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/layers"))
    for path in draw_all(parser.parse_args(arguments).folder):
        print(path)
    print("features moved by, %, when the image moves by 1, 2, 4 pixels:")
    print(*translation.movement_lines(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
