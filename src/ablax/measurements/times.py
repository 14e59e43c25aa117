"""Seconds: of compiling a network, and of a training step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import Array, Int32, UInt8

from ablax.config import Recipe
from ablax.core import Network
from ablax.core.edits import EditError
from ablax.core.network import Sequential
from ablax.layers import Residual
from ablax.layers.loops import fold
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant, matching
from ablax.report.study_tables import variant_table
from ablax.report.tables import Table, number, scaled
from ablax.training.step import State, Task, initial_state, task_of, train_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COMPILE_TIME = "compile_time"
BLOCKS = (Residual, Sequential)
"""What is folded: runs of equal neighbors of these classes."""


def measure(model: Model, sample: Sample) -> list[Row]:
    """Seconds to trace and to compile the training step of the recipe, unrolled and scanned.

    The compilation cache is off meanwhile. A row a `form`, "unrolled" or "scanned":
    `trace_seconds`, `compile_seconds` and `program`, the characters of the program that XLA was
    given. Scanned: each run of equal neighboring blocks is one `ablax.layers.loops.Repeat`; a
    network without equal neighbors has no such row.
    """
    forms = {"unrolled": model.network}
    with suppress(EditError):
        forms["scanned"] = fold(*BLOCKS)(model.network)
    batch = sample.recipe.train.batch
    shape = sample.train.images.shape[1:]
    return [
        {"form": form, **compile_seconds(network, sample.recipe, (batch, *shape))}
        for form, network in forms.items()
    ]


def compile_seconds(network: Network, recipe: Recipe, images: tuple[int, ...]) -> dict[str, float]:
    """Seconds to trace and to compile a training step (`ablax.training.step.train_step`).

    `images` is the shape of a batch, (N, H, W, C).
    """
    task = task_of(network, recipe, (0.5,) * images[3], (0.25,) * images[3], _EPOCH)
    shape = images[1], images[2], images[3]
    state = jax.eval_shape(lambda: initial_state(network, task.optimizer, 0, shape))
    batch = jax.ShapeDtypeStruct(images, jnp.uint8), jax.ShapeDtypeStruct(images[:1], jnp.int32)
    with _uncached():
        started = time.perf_counter()
        lowered = jax.jit(partial(train_step, task)).lower(state, *batch)
        traced = time.perf_counter()
        lowered.compile()
        done = time.perf_counter()
    program = float(len(lowered.as_text()))
    trace, compilation = traced - started, done - traced
    return {"trace_seconds": trace, "compile_seconds": compilation, "program": program}


_EPOCH = 10_000
"""Steps; the place of a step in the schedule makes no difference to its time."""


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
        own = matching(rows, form=form)
        return own[0]["trace_seconds"] + own[0]["compile_seconds"] if own else math.nan

    return Quantity(
        f"time to trace and compile the training step, {form}", of, "s", 1, trained=False
    )


def seconds_table(study: Study) -> Table:
    """One row per variant: seconds to trace and to compile, unrolled and scanned."""
    forms = ("unrolled", "scanned")
    columns = {"trace_seconds": "tracing, s", "compile_seconds": "compiling, s"}

    def cells(variant: Variant) -> list[str]:
        found = []
        for form in forms:
            (row,) = study.rows(COMPILE_TIME, variant=variant.name, form=form)[:1] or ({},)
            found += [number(row.get(column, math.nan), 1) for column in columns]
            found.append(number(row.get("program", math.nan) / 1000, 0))
        return found

    return variant_table(
        study,
        "Tracing and compiling the training step",
        [f"{form.capitalize()}, {w}" for form in forms for w in (*columns.values(), "program, kB")],
        cells,
        "The whole step, augmentation and update with it, once, without the compilation cache, "
        "on one machine whatever else it was doing. Scanned: each run of equal neighboring "
        "blocks is one loop (ablax.layers.loops.fold); a dash where a network has no "
        "equal neighbors. Program: the text that XLA is given.",
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
                "One step of training, from raw images to new weights, on one machine, whatever "
                f"else it was doing: median of {RUNS} runs of the compiled step, after one that is "
                "not counted. Not in it: shuffling and compiling. The "
                "time also pays for what has no multiply-accumulates: normalization, copies, and "
                "every element that is moved between memory and processor."
            ),
            pictures=(
                Picture(
                    STEP_TIME,
                    "Time of a training step against multiply-accumulates",
                    "Milliseconds of one training step against multiply-accumulates of one image, "
                    "one mark per variant.",
                    step_time_figure,
                ),
            ),
            tables=(step_time_table,),
        ),
        quantities={
            "step_milliseconds": Quantity(
                "time of a training step", lambda rows: 1000 * float(rows[-1]["seconds"]), "ms", 1
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
    images = jnp.asarray(sample.train.images[chosen])
    labels = jnp.asarray(sample.train.labels[chosen])
    given = model.preprocessing
    task = task_of(model.network, sample.recipe, given.mean, given.std, _EPOCH)
    times = step_seconds(task, model.variables, images, labels)
    low, middle, high = (float(value) for value in np.quantile(times, (0.25, 0.5, 0.75)))
    return [{"seconds": middle, "low": low, "high": high, "batch": float(batch)}]


def step_seconds(
    task: Task,
    variables: Mapping[str, Any],
    images: UInt8[Array, "N H W C"],
    labels: Int32[Array, " N"],
    runs: int = RUNS,
) -> list[float]:
    """Seconds of each run of one training step: augmentation, loss, gradient and update.

    Every run starts from the same state. Compiling is not in them, nor is a first run, which warms
    memory up. The images are a batch of levels from 0 to 255.
    """
    params, zero = variables["params"], jnp.zeros((), jnp.int32)
    opt_state = jax.jit(task.optimizer.init)(params)
    state = State(zero, zero, params, variables["batch_stats"], opt_state)
    step = jax.jit(partial(train_step, task))
    jax.block_until_ready(step(state, images, labels))
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        jax.block_until_ready(step(state, images, labels))
        times.append(time.perf_counter() - started)
    return times


def _measured(study: Study) -> dict[str, Row]:
    """The variants with a row, and that row."""
    found = {name: study.rows(STEP_TIME, variant=name) for name in study.names}
    return {name: rows[-1] for name, rows in found.items() if rows}


def nanoseconds(variant: Variant, row: Row) -> float:
    """Of a step, for a thousand multiply-accumulates of the forward pass of its whole batch."""
    return 1e12 * float(row["seconds"]) / (variant.macs * float(row["batch"]))


def step_time_table(study: Study) -> Table:
    """One row per variant: multiply-accumulates, milliseconds, and what 1000 of them cost."""
    measured = _measured(study)

    def cells(variant: Variant) -> list[str] | None:
        row = measured.get(variant.name)
        if row is None:
            return None
        low, middle, high = (number(1000 * row[end], 1) for end in ("low", "seconds", "high"))
        rate = number(nanoseconds(variant, row), 1)
        return [scaled(variant.macs), middle, f"{low} to {high}", rate]

    return variant_table(
        study,
        "Time of a training step",
        ("MACs", "Step, ms", "Middle half of the runs, ms", "ns for 1,000 MACs"),
        cells,
        "MACs: multiply-accumulates of one image forward. The last column: the step's time "
        "over those of its whole batch, forward alone, although the step goes backward too.",
    )


@kit.settings()
def step_time_figure(study: Study) -> Figure:
    """One mark per variant; a line through the baseline on which time goes with the products."""
    measured = _measured(study)
    figure, (axes,) = kit.panels(min(1, len(measured)), 1, (kit.WIDTH, 5.8), above=0.4)
    for name, row in measured.items():
        variant = study.variant(name)
        style = kit.look(study.names.index(name)) | {"linestyle": ""}
        quartiles = [1000 * row["low"], 1000 * row["high"]]
        axes.plot([variant.macs] * 2, quartiles, color=style["color"], lw=2.5)
        middle = [1000 * row["seconds"]]
        axes.plot([variant.macs], middle, ms=12, mec="white", label=variant.label, **style)
    if study.baseline in measured:
        # through the baseline, as far as the variants reach
        macs = [study.variant(name).macs for name in measured]
        base = 1000 * measured[study.baseline]["seconds"] / study.variant(study.baseline).macs
        ends = [min(macs), max(macs)]
        axes.plot(ends, [base * end for end in ends], ":", color="#777777", lw=2, zorder=1)
    if measured:
        axes.margins(x=0.1, y=0.15)
        kit.logarithmic(axes, "x")
        kit.logarithmic(axes, "y")
        axes.set_xlabel("multiply-accumulates of one image, forward")
        batch = next(iter(measured.values()))["batch"]
        axes.set_ylabel(f"step of {batch:.0f} images, milliseconds")
        kit.legend(figure, axes)
    return kit.set_caption(
        figure,
        f"Compiled, seed 0; bars: the middle half of {RUNS} runs. On the dotted line every "
        "multiply-accumulate would take as long as one of the baseline: above it they take longer.",
    )
