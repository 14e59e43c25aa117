"""The command line: `ablax list`, `ablax run NAME`, `ablax show NETWORK`."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import sys
from pathlib import Path

from ablax.errors import AblaxError, nearest

_ABOUT = "A laboratory for convolutional networks on JAX."
_RUN_HELP = """usage: ablax run NAME [--config RECIPE] [--results FOLDER] [fields of the recipe]

NAME      an experiment (ablax list names them), or the path of a file that defines one
RECIPE    a recipe (ablax list), or the path of one; digits by default
FOLDER    where the results go; results/NAME/RECIPE by default
"""
_COMMANDS = ("list", "run", "show")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave: status 0, or 2 and one message that says what to mend.

    Args:
        arguments: The words behind `ablax`; those of the process by default.
    """
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ± still gets its table
    try:
        _main(words)
    except AblaxError as error:
        print(f"ablax: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ablax: stopped at once; the last checkpoint is as it was", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("ablax: nobody reads the output any more: stopped", file=sys.stderr)
        sys.exit(1)


def _main(words: list[str]) -> None:
    parser = argparse.ArgumentParser("ablax", description=_ABOUT)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="name the experiments, recipes and networks")
    listing.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    run = commands.add_parser("run", help="run an experiment, or go on with one", add_help=False)
    run.add_argument("name", nargs="?")
    run.add_argument("--config", default="digits")
    run.add_argument("--results", type=Path)
    show = commands.add_parser("show", help="print a network of the zoo, one line a layer")
    show.add_argument("network")
    show.add_argument("--depth", type=int, default=1, help="how far to look into blocks (0: all)")
    show.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    if words and words[0] not in (*_COMMANDS, "-h", "--help"):
        raise AblaxError(f"there is no command {words[0]!r}: {nearest(words[0], _COMMANDS)}")
    options, rest = parser.parse_known_args(words)
    if options.command == "run":
        _run(options, rest, words)
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    elif options.command == "list":
        _list(options.format)
    else:
        _show(options.network, options.depth, options.image_size)


def _run(options: argparse.Namespace, rest: list[str], words: list[str]) -> None:
    from rich.console import Console

    from ablax.discovery import experiment, names, recipe
    from ablax.recipe_options import override

    recipe_name, base = recipe(options.config)
    if {"-h", "--help"} & set(rest):
        print(_RUN_HELP)
        override(base, rest, recipe_name)
    if options.name is None:
        raise AblaxError("which experiment? " + nearest("", names("experiments")))
    if words[1] != options.name and rest and words.index(options.name) > words.index(rest[0]):
        raise AblaxError(f"put the experiment's name first: ablax run NAME {rest[0]} ...")
    name, question = experiment(options.name)
    resolved = override(base, rest, recipe_name)
    folder = options.results or Path("results") / name / recipe_name
    from ablax.results_folder import ResultsFolder
    from ablax.runner import Order, run_experiment
    from ablax.training.compilation import set_up

    set_up()
    command = shlex.join(["ablax", *words])
    order = Order(name, question, recipe_name, resolved, ResultsFolder(folder), command)
    run_experiment(order, Console())


def _list(form: str) -> None:
    from ablax.discovery import names
    from ablax.listing import networks, page, text

    if form == "markdown":
        print(page())
        return
    found = {
        "experiments": names("experiments"),
        "recipes": names("configs"),
        "networks": networks(),
    }
    print(json.dumps(found, indent=2) if form == "json" else text(found))


def _show(name: str, depth: int, image_size: int | None) -> None:
    from ablax.core import describe
    from ablax.zoo import find

    entry = find(name)
    size = entry.image_size if image_size is None else image_size
    print(describe(entry.build(), (size, size, entry.channels), depth or None))


if __name__ == "__main__":
    main()
