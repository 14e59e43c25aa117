"""`ablax check-gradient MODEL`: its loss's gradient against finite differences in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastTwo,
    Images,
    ModelSource,
    NonNegativeInt,
    Pixels,
    Positive,
    Seed,
    TableFormat,
    opened,
)

if TYPE_CHECKING:
    from ablax.analysis.gradient_check import GradientCheck
    from ablax.inspection.tables import Table
    from ablax.model import Model


def check_gradient(
    model: Positional[ModelSource],
    image_size: Pixels | None = None,
    images: Images = 2,
    classes: AtLeastTwo | None = None,
    directions: NonNegativeInt = 2,
    entries: NonNegativeInt = 0,
    tolerance: Positive = 1e-5,
    training: bool = False,
    seed: Seed = 0,
    format: TableFormat = "text",
) -> None:
    """Compare the gradient of a network's loss with finite differences in float64, leaf by leaf.

    Args:
        model: A network (ablax list), NETWORK=FILE, a folder of weights, or RESULTS:VARIANT:SEED.
        image_size: Height and width of the images, of random weights; the paper's by default.
        images: Images of noise in the batch.
        classes: Number of classes, of random weights; the paper's by default.
        directions: Random directions per leaf.
        entries: Single entries per leaf, beside the directions.
        tolerance: Largest relative error that agrees.
        training: Normalize by the statistics of the batch, as in training.
        seed: Of weights, images and directions.
        format: How the table is printed.

    Raises:
        AblaxError: A gradient is wrong.
    """
    from ablax.analysis.gradient_check import check_gradient
    from ablax.errors import AblaxError
    from ablax.inspection.tables import written
    from ablax.training.loop import set_up

    if directions + entries < 1:
        raise AblaxError("--directions 0 --entries 0: expected at least one of either")
    set_up()
    asked = opened(model, seed, image_size, classes).model
    loss, parameters, statistics, batch, labels = _loss(asked, images, training, seed)
    found = check_gradient(
        loss,
        parameters,
        statistics,
        batch,
        labels,
        directions=directions,
        entries=entries,
        tolerance=tolerance,
        seed=seed,
    )
    mode = "in training" if training else "as in a test"
    title = (
        f"Gradient of the mean cross-entropy of {asked.name}, {images} images of noise, {mode}, "
        f"seed {seed}"
    )
    print(written(_table(title, found), format))
    if found.verdict == "disagrees":
        raise AblaxError(
            f"the gradient of {asked.name} disagrees with its differences: look at the layers "
            "whose leaves disagree, and at those behind them"
        )


def _loss(model: Model, count: int, training: bool, seed: int) -> tuple[Any, ...]:
    """The mean cross-entropy of a batch of noise, and its arguments."""
    import jax
    import jax.numpy as jnp

    from ablax.losses import softmax_cross_entropy

    network, variables = model.network, model.variables
    statistics = {name: tree for name, tree in variables.items() if name != "params" and tree}
    kept, labelled = jax.random.split(jax.random.key(seed))
    images = jax.random.normal(kept, (count, *model.image_shape))

    def loss(params: Any, statistics: Any, images: Any, labels: Any) -> Any:
        given = {"params": params, **statistics}
        if training and statistics:
            scores, _ = network.apply(given, images, mutable=list(statistics))
        else:
            scores = network.apply(given, images)
        return jnp.mean(softmax_cross_entropy(scores, labels))

    scores = jax.eval_shape(network.apply, variables, images)
    labels = jax.random.randint(labelled, (count,), 0, scores.shape[-1])
    return loss, variables["params"], statistics, images, labels


def _table(title: str, found: GradientCheck) -> Table:
    from ablax.inspection.tables import Table

    rows = []
    for leaf in found.leaves:
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
            )
        )
    count = dict.fromkeys(("agrees", "disagrees", "inconclusive"), 0)
    for leaf in found.leaves:
        count[leaf.verdict] += 1
    return Table(
        title,
        ("leaf", "shape", "gradient", "difference", "error", "noise", "kink", "verdict"),
        tuple(rows),
        (
            f"The loss is {found.value:.6g}. Of each leaf the slope with the largest relative "
            f"error is shown; up to {found.tolerance:g} agrees. Noise: what rounding may move the "
            "difference by; kink: what a ReLU or maximum that switches between the points may. "
            "Nearby: at a point moved off a kink.",
            f"{count['agrees']} leaves agree, {count['disagrees']} disagree, "
            f"{count['inconclusive']} inconclusive.",
        ),
        dict(count),
    )
