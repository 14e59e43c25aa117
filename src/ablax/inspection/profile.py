"""Where the time of a training step goes, layer by layer."""

from __future__ import annotations

import re
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ablax.analysis.cost import USUAL, CostRow, fold
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import layer_shapes
from ablax.data.images import ImageSet, Split
from ablax.errors import AblaxError
from ablax.inspection.cost import network_cost, network_training_cost
from ablax.inspection.machine import Machine
from ablax.model import Model
from ablax.report.tables import Cell, Table
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh
from ablax.training.step import evaluation_step

# ------------------------------------------------------------------------------------------
# Seconds of each operation of a compiled program, from JAX's own trace of the device.

_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = .*?\s([a-z][\w\-]*)\(")
_NAME = re.compile(r'op_name="([^"]*)"')
# They hold operations that have events of their own.
_CONTAINERS = {"while", "call", "conditional", "async-start", "async-done"}


@dataclass(frozen=True)
class Operation:
    """One instruction of a compiled program.

    Attributes:
        opcode: XLA's: `fusion`, `convolution`, `while`, ...
        scope: The name stack of what it came from; of a fusion, that of its last operation.
    """

    opcode: str
    scope: str


@dataclass(frozen=True)
class Event:
    """Something that a trace saw.

    Attributes:
        name: The operation's, or the span's of the host (`jax.profiler.TraceAnnotation`).
        operation: The instruction of a compiled program; None where the host did something.
        start: Seconds; all events of a trace share a clock.
        seconds: How long it took.
    """

    name: str
    operation: str | None
    start: float
    seconds: float


def operations(text: str) -> dict[str, Operation]:
    """The instructions of a compiled program by their names.

    Args:
        text: `compiled.as_text()`.

    Example:
        >>> line = 'ROOT %fusion.3 = f32[4]{0} fusion(%a), metadata={op_name="jit(f)/fc6/add"}'
        >>> operations(line)
        {'fusion.3': Operation(opcode='fusion', scope='jit(f)/fc6/add')}
    """
    found = {}
    for line in text.splitlines():
        if instruction := _INSTRUCTION.match(line):
            name = _NAME.search(line)
            found[instruction[1]] = Operation(instruction[2], name[1] if name else "")
    return found


def traced_seconds(run: Callable[[], Any], text: str) -> dict[Operation, float]:
    """Seconds that the device spends in each operation while `run` runs.

    Loops and calls are left out: what they hold is counted by itself. Operations that run side by
    side, in threads of a CPU or streams of a GPU, are each counted whole, so that the sum can be
    more than the time that passes.

    Args:
        run: Runs the program, already compiled, and waits for its end.
        text: The program's text.

    Raises:
        AblaxError: The trace holds none of its operations.
    """
    known = operations(text)
    seconds: defaultdict[Operation, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        for event in events(Path(folder)):
            operation = known.get(event.operation or "")
            if operation is not None and operation.opcode not in _CONTAINERS:
                seconds[operation] += event.seconds
    if not seconds:
        raise AblaxError(
            "the trace of the device holds no operation of the program: this JAX or this device "
            "gives none; time the layers alone with `ablax roofline`"
        )
    return dict(seconds)


def events(folder: Path) -> list[Event]:
    """Every event of a trace: operations of the device, and what the host did meanwhile.

    Args:
        folder: What `jax.profiler.trace` was given.
    """
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxlib's own types
        for path in folder.rglob("*.xplane.pb"):
            data = jax.profiler.ProfileData.from_file(str(path))
            for plane in data.planes:
                for line in plane.lines:
                    for event in line.events:
                        operation = dict(event.stats).get("hlo_op")
                        found.append(
                            Event(
                                event.name,
                                None if operation is None else str(operation),
                                event.start_ns / 1e9,
                                event.duration_ns / 1e9,
                            )
                        )
    return found


# ------------------------------------------------------------------------------------------
# The operations of a program put to the layers they came from, forward and backward.

REST = "(rest)"
"""What belongs to no layer: the loss, the optimizer, shuffling and augmentation."""

_MARK = re.compile(r"(?:jit|jvp|transpose|vmap|remat|checkpoint)\((.*)\)")


@dataclass
class Times:
    """Seconds of one layer.

    Attributes:
        forward: Of its forward pass.
        backward: Of both gradients, and of what is computed again for them.
    """

    forward: float = 0.0
    backward: float = 0.0

    @property
    def both(self) -> float:
        """Their sum."""
        return self.forward + self.backward


def layer_of(scope: str, layers: Collection[str]) -> tuple[str, bool]:
    """The layer of a name stack, and whether it is of the backward pass.

    Args:
        scope: As XLA keeps it, with the marks of JAX's transformations.
        layers: Paths of the layers that there are.

    Returns:
        The longest path that stands in the name stack in one piece; `REST` where there is none.

    Example:
        >>> layer_of("jit(step)/transpose(jvp(Network))/res2a/conv1/conv/mul", {"res2a"})
        ('res2a', True)
        >>> layer_of("jit(step)/jvp(Network)/res2a/conv1/add", {"res2a", "res2a/conv1"})
        ('res2a/conv1', False)
        >>> layer_of("jit(step)/add", {"res2a"})
        ('(rest)', False)
    """
    backward = "transpose(" in scope or "rematted_computation" in scope
    names = [_bare(part) for part in scope.split("/")]
    best = ""
    for start in range(len(names)):
        path = ""
        for name in names[start:]:
            path = f"{path}/{name}" if path else name
            if path in layers and len(path) > len(best):
                best = path
    return best or REST, backward


def _bare(part: str) -> str:
    while found := _MARK.fullmatch(part):
        part = found[1]
    return part


def times_by_layer(seconds: Mapping[Operation, float], layers: Collection[str]) -> dict[str, Times]:
    """Seconds of each layer, in the order given; last what belongs to none.

    Args:
        seconds: Of each operation.
        layers: Paths of the layers, none within another.
    """
    times = {layer: Times() for layer in (*layers, REST)}
    for operation, spent in seconds.items():
        layer, backward = layer_of(operation.scope, layers)
        if backward:
            times[layer].backward += spent
        else:
            times[layer].forward += spent
    return times


# ------------------------------------------------------------------------------------------
# A training step or an inference of a network, timed layer by layer on this machine.

_WIDTH = 4  # bytes of a float32


@dataclass(frozen=True)
class Profile:
    """Where the time of a step went.

    Attributes:
        model: Network and images.
        batch: Images per step.
        training: Whether it was a step of training, or an inference.
        wall: Seconds per step, the trace switched off.
        times: Seconds of the device in each layer, and in the rest.
    """

    model: Model
    batch: int
    training: bool
    wall: float
    times: Mapping[str, Times]


def profile(
    model: Model, batch: int = 32, *, training: bool = True, steps: int = 4, depth: int = 1
) -> Profile:
    """Run some steps under JAX's profiler.

    Training is the laboratory's own step, in its compiled loop, on random images.

    Args:
        model: Network and images; its weights are redrawn, and take part in no figure.
        batch: Images per step.
        training: A step of training, or an inference.
        steps: How many are traced.
        depth: How many names of a layer's path are kept apart.

    Raises:
        AblaxError: The network does not fit the images, or the device gives no trace.
    """
    trainer = _trainer(model, batch, steps)
    state = trainer.initial_state(0)
    layers = [row.path for row in fold(network_cost(model, USUAL, batch), depth)]
    arguments = trainer.dataset.arguments(0, 0, steps)
    if training:
        program = jax.jit(trainer.dataset.program(trainer.task, steps)).lower(state, *arguments)
        inputs = (state, *arguments)
    else:
        images, labels = (part[:batch] for part in arguments)
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
    return Profile(model, batch, training, wall, times_by_layer(each, layers))


def _trainer(model: Model, batch: int, steps: int) -> Trainer:
    random = np.random.default_rng(0)
    shape = (batch * steps, *model.image_shape)
    images = random.integers(0, 256, shape, dtype=np.uint8)
    (classes,) = list(layer_shapes(model.network, model.image_shape).values())[-1]
    labels = random.integers(0, classes, len(images)).astype(np.int32)
    split = Split(images, labels)
    grays = (0.5,) * model.image_shape[2]
    names = tuple(map(str, range(classes)))
    data = ImageSet("random", split, split, names, grays, grays)
    recipe = Recipe(
        optimizer=OptimizerConfig(schedule="constant", rate=0.001),
        train=TrainConfig(batch=batch, chunk=steps),
    )
    mesh = data_mesh(jax.devices()[:1])
    return Trainer(model.network, recipe, InMemory(data, batch, mesh), mesh)


def profile_table(found: Profile, machine: Machine, depth: int = 1) -> Table:
    """One row per layer: its time, its share, the least possible time, and what bounds it.

    The least time is the larger of multiply-accumulates over the machine's rate and bytes over its
    bandwidth. A layer's bytes are its input, parameters and output, read and written once in the
    forward pass and once more for each of the two gradients.
    """
    costs = {row.path: row for row in fold(network_cost(found.model, USUAL, found.batch), depth)}
    products = _training_macs(found, depth) if found.training else {}
    total = sum(times.both for times in found.times.values())
    rows = []
    for layer, times in found.times.items():
        row = costs.get(layer)
        if times.both == 0 and (row is None or row.macs == 0):
            continue
        rows.append(_row(layer, times, row, products, machine, total))
    what = "a training step" if found.training else "an inference"
    foot = (
        f"A step takes {1e3 * found.wall:,.2f} ms, {found.batch / found.wall:,.0f} images per "
        f"second; the layers' times add up to {1e3 * total:,.2f} ms (of operations that run side "
        "by side each is counted).",
        f"{REST}: the loss, the optimizer, shuffling and augmentation. A fused operation counts "
        "for the layer of its last part.",
        f"Limit: {machine.rate / 1e9:,.1f} G multiply-accumulates and "
        f"{machine.bandwidth / 1e9:,.1f} GB per second on {machine.device}, float32, measured.",
    )
    columns = (
        *("layer", "forward ms", "backward ms", "share", "MACs", "least ms", "of limit"),
        "bound by",
    )
    totals = {"wall_ms": 1e3 * found.wall, "device_ms": 1e3 * total}
    title = f"Profile of {what} of {found.model.what(found.batch)}"
    return Table(title, columns, tuple(rows), foot, totals)


def _training_macs(found: Profile, depth: int) -> dict[str, int]:
    """Multiply-accumulates of a training step by layer."""
    macs: dict[str, int] = {}
    for row in network_training_cost(found.model, found.batch):
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
