"""`ablax run NAME`: an experiment, from where it stopped."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ablax.errors import AblaxError, nearest

_HELP = """usage: ablax run NAME [--config RECIPE] [--results FOLDER] [--only A,B]
                      [fields of the recipe]

NAME      an experiment (ablax list names them), or the path of a file that defines one
RECIPE    a recipe (ablax list), or the path of one; digits by default
FOLDER    where the results go; results/NAME/RECIPE by default
A,B       the variants to run beside the baseline; more may be added later
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes beside fields of the recipe, which `ablax.recipe_options` reads."""
    parser.add_argument("name", nargs="?")
    parser.add_argument("--config", default="digits")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--only", default="")


def run(options: argparse.Namespace) -> None:
    """Run the experiment, or go on with it.

    Args:
        options: Of `arguments`, and `words` and `fields`: all words behind `ablax`, and those of
            them that are fields of the recipe.
    """
    from rich.console import Console

    from ablax.discovery import experiment, names, recipe
    from ablax.recipe_options import override

    words, fields = options.words, options.fields
    recipe_name, base = recipe(options.config)
    if {"-h", "--help"} & set(fields):
        print(_HELP)
        override(base, fields, recipe_name)
    if options.name is None:
        raise AblaxError("which experiment? " + nearest("", names("experiments")))
    late = words[1] != options.name and fields
    if late and words.index(options.name) > words.index(fields[0]):
        raise AblaxError(f"put the experiment's name first: ablax run NAME {fields[0]} ...")
    name, question = experiment(options.name)
    resolved = override(question.budgeted(recipe_name, base), fields, recipe_name)
    folder = options.results or Path("results") / name / recipe_name
    from ablax.bench import Order
    from ablax.results_folder import ResultsFolder
    from ablax.runner import run_experiment
    from ablax.training.compilation import set_up

    set_up()
    command = shlex.join(["ablax", *words])
    only = tuple(part.strip() for part in options.only.split(",") if part.strip())
    order = Order(name, question, recipe_name, resolved, ResultsFolder(folder), command, only)
    run_experiment(order, Console())
