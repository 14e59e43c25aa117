"""`ablax check-gradient MODEL`: the gradient that trains it, against finite differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError

if TYPE_CHECKING:
    from ablax.analysis.gradient_check import GradientCheck, LeafPrecision
    from ablax.model import Model
    from ablax.report.tables import Table
    from ablax.training.step import Objective


def check_gradient(
    model: Positional[options.ModelSource],
    image_size: options.Pixels | None = None,
    images: options.Images = 2,
    classes: options.AtLeastTwo | None = None,
    directions: options.NonNegativeInt = 2,
    entries: options.NonNegativeInt = 0,
    tolerance: options.Positive = 1e-5,
    seed: options.Seed = 0,
    format: options.TableFormat = "text",
) -> None:
    """Compare the gradient of a network's training loss with finite differences, leaf by leaf.

    Differences tell the slope in float64 alone. Beside it stands the gradient in float32 that
    training uses on this machine, compared with the one in float64. The loss is that of a training
    step: batch statistics, auxiliary classifiers with weight 0.3; no dropout.

    Args:
        image_size: Height and width of the images, of random weights; the paper's by default.
        images: Images of noise in the batch.
        classes: Number of classes, of random weights; the paper's by default.
        directions: Random directions per leaf.
        entries: Single entries per leaf, beside the directions.
        tolerance: Largest relative error that agrees.
        seed: Of weights, images and directions.
    """
    from ablax.analysis.gradient_check import check_gradient, check_precision
    from ablax.report.tables import render
    from ablax.training.loop import set_up

    if directions + entries < 1:
        raise AblaxError("--directions 0 --entries 0: expected at least one of either")
    set_up()
    asked = options.opened(model, seed, image_size, classes, images).model
    objective, arguments = _objective(asked, images, seed)
    exact = dataclasses.replace(objective, precision="float64")
    found = check_gradient(
        _total(exact),
        *arguments,
        directions=directions,
        entries=entries,
        tolerance=tolerance,
        seed=seed,
    )
    single = check_precision(_total(objective), _total(exact), *arguments, seed=seed)
    title = f"Gradient of the training loss of {asked.name}, {images} images of noise, seed {seed}"
    print(render(_table(title, found, single), format))
    if found.verdict == "disagrees":
        raise AblaxError(
            f"the gradient of {asked.name} disagrees with its differences: look at the layers "
            "whose leaves disagree, and at those behind them"
        )
    if wrong := [row.leaf for row in single if row.verdict == "disagrees"]:
        raise AblaxError(
            f"the gradient of {asked.name} in float32, as it trains here, disagrees with that in "
            f"float64 in {len(wrong)} leaves, {wrong[0]} first: look at the kernels for float32 "
            "(ABLAX_NATIVE=0 trains without oneDNN)"
        )


def _total(objective: Objective) -> Callable[..., Any]:
    """The training loss alone, to be differentiated."""
    from ablax.training.step import loss

    return lambda *arguments: loss(objective, *arguments)[0]


def _objective(model: Model, count: int, seed: int) -> tuple[Objective, tuple[Any, ...]]:
    """The training loss, and its arguments: parameters, statistics, noise and random labels."""
    import jax

    from ablax.analysis.jax_versions import random_key
    from ablax.training.step import Objective

    network, variables = model.network, model.variables
    kept, labelled = jax.random.split(random_key(seed))
    images = jax.random.normal(kept, (count, *model.image_shape))
    scores = jax.eval_shape(network.apply, variables, images)
    labels = jax.random.randint(labelled, (count,), 0, scores.shape[-1])
    arguments = (variables.get("params", {}), variables.get("batch_stats", {}), images, labels)
    return Objective(network), arguments


def _table(title: str, found: GradientCheck, single: Sequence[LeafPrecision]) -> Table:
    from ablax.analysis.gradient_check import ROUNDING
    from ablax.report.tables import Table

    rows = []
    for leaf, trained in zip(found.leaves, single, strict=True):
        worst = max(leaf.slopes, key=lambda each: (each.verdict == leaf.verdict, each.error))
        rows.append(
            (
                leaf.leaf,
                "x".join(map(str, leaf.shape)) or "1",
                f"{worst.gradient:.6g}",
                f"{worst.difference:.6g}",
                f"{worst.error:.1e}",
                f"{worst.noise:.1e}",
                f"{worst.kink:.1e}",
                leaf.verdict + (" nearby" if worst.moved else ""),
                f"{trained.error:.1e}",
                trained.verdict,
            )
        )
    count = _count(leaf.verdict for leaf in found.leaves)
    trained_count = _count(leaf.verdict for leaf in single)
    return Table(
        title,
        (
            *("leaf", "shape", "gradient", "difference", "error", "noise", "kink", "verdict"),
            *("float32 error", "float32"),
        ),
        tuple(rows),
        (
            f"The loss is {found.value:.6g}. Of each leaf the slope with the largest relative "
            f"error is shown; up to {found.tolerance:g} agrees. Noise: what rounding may move the "
            "difference by; kink: what a ReLU or maximum that switches between the points may. "
            "Nearby: at a point moved off a kink.",
            f"float64, with differences: {_told(count)}.",
            "float32: |g32 - g| / |g| of the whole leaf, g in float64; agrees up to "
            f"{ROUNDING:.1g} beyond what rounding weights and images otherwise explains. "
            f"As it trains: {_told(trained_count)}.",
        ),
        count | {f"float32 {verdict}": number for verdict, number in trained_count.items()},
    )


def _count(verdicts: Iterable[str]) -> dict[str, int]:
    found = list(verdicts)
    return {verdict: found.count(verdict) for verdict in ("agrees", "disagrees", "inconclusive")}


def _told(count: Mapping[str, int]) -> str:
    return (
        f"{count['agrees']} leaves agree, {count['disagrees']} disagree, "
        f"{count['inconclusive']} inconclusive"
    )
