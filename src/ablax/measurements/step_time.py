"""How long a training step takes, beside how many multiply-accumulates it has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int32

from ablax.core import Network
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.figures import WIDTH, blank, logarithmic, look, settings, where, write_caption
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant
from ablax.report.tables import Column, Table, number, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "step_time"
RUNS = 15
"""Of the compiled step; the first, and the compilation, are not among them."""


def step_time() -> Measurement:
    """Milliseconds of a training step, quantity `step_milliseconds`; of seed 0 alone."""
    return Measurement(
        name=NAME,
        measure=measure_step_time,
        section=Section(
            title="How long a training step takes",
            text=(
                "Forward and backward of one batch on one machine, whatever else it was doing: "
                f"median of {RUNS} runs of the compiled step, after one that is not counted. Not "
                "in it: the weights' update, drawing and distorting the images, compiling. The "
                "time also pays for what has no multiply-accumulates: normalization, copies, and "
                "every number that is moved between memory and processor."
            ),
            pictures=(
                Picture(
                    name=NAME,
                    title="Time of a training step against multiply-accumulates",
                    caption=(
                        "Milliseconds of forward and backward of one batch against "
                        "multiply-accumulates of one image, a mark a variant."
                    ),
                    draw=step_time_figure,
                ),
            ),
            tables=(step_time_table,),
        ),
        quantities={
            "step_milliseconds": Quantity(
                "time of a training step",
                lambda rows: 1000 * float(rows[-1]["seconds"]) if rows else float("nan"),
                "ms",
                1,
            )
        },
        every_seed=False,
    )


def measure_step_time(subject: Subject) -> list[Row]:
    """One row: `seconds`, median of the runs, their quartiles `low` and `high`, and `batch`.

    The batch is as large as in training, the first images of the training sample, repeated where
    they are too few.
    """
    batch = subject.recipe.train.batch
    chosen = np.arange(batch) % len(subject.train.images)
    images = jnp.asarray(subject.normalized(subject.train.images[chosen]))
    labels = jnp.asarray(subject.train.labels[chosen])
    times = step_seconds(subject.network, subject.variables, images, labels)
    low, middle, high = (float(value) for value in np.quantile(times, (0.25, 0.5, 0.75)))
    return [{"seconds": middle, "low": low, "high": high, "batch": float(batch)}]


def step_seconds(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int32[Array, " N"],
    runs: int = RUNS,
) -> list[float]:
    """Seconds of each run of the mean loss, its gradient and the new statistics of one batch.

    Compiling is not in them, nor is a first run, which warms memory up.

    Args:
        network: Any network.
        variables: Its parameters and statistics.
        images: A batch, normalized.
        labels: The classes.
        runs: How many, 1 or more.
    """

    def loss(params: Any, statistics: Any) -> Any:
        scores, updated = network.apply(
            {"params": params, "batch_stats": statistics},
            images,
            mutable=["batch_stats", "auxiliary"],
            rngs={"dropout": jax.random.key(0)},
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return losses.mean(), updated.get("batch_stats", {})

    arguments = variables.get("params", {}), variables.get("batch_stats", {})
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    jax.block_until_ready(step(*arguments))
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        jax.block_until_ready(step(*arguments))
        times.append(time.perf_counter() - started)
    return times


def _measured(study: Study) -> list[tuple[Variant, Row]]:
    """The variants with a row, and that row."""
    found = ((variant, study.rows(NAME, variant=variant.name)) for variant in study.variants)
    return [(variant, rows[-1]) for variant, rows in found if rows]


def nanoseconds(variant: Variant, row: Row) -> float:
    """Of a step, for a thousand multiply-accumulates of the forward pass of its whole batch.

    Args:
        variant: Whose multiply-accumulates are counted.
        row: What `measure_step_time` gave.
    """
    return 1e12 * float(row["seconds"]) / (variant.macs * float(row["batch"]))


def step_time_table(study: Study) -> Table:
    """A row a variant: multiply-accumulates, milliseconds, and what 1000 of them cost."""
    rows = [
        (
            variant.label,
            scaled(variant.macs),
            number(1000 * row["seconds"], 1),
            f"{number(1000 * row['low'], 1)} to {number(1000 * row['high'], 1)}",
            number(nanoseconds(variant, row), 1),
        )
        for variant, row in _measured(study)
    ]
    return Table(
        title="Time of a training step",
        columns=(
            Column("Variant", "left"),
            Column("MACs"),
            Column("Step, ms"),
            Column("Middle half of the runs, ms"),
            Column("ns for 1,000 MACs"),
        ),
        rows=tuple(rows),
        notes=(
            "MACs: multiply-accumulates of one image forward. The last column: the step's time "
            "over those of its whole batch, forward alone, although the step goes backward too.",
        ),
    )


def step_time_figure(study: Study) -> Figure:
    """A named mark a variant; a line through the baseline on which time goes with the products."""
    with settings():
        figure = blank(WIDTH, 6.8)
        axes = figure.subplots()
        measured = _measured(study)
        if not measured:
            axes.text(0.5, 0.5, "nothing was measured", ha="center", va="center")
            return figure
        for variant, row in measured:
            style = look(study.names.index(variant.name))
            _draw_mark(axes, variant, row, style)
        _draw_rate(axes, study, measured)
        axes.margins(x=0.1, y=0.15)
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel("multiply-accumulates of one image, forward")
        axes.set_ylabel(f"step of {measured[0][1]['batch']:.0f} images, milliseconds")
        axes.grid(color="#E4E4E4")
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=12)
        write_caption(
            figure,
            "Forward and backward of one batch, compiled, seed 0; bars: the middle half of "
            f"{RUNS} runs. On the dotted line every multiply-accumulate would take as long as "
            f"one of the baseline: above it they take longer. {where(study)}",
        )
        return figure


def _draw_mark(axes: Axes, variant: Variant, row: Row, style: dict[str, object]) -> None:
    color, marker = str(style["color"]), str(style["marker"])
    quartiles = [1000 * row["low"], 1000 * row["high"]]
    axes.plot([variant.macs] * 2, quartiles, color=color, lw=2.5)
    axes.plot(
        [variant.macs],
        [1000 * row["seconds"]],
        linestyle="",
        marker=marker,
        color=color,
        ms=12,
        mec="white",
        label=variant.label,
    )


def _draw_rate(axes: Axes, study: Study, measured: list[tuple[Variant, Row]]) -> None:
    """Through the baseline, as far as the variants reach."""
    baseline = next((row for variant, row in measured if variant.name == study.baseline), None)
    if baseline is None:
        return
    macs = [variant.macs for variant, _ in measured]
    rate = 1000 * baseline["seconds"] / study.variant(study.baseline).macs
    ends = [min(macs), max(macs)]
    axes.plot(ends, [rate * end for end in ends], ":", color="#777777", lw=2, zorder=1)
