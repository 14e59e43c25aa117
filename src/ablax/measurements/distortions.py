"""What training images were distorted by, in words, beside errors on distorted test images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ablax.report.study import Study


def distortions(recipe: Mapping[str, object], changes: Iterable[str] = ()) -> str:
    """Which of these transformations the training images got by lot, if any.

    Args:
        recipe: The experiment's, field by dotted name.
        changes: What variants change in it, in words (`Variant.changes`).

    Example:
        >>> distortions({"augment.rotate": 15.0, "augment.translate": 2.0})
        'Distorted training images are turned by up to 15 degrees and moved by up to 2 pixels.'
        >>> distortions({"augment.rotate": 15.0}, ["augment.rotate: 30.0"])
        'Distorted training images are turned by up to 15 degrees, where a variant changes nothing.'
    """
    words = {
        "augment.rotate": "turned by up to {:g} degrees",
        "augment.scale": "scaled by up to {:g} of their size",
        "augment.translate": "moved by up to {:g} pixels",
        "augment.crop_padding": "cut after padding by {:g} pixels",
    }
    said = [text.format(recipe[name]) for name, text in words.items() if recipe.get(name)]
    if not said:
        return ""
    listed = " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
    changed = any(change.startswith("augment.") for change in changes)
    where = ", where a variant changes nothing" if changed else ""
    return f"Distorted training images are {listed}{where}."


def distortions_of(study: Study) -> str:
    """The same of a study, for captions."""
    changes = [change for variant in study.variants for change in variant.changes]
    return distortions(study.recipe, changes)
