"""Seconds: of compiling a network, and of a training step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import Array, Float, Int32

from ablax.core import Network, abstract_variables
from ablax.core.edits import EditError
from ablax.core.network import Sequential
from ablax.layers import Residual
from ablax.layers.loops import fold
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import WIDTH, blank, logarithmic, look, settings, where, write_caption
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant
from ablax.report.tables import Column, Table, number, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# How long XLA works on a network's training step, with and without loops over equal blocks.

COMPILE_TIME = "compile_time"
BLOCKS = (Residual, Sequential)
"""What is folded: runs of equal neighbors of these classes."""


def measure(model: Model, sample: Sample) -> list[Row]:
    """Seconds to trace and to compile loss and gradient of one batch, unrolled and scanned.

    The compilation cache is off meanwhile. Scanned: each run of equal neighboring blocks is one
    `ablax.layers.loops.Repeat`; a network without equal neighbors has no such row.

    Returns:
        A row a form: `form` ("unrolled" or "scanned"), `trace_seconds`, `compile_seconds` and
        `program`, the characters of the program that XLA was given.
    """
    forms = {"unrolled": model.network}
    with suppress(EditError):
        forms["scanned"] = fold(*BLOCKS)(model.network)
    batch = sample.recipe.train.batch
    shape = sample.train.images.shape[1:]
    return [
        {"form": form, **compile_seconds(network, (batch, *shape))}
        for form, network in forms.items()
    ]


def compile_seconds(network: Network, images: tuple[int, ...]) -> dict[str, float]:
    """Seconds to trace and to compile the gradient of the mean loss of a batch.

    Args:
        network: Any network.
        images: (N, H, W, C).
    """
    shapes = abstract_variables(network, (images[1], images[2], images[3]))

    def loss(params: Any, statistics: Any, batch: Any, labels: Any) -> Any:
        held = {"params": params, "batch_stats": statistics}
        scores, updated = network.apply(
            held,
            batch,
            mutable=["batch_stats", "auxiliary"],
            rngs={"dropout": jax.random.key(0)},
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return losses.mean(), updated.get("batch_stats", {})

    arguments = (
        shapes.get("params", {}),
        shapes.get("batch_stats", {}),
        jax.ShapeDtypeStruct(images, jnp.float32),
        jax.ShapeDtypeStruct(images[:1], jnp.int32),
    )
    with _uncached():
        started = time.perf_counter()
        lowered = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*arguments)
        traced = time.perf_counter()
        lowered.compile()
        done = time.perf_counter()
    program = len(lowered.as_text())
    return {
        "trace_seconds": traced - started,
        "compile_seconds": done - traced,
        "program": float(program),
    }


@contextmanager
def _uncached() -> Iterator[None]:
    """Without the compilation cache, which would answer in place of the compiler."""
    was = jax.config.values["jax_enable_compilation_cache"]
    # JAX asks once whether there is a cache, and remembers the answer until it is told to forget
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", was)
        compilation_cache.reset_cache()


def _seconds(form: str) -> Quantity:
    def of(rows: tuple[Row, ...]) -> float:
        own = [row for row in rows if row["form"] == form]
        return own[0]["trace_seconds"] + own[0]["compile_seconds"] if own else float("nan")

    return Quantity(f"time to trace and compile the training step, {form}", of, "s", 1)


def seconds_table(study: Study) -> Table:
    """One row per variant: seconds to trace and to compile, unrolled and scanned."""
    rows = []
    for variant in study.variants:
        cells = [variant.label]
        for form in ("unrolled", "scanned"):
            found = study.rows(COMPILE_TIME, variant=variant.name, form=form)
            for column in ("trace_seconds", "compile_seconds", "program"):
                value = found[0][column] if found else float("nan")
                cells.append(number(value / 1000, 0) if column == "program" else number(value, 1))
        rows.append(tuple(cells))
    headings = [
        f"{form}, {what}"
        for form in ("Unrolled", "Scanned")
        for what in ("tracing, s", "compiling, s", "program, kB")
    ]
    return Table(
        title="Tracing and compiling the training step",
        columns=(Column("Variant", "left"), *(Column(heading) for heading in headings)),
        rows=tuple(rows),
        notes=(
            "Loss and gradient of one batch, once, without the compilation cache, on one machine "
            "whatever else it was doing. Scanned: each run of equal neighboring blocks is one loop "
            "(ablax.layers.loops.fold); a dash where a network has no equal neighbors. Program: "
            "the text that XLA is given.",
        ),
    )


COMPILE_SECONDS = Measurement(
    name=COMPILE_TIME,
    measure=measure,
    section=Section(
        title="Compile time",
        text="A deep network of equal blocks is a long program; as a loop over stacked weights it "
        "is a short one whatever its depth.",
        tables=(seconds_table,),
    ),
    moments=("start",),
    quantities={"compile_unrolled": _seconds("unrolled"), "compile_scanned": _seconds("scanned")},
    every_seed=False,
)
"""Seconds of tracing and compiling, measured once per variant."""


# ------------------------------------------------------------------------------------------
# How long a training step takes, beside how many multiply-accumulates it has.

STEP_TIME = "step_time"
RUNS = 15
"""Of the compiled step; the first, and the compilation, are not among them."""


def step_time() -> Measurement:
    """Milliseconds of a training step, quantity `step_milliseconds`; of seed 0 alone."""
    return Measurement(
        name=STEP_TIME,
        measure=measure_step_time,
        section=Section(
            title="How long a training step takes",
            text=(
                "Forward and backward of one batch on one machine, whatever else it was doing: "
                f"median of {RUNS} runs of the compiled step, after one that is not counted. Not "
                "in it: the weights' update, drawing and distorting the images, compiling. The "
                "time also pays for what has no multiply-accumulates: normalization, copies, and "
                "every element that is moved between memory and processor."
            ),
            pictures=(
                Picture(
                    name=STEP_TIME,
                    title="Time of a training step against multiply-accumulates",
                    caption=(
                        "Milliseconds of forward and backward of one batch against "
                        "multiply-accumulates of one image, one mark per variant."
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


def measure_step_time(model: Model, sample: Sample) -> list[Row]:
    """One row: `seconds`, median of the runs, their quartiles `low` and `high`, and `batch`.

    The batch is as large as in training, the first images of the training sample, repeated where
    they are too few.
    """
    batch = sample.recipe.train.batch
    chosen = np.arange(batch) % len(sample.train.images)
    images = jnp.asarray(model.normalized(sample.train.images[chosen]))
    labels = jnp.asarray(sample.train.labels[chosen])
    times = step_seconds(model.network, model.variables, images, labels)
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
    found = ((variant, study.rows(STEP_TIME, variant=variant.name)) for variant in study.variants)
    return [(variant, rows[-1]) for variant, rows in found if rows]


def nanoseconds(variant: Variant, row: Row) -> float:
    """Of a step, for a thousand multiply-accumulates of the forward pass of its whole batch.

    Args:
        variant: Whose multiply-accumulates are counted.
        row: What `measure_step_time` gave.
    """
    return 1e12 * float(row["seconds"]) / (variant.macs * float(row["batch"]))


def step_time_table(study: Study) -> Table:
    """One row per variant: multiply-accumulates, milliseconds, and what 1000 of them cost."""
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
    """One mark per variant; a line through the baseline on which time goes with the products."""
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
