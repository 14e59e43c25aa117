"""`ablax run NAME ...`: experiments, from where they stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from tyro.conf import Positional

from ablax.commands import options
from ablax.config import Recipe, flat, unflat
from ablax.errors import AblaxError, nearest

_OWN = ("--config", "--results", "--only", "--workers")


class Asked(NamedTuple):
    """An experiment that was named: its recipe under its budget, and what makes its plan."""

    name: str
    base: Recipe
    prepare: Callable[..., Any]


def run(
    names: Annotated[Positional[tuple[options.Word, ...]], tyro.conf.arg(metavar="NAME ...")],
    config: Annotated[options.Word, tyro.conf.arg(metavar="RECIPE")] = "",
    results: options.OutFolder | None = None,
    only: options.VariantNames = "",
    workers: options.Workers | None = None,
    recipe: Annotated[Recipe, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = Recipe(),  # noqa: B008 - frozen
    asked: Any = None,
) -> None:
    """Run experiments, or resume them: their names first, then options and fields of the recipe.

    Args:
        names: Experiments (ablax list), paths of files that define one, or modules.
        config: A recipe (ablax list), the path of one, or a module; the fields below are its own.
            By default the one in which the experiment's question can be told: digits, as a rule.
        results: Where the results go; results/NAME/RECIPE by default. Of several experiments, a
            folder for a folder of each.
        only: Variants to run beside the baseline, with commas between; more may be added later.
        workers: Runs side by side, each in a process of its own; 0: one after the other in this
            process; as many as the machine has use for by default.
        recipe: The fields of the recipe.
        asked: What `defaults` has found already.
    """
    from ablax.study.runner import run_experiments
    from ablax.study.workers import leave_room
    from ablax.training.progress import console_here

    found: list[Asked] = asked or [_asked(name, config, f"ablax run {name}") for name in names]
    if only and len(found) > 1:
        raise AblaxError(f"--only names variants of one experiment, and {len(found)} are given")
    leave_room(workers)
    try:
        prepared = [
            each.prepare(
                _as_changed(recipe, found[0].base, each.base),
                only=only,
                folder=_place(results, each.name, len(found)),
            )
            for each in found
        ]
        run_experiments(prepared, console_here(), workers)
    except AblaxError as error:  # of fields that do not fit the data, the network or one another
        raise options.as_typed(error) from error.__cause__


def _place(results: Path | None, name: str, experiments: int) -> Path | None:
    return results / name if results is not None and experiments > 1 else results


def _as_changed(recipe: Recipe, base: Recipe, other: Recipe) -> Recipe:
    """Another experiment's recipe with the fields in which `recipe` is not its base."""
    ours, usual = flat(recipe), flat(base)
    return unflat(
        {**flat(other), **{name: ours[name] for name in ours if ours[name] != usual[name]}}
    )


def _asked(name: str, config: str, command: str) -> Asked:
    """What was asked for by a name; `command` is what was typed, for the report."""
    from ablax.study import discovery, runner

    found, experiment = discovery.experiment(name)
    if not experiment.variants and not experiment.measurements:
        raise AblaxError(
            f"{found} has no variants and no measurements, so nothing is learned from it: give "
            'one, such as variants={"cut": ablax.remove("conv3")}'
        )
    under, base = discovery.recipe(config or experiment.recipe)
    prepare = partial(
        runner.prepare, experiment, name=found, recipe_name=under, command=command, source=name
    )
    return Asked(found, experiment.budgeted(under, base), prepare)


def defaults(words: Sequence[str]) -> dict[str, Any]:
    """The defaults of `recipe` and `asked`, from the words behind `ablax run`."""
    from ablax.study import discovery

    given = _peek(words)
    if {"-h", "--help"} & set(words):
        return {"recipe": discovery.recipe(given.config or "digits")[1]}
    if not given.names:
        raise AblaxError("which experiment? " + nearest("", discovery.names("experiments")))
    named = [words[place] for place in given.names]
    if twice := [name for name in named if named.count(name) > 1]:
        raise AblaxError(f"the experiment {twice[0]!r} is given twice: name it once")
    asked = [_asked(words[one], given.config, _alone(words, given, one)) for one in given.names]
    return {"recipe": asked[0].base, "asked": asked}


class _Given(NamedTuple):
    """The places of the experiments' names and of the results among the words, and the recipe."""

    names: list[int]
    results: int | None
    config: str


def _alone(words: Sequence[str], given: _Given, one: int) -> str:
    """The command that runs one of the experiments and no other."""
    left = list(words)
    if given.results is not None and len(given.names) > 1:
        left[given.results] += f"/{Path(words[one]).stem}"
    kept = [word for place, word in enumerate(left) if place == one or place not in given.names]
    return shlex.join(["ablax", "run", *kept])


def _peek(words: Sequence[str]) -> _Given:
    """The experiments' names and the recipe's, before the fields can be read.

    A field before the names is refused: they might be the field's values.
    """
    names: list[int] = []
    results, config, field, place = None, "", "", 0
    while place < len(words):
        option, equals, value = words[place].partition("=")
        if option in _OWN:
            place += not equals
            value = value if equals else "".join(words[place : place + 1])
            config = value if option == "--config" and value else config
            results = place if option == "--results" else results
        elif option.startswith("-"):
            field = field or words[place]
        elif not field:
            names.append(place)
        place += 1
    if not names and field not in ("", "-h", "--help"):
        raise AblaxError(f"put the experiment's name first: ablax run NAME {field} ...")
    return _Given(names, results, config)
