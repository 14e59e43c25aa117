"""`ablax run NAME`: an experiment, from where it stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from ablax.commands import options
from ablax.config import Recipe
from ablax.errors import AblaxError, nearest

_OWN = ("--config", "--results", "--only")


def run(
    name: Positional[options.Word],
    config: Annotated[options.Word, tyro.conf.arg(metavar="RECIPE")] = "digits",
    results: options.OutFolder | None = None,
    only: options.VariantNames = "",
    recipe: Annotated[Recipe, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = Recipe(),  # noqa: B008 - frozen
    asked: Any = None,
) -> None:
    """Run an experiment, or resume one: its name first, then options and fields of the recipe.

    Args:
        name: An experiment (ablax list), the path of a file that defines one, or a module.
        config: A recipe (ablax list), the path of one, or a module; the fields below are its own.
        results: Where the results go; results/NAME/RECIPE by default.
        only: Variants to run beside the baseline, with commas between; more may be added later.
        recipe: The fields of the recipe.
        asked: What `defaults` has found already.
    """
    call = asked or _asked(name, config, f"ablax run {name}")[1]
    try:
        call(recipe, only=only, folder=results)
    except AblaxError as error:  # of fields that do not fit the data, the network or one another
        raise options.as_typed(error) from error.__cause__


def _asked(name: str, config: str, command: str) -> tuple[Recipe, Callable[..., Any]]:
    """The recipe under the experiment's budget, and the call of the runner, which lacks a recipe.

    `command` is what was typed, for the report.
    """
    from ablax.study import discovery, runner

    name, experiment = discovery.experiment(name)
    if not experiment.variants and not experiment.measurements:
        raise AblaxError(
            f"{name} has no variants and no measurements, so nothing is learned from it: give one, "
            'such as variants={"cut": ablax.remove("conv3")}'
        )
    recipe_name, base = discovery.recipe(config)
    call = partial(runner.run, experiment, name=name, recipe_name=recipe_name, command=command)
    return experiment.budgeted(recipe_name, base), call


def defaults(words: Sequence[str]) -> dict[str, Any]:
    """The defaults of `recipe` and `asked`, from the words behind `ablax run`."""
    from ablax.study import discovery

    name, config = _peek(words)
    if {"-h", "--help"} & set(words):
        return {"recipe": discovery.recipe(config)[1]}
    if name is None:
        raise AblaxError("which experiment? " + nearest("", discovery.names("experiments")))
    recipe, call = _asked(name, config, shlex.join(["ablax", "run", *words]))
    return {"recipe": recipe, "asked": call}


def _peek(words: Sequence[str]) -> tuple[str | None, str]:
    """The experiment's name and the recipe's, before the fields can be read.

    A field before the name is refused: the name might be one of the field's values.
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
