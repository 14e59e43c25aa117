"""How long XLA works on a network's training step, with and without loops over equal blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.experimental.compilation_cache import compilation_cache

from ablax.core import Network, abstract_variables
from ablax.core.edits import EditError
from ablax.core.network import Chain
from ablax.layers import Residual
from ablax.layers.loops import fold
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row, Section, Study
from ablax.report.tables import Column, Table, number

NAME = "compile_time"
BLOCKS = (Residual, Chain)
"""What is folded: runs of equal neighbors of these classes."""


def measure(subject: Subject) -> list[Row]:
    """Seconds to trace and to compile loss and gradient of one batch, unrolled and scanned.

    The compilation cache is off meanwhile. Scanned: each run of equal neighboring blocks is one
    `ablax.layers.loops.Repeat`; a network without equal neighbors has no such row.

    Returns:
        A row a form: `form` ("unrolled" or "scanned"), `trace_seconds`, `compile_seconds` and
        `program`, the characters of the program that XLA was given.
    """
    forms = {"unrolled": subject.network}
    with suppress(EditError):
        forms["scanned"] = fold(*BLOCKS)(subject.network)
    batch = subject.recipe.train.batch
    shape = subject.train.images.shape[1:]
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
    """A row a variant: seconds to trace and to compile, unrolled and scanned."""
    rows = []
    for variant in study.variants:
        cells = [variant.label]
        for form in ("unrolled", "scanned"):
            found = study.rows(NAME, variant=variant.name, form=form)
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


COMPILE_TIME = Measurement(
    name=NAME,
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
"""Seconds of tracing and compiling, measured once a variant."""
