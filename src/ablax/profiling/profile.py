"""A training step or an inference of a network, timed layer by layer on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np

from ablax.analysis.cost import USUAL, CostRow, fold
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import layer_shapes
from ablax.costs.machine import Machine
from ablax.costs.network import Case, network_cost, network_training_cost
from ablax.costs.tables import Cell, Table
from ablax.data.images import ImageSet, Split
from ablax.profiling.device_trace import traced_seconds
from ablax.profiling.layer_times import REST, Times, times_by_layer
from ablax.training.feed import Resident
from ablax.training.loop import Trainer, data_mesh
from ablax.training.step import evaluation_step

_WIDTH = 4  # bytes of a float32


@dataclass(frozen=True)
class Profile:
    """Where the time of a step went.

    Attributes:
        case: Network and images.
        training: Whether it was a step of training, or an inference.
        wall: Seconds a step took, the trace switched off.
        times: Seconds of the device in each layer, and in the rest.
    """

    case: Case
    training: bool
    wall: float
    times: Mapping[str, Times]


def profile(case: Case, *, training: bool = True, steps: int = 4, depth: int = 1) -> Profile:
    """Run some steps under JAX's profiler.

    Training is the laboratory's own step, in its compiled loop, on random images.

    Args:
        case: Network and images.
        training: A step of training, or an inference.
        steps: How many are traced.
        depth: How many names of a layer's path are kept apart.

    Raises:
        AblaxError: The network does not fit the images, or the device gives no trace.
    """
    trainer = _trainer(case, steps)
    state = trainer.initial_state(0)
    layers = [row.path for row in fold(network_cost(case, USUAL), depth)]
    arguments = trainer.feed.arguments(0, 0, steps)
    if training:
        program = jax.jit(trainer.feed.program(trainer.task, steps)).lower(state, *arguments)
        inputs = (state, *arguments)
    else:
        images, labels = (part[: case.batch] for part in arguments)
        program = jax.jit(lambda s, x, y: evaluation_step(trainer.task, s, x, y)).lower(
            state, images, labels
        )
        inputs = (state, images, labels)
    compiled, loops = program.compile(), 1 if training else steps

    def run() -> None:
        for _ in range(loops):
            jax.block_until_ready(compiled(*inputs))

    run()
    start = time.perf_counter()
    run()
    wall = (time.perf_counter() - start) / steps
    seconds = traced_seconds(run, compiled.as_text() or "")
    each = {operation: spent / steps for operation, spent in seconds.items()}
    return Profile(case, training, wall, times_by_layer(each, layers))


def _trainer(case: Case, steps: int) -> Trainer:
    random = np.random.default_rng(0)
    shape = (case.batch * steps, *case.image_shape)
    images = random.integers(0, 256, shape, dtype=np.uint8)
    (classes,) = list(layer_shapes(case.network, case.image_shape).values())[-1]
    labels = random.integers(0, classes, len(images)).astype(np.int32)
    split = Split(images, labels)
    grays = (0.5,) * case.image_shape[2]
    names = tuple(map(str, range(classes)))
    data = ImageSet("random", split, split, names, grays, grays)
    recipe = Recipe(
        optimizer=OptimizerConfig(schedule="constant", rate=0.001),
        train=TrainConfig(batch=case.batch, chunk=steps),
    )
    mesh = data_mesh(jax.devices()[:1])
    return Trainer(case.network, recipe, Resident(data, case.batch, mesh), mesh)


def profile_table(found: Profile, machine: Machine, depth: int = 1) -> Table:
    """A row a layer: its time, its share, the least time the machine allows, and what bounds it.

    The least time is the larger of multiply-accumulates over the machine's rate and bytes over its
    bandwidth. A layer's bytes are its input, parameters and output, read and written once in the
    forward pass and once more for each of the two gradients.
    """
    costs = {row.path: row for row in fold(network_cost(found.case, USUAL), depth)}
    products = _training_macs(found.case, depth) if found.training else {}
    total = sum(times.both for times in found.times.values())
    rows = []
    for layer, times in found.times.items():
        row = costs.get(layer)
        if times.both == 0 and (row is None or row.macs == 0):
            continue
        rows.append(_row(layer, times, row, products, machine, total))
    what = "a training step" if found.training else "an inference"
    foot = (
        f"A step takes {1e3 * found.wall:,.2f} ms, {found.case.batch / found.wall:,.0f} images a "
        f"second; the layers' times add up to {1e3 * total:,.2f} ms (of operations that run side "
        "by side each is counted).",
        f"{REST}: the loss, the optimizer, shuffling and augmentation. A fused operation counts "
        "for the layer of its last part.",
        f"Limit: {machine.rate / 1e9:,.1f} G multiply-accumulates and "
        f"{machine.bandwidth / 1e9:,.1f} GB a second on {machine.device}, float32, measured here.",
    )
    columns = (
        *("layer", "forward ms", "backward ms", "share", "MACs", "least ms", "of limit"),
        "bound by",
    )
    totals = {"wall_ms": 1e3 * found.wall, "device_ms": 1e3 * total}
    return Table(f"Profile of {what} of {found.case.what}", columns, tuple(rows), foot, totals)


def _training_macs(case: Case, depth: int) -> dict[str, int]:
    """Multiply-accumulates of a training step by layer."""
    macs: dict[str, int] = {}
    for row in network_training_cost(case):
        name = "/".join(row.path.split("/")[:depth])
        macs[name] = macs.get(name, 0) + row.training
    return macs


def _row(
    layer: str,
    times: Times,
    row: CostRow | None,
    products: Mapping[str, int],
    machine: Machine,
    total: float,
) -> tuple[Cell, ...]:
    times_cells = (1e3 * times.forward, 1e3 * times.backward, f"{100 * times.both / total:.1f} %")
    if row is None:
        return (layer, *times_cells, 0, "", "", "")
    macs = products.get(layer, 0) if products else row.macs
    moved = row.bytes(_WIDTH) * (3 if products else 1)
    least = machine.seconds(float(macs), float(moved))
    arithmetic = macs / machine.rate >= moved / machine.bandwidth
    share = f"{100 * least / times.both:.0f} %" if times.both else ""
    return (layer, *times_cells, macs, 1e3 * least, share, "arithmetic" if arithmetic else "memory")
