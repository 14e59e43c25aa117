"""`ablax predict NETWORK --weights ... PICTURES`: the five likeliest classes of each picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    from ablax.preprocessing_options import add_weights_arguments

    add_weights_arguments(parser)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--top", type=int, default=5, help="how many classes of each picture")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> None:
    """Print the classes and their probabilities, in percent."""
    from ablax.errors import AblaxError
    from ablax.inference import predictions
    from ablax.interop.preprocessing import open_picture
    from ablax.preprocessing_options import with_options
    from ablax.training.compilation import set_up
    from ablax.weights_folder import open_weights

    if options.top < 1:
        raise AblaxError(f"--top is {options.top}: expected at least 1")
    pictures = [open_picture(path) for path in options.pictures]
    set_up()
    weights = open_weights(options.network, Path(options.weights), options.library)
    weights = with_options(weights, options)
    found = predictions(weights, pictures, options.top)
    if options.format == "json":
        named = zip(map(str, options.pictures), found, strict=True)
        rows = [{"picture": p, "classes": [each._asdict() for each in top]} for p, top in named]
        print(json.dumps(rows, indent=2))
        return
    for path, guesses in zip(options.pictures, found, strict=True):
        print(path)
        for guess in guesses:
            print(f"  {100 * guess.probability:6.2f} %  {guess.name}")
