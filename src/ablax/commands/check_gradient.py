"""`ablax check-gradient NETWORK`: its loss's gradient against finite differences in float64."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablax.analysis.gradient_check import GradientCheck
    from ablax.costs.tables import Table


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", help="a network of the zoo (ablax list)")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument("--images", type=int, default=2, help="of noise, in the batch")
    parser.add_argument("--classes", type=int, help="the paper's by default")
    parser.add_argument("--directions", type=int, default=2, help="random directions a leaf")
    parser.add_argument("--entries", type=int, default=0, help="single numbers a leaf besides")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="of the relative error")
    parser.add_argument("--training", action="store_true", help="with the statistics of the batch")
    parser.add_argument("--seed", type=int, default=0, help="of weights, images and directions")
    parser.add_argument("--format", choices=("text", "csv", "markdown", "json"), default="text")


def run(options: argparse.Namespace) -> None:
    """Print a row a leaf and the verdict; fail where a gradient is wrong."""
    from ablax.analysis.gradient_check import check_gradient
    from ablax.costs.tables import written
    from ablax.errors import AblaxError
    from ablax.training.compilation import set_up

    for name, least in (("images", 1), ("image_size", 1), ("directions", 0), ("entries", 0)):
        given = getattr(options, name)
        if given is not None and given < least:
            option = "--" + name.replace("_", "-")
            raise AblaxError(f"{option} {given}: expected at least {least}")
    if options.directions + options.entries < 1:
        raise AblaxError("--directions 0 --entries 0: expected at least one of either")
    set_up()
    loss, parameters, statistics, images, labels = _loss(options)
    found = check_gradient(
        loss,
        parameters,
        statistics,
        images,
        labels,
        directions=options.directions,
        entries=options.entries,
        tolerance=options.tolerance,
        seed=options.seed,
    )
    print(written(_table(options, found), options.format))
    if found.verdict == "disagrees":
        raise AblaxError(
            f"the gradient of {options.network} disagrees with its differences: look at the layers "
            "whose leaves disagree, and at those behind them"
        )


def _loss(options: argparse.Namespace) -> tuple[Any, ...]:
    """The mean cross-entropy of a batch of noise, and its arguments."""
    import jax
    import jax.numpy as jnp

    from ablax.core import initialize
    from ablax.losses import softmax_cross_entropy
    from ablax.zoo import find

    entry = find(options.network)
    size = entry.image_size if options.image_size is None else options.image_size
    network = entry.build() if options.classes is None else entry.build(options.classes)
    shape = (size, size, entry.channels)
    variables = initialize(network, options.seed, shape)
    statistics = {name: tree for name, tree in variables.items() if name != "params"}
    kept, labelled = jax.random.split(jax.random.key(options.seed))
    images = jax.random.normal(kept, (options.images, *shape))

    def loss(params: Any, statistics: Any, images: Any, labels: Any) -> Any:
        given = {"params": params, **statistics}
        if options.training and statistics:
            scores, _ = network.apply(given, images, mutable=list(statistics))
        else:
            scores = network.apply(given, images)
        return jnp.mean(softmax_cross_entropy(scores, labels))

    scores = jax.eval_shape(network.apply, variables, images)
    labels = jax.random.randint(labelled, (options.images,), 0, scores.shape[-1])
    return loss, variables["params"], statistics, images, labels


def _table(options: argparse.Namespace, found: GradientCheck) -> Table:
    from ablax.costs.tables import Table

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
    count = dict.fromkeys(("agrees", "disagrees", "cannot be told"), 0)
    for leaf in found.leaves:
        count[leaf.verdict] += 1
    mode = "in training" if options.training else "as in a test"
    return Table(
        f"Gradient of the mean cross-entropy of {options.network}, {options.images} images of "
        f"noise, {mode}, seed {options.seed}",
        ("leaf", "shape", "gradient", "difference", "error", "noise", "kink", "verdict"),
        tuple(rows),
        (
            f"The loss is {found.value:.6g}. Of each leaf the slope with the largest relative "
            f"error is shown; up to {found.tolerance:g} agrees. Noise: what rounding may move the "
            "difference by; kink: what a ReLU or maximum that switches between the points may. "
            "Nearby: at a point moved off a kink.",
            f"{count['agrees']} leaves agree, {count['disagrees']} disagree, "
            f"{count['cannot be told']} cannot be told.",
        ),
        dict(count),
    )
