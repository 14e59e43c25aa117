"""`ablax run NAME`: an experiment, from where it stopped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from ablax.commands.options import OutFolder, Word
from ablax.config import Recipe
from ablax.errors import AblaxError, nearest

_OWN = ("--config", "--results", "--only")


def run(
    name: Positional[Word],
    config: Annotated[Word, tyro.conf.arg(metavar="RECIPE")] = "digits",
    results: OutFolder | None = None,
    only: Annotated[str, tyro.conf.arg(metavar="A,B")] = "",
    recipe: Annotated[Recipe, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = Recipe(),  # noqa: B008 - frozen
    command: tyro.conf.Suppress[str] = "ablax run",
) -> None:
    """Run an experiment, or resume one: its name first, then options and fields of the recipe.

    Args:
        name: An experiment (ablax list), the path of a file that defines one, or a module.
        config: A recipe (ablax list), the path of one, or a module; the fields below are its own.
        results: Where the results go; results/NAME/RECIPE by default.
        only: Variants to run beside the baseline, with commas between; more may be added later.
        recipe: The fields of the recipe.
        command: What was typed, for the report.
    """
    from rich.console import Console

    from ablax.study.discovery import experiment
    from ablax.study.discovery import recipe as recipe_named
    from ablax.study.folder import ResultsFolder
    from ablax.study.runner import Plan, run_experiment
    from ablax.training.loop import set_up

    stem, question = experiment(name)
    recipe_name, _ = recipe_named(config)
    folder = results or Path("results") / stem / recipe_name
    set_up()
    variants = tuple(part.strip() for part in only.split(",") if part.strip())
    plan = Plan(stem, question, recipe_name, recipe, ResultsFolder(folder), command, variants)
    run_experiment(plan, Console())


def defaults(words: Sequence[str]) -> dict[str, Any]:
    """What the fields are before the command line changes them: the recipe's, as budgeted.

    Args:
        words: Behind `ablax run`.

    Returns:
        The defaults of `recipe` and `command`.

    Raises:
        AblaxError: There is no such experiment or recipe, or none is named before the fields.
    """
    from ablax.study.discovery import experiment, names
    from ablax.study.discovery import recipe as recipe_named

    asked = bool({"-h", "--help"} & set(words))
    name, config = _peek(words)
    recipe_name, base = recipe_named(config)
    if name is None and not asked:
        raise AblaxError("which experiment? " + nearest("", names("experiments")))
    if name is not None and not asked:
        base = experiment(name)[1].budgeted(recipe_name, base)
    return {"recipe": base, "command": shlex.join(["ablax", "run", *words])}


def _peek(words: Sequence[str]) -> tuple[str | None, str]:
    """The experiment's name and the recipe's, before the fields can be read.

    Raises:
        AblaxError: A field stands before the name, which might be one of the field's values.
    """
    name, config, field = None, "digits", ""
    rest: Iterator[str] = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if option in _OWN:
            value = value if equals else next(rest, "")
            config = value if option == "--config" and value else config
        elif word.startswith("-"):
            field = field or word
        elif name is None and not field:
            name = word
    if name is None and field not in ("", "-h", "--help"):
        raise AblaxError(f"put the experiment's name first: ablax run NAME {field} ...")
    return name, config
