"""Override the fields of a recipe from the command line."""

from __future__ import annotations

import tyro

from ablax.config import Recipe


def override(recipe: Recipe, words: list[str], name: str) -> Recipe:
    """The recipe with the named fields changed: `--train.epochs 3 --seeds 5`.

    Args:
        recipe: Where fields that are not named keep their value.
        words: What was typed.
        name: The recipe's, for the help.

    Returns:
        The changed recipe.

    Raises:
        ConfigError: A value that the field cannot have.
        SystemExit: With status 2 and a message, an unknown field or a value of the wrong type; with
            status 0, `--help`.

    Example:
        >>> override(Recipe(), ["--train.epochs", "3"], "digits").train.epochs
        3
    """
    return tyro.cli(
        Recipe,
        default=recipe,
        args=words,
        prog="ablax run NAME --config " + name,
        description=f"The fields of the recipe '{name}' and what they are; name one to change it.",
        config=(tyro.conf.FlagConversionOff,),
    )
