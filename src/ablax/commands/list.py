"""`ablax list`: the experiments, recipes and networks."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def run(options: argparse.Namespace) -> None:
    """Print the list; `--format markdown` is the page `docs/networks.md`."""
    from ablax.discovery import names
    from ablax.listing import networks, page, text

    if options.format == "markdown":
        print(page())
        return
    found = {
        "experiments": names("experiments"),
        "recipes": names("configs"),
        "networks": networks(),
    }
    print(json.dumps(found, indent=2) if options.format == "json" else text(found))
