"""Time on this machine: what it can do, each layer against its limits, where a step's time goes."""

from __future__ import annotations

import functools
import math
import os
import re
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ablax.analysis.cost import USUAL, fold
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import layer_shapes
from ablax.data.images import ImageSet, Split
from ablax.errors import AblaxError, refuse_beyond_memory
from ablax.inspection.cost import network_cost, network_training_cost
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.tables import Cell, Table
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh
from ablax.training.step import evaluation_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Machine:
    """The limits of a machine: multiply-accumulates of float32, and bytes moved, per second."""

    device: str
    rate: float
    bandwidth: float

    def seconds(self, macs: float, moved: float) -> float:
        """The least time for so many multiply-accumulates and bytes: the slower limit counts."""
        return max(macs / self.rate, moved / self.bandwidth)

    def limit(self, intensity: float) -> float:
        """Multiply-accumulates per second that are possible at so many for each byte moved."""
        return min(self.rate, intensity * self.bandwidth)


def measure(size: int = 2048, numbers: int = 2**26, repeats: int = 5) -> Machine:
    """Measure the machine that JAX runs on; a few seconds on a small CPU.

    The rate is that of a product of two matrices, at JAX's default precision. The bandwidth is the
    better of two: adding 1 to a long array in its place, and adding the array up. (An addition
    that writes elsewhere is several times slower on a CPU: the operating system hands out the new
    memory page by page.) Of the repeats the fastest counts, for it is a limit that is sought.

    `size` are rows and columns of the matrices; an array of so many numbers must not fit into a
    cache.
    """
    square = jnp.full((size, size), 0.5, jnp.float32)
    product = min(timings(jax.jit(lambda a: a @ a), square, repeats=repeats))
    add_up = jax.jit(lambda a: a.reshape(-1, 1024).sum(0))
    long = jnp.zeros(numbers, jnp.float32)
    read = 4 * numbers / min(timings(add_up, long, repeats=repeats))
    shift = jax.jit(lambda a: a + 1.0, donate_argnums=0)
    passes = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        long = jax.block_until_ready(shift(long))
        passes.append(time.perf_counter() - start)
    both = 2 * 4 * numbers / min(passes[1:])
    device = jax.devices()[0]
    cores = f" of {os.cpu_count()} cores" if device.platform == "cpu" else ""
    return Machine(device.device_kind + cores, size**3 / product, max(read, both))


def timings(fn: Callable[..., Any], *args: Any, repeats: int) -> list[float]:
    """Seconds of each call, the first, which compiles, left out."""
    jax.block_until_ready(fn(*args))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(fn(*args))
        seconds.append(time.perf_counter() - start)
    return seconds


_WIDTH = 4  # bytes of a float32


@dataclass(frozen=True)
class Point:
    """A layer of a network on a machine.

    It has `moved` so many bytes at least: its input, its output, its parameters. The seconds
    measured are the median of some runs alone, those predicted what the machine's limits allow.
    """

    layer: str
    macs: int
    moved: int
    measured: float
    predicted: float

    @property
    def intensity(self) -> float:
        """Multiply-accumulates for each byte."""
        return self.macs / self.moved

    @property
    def rate(self) -> float:
        """Multiply-accumulates per second."""
        return self.macs / self.measured


def roofline(model: Model, machine: Machine, batch: int = 1, repeats: int = 5) -> list[Point]:
    """Time each outermost layer of a network alone, as in a test.

    A block is one layer here: what its inner layers hand to one another need not leave the cache,
    so the prediction counts what crosses the border of the block alone, and is a lower bound.
    Shapes of weights are enough. Layers that only reshape are left out. Errors are those of
    `network_cost`.
    """
    _refuse_too_large(model, batch)
    costs = {row.path: row for row in fold(network_cost(model, USUAL, batch), 1)}
    shapes = layer_shapes(model.network, model.image_shape)
    shape: tuple[int, ...] = model.image_shape
    points = []
    for name, layer in model.network.layers.items():
        before, shape = shape, shapes[name]
        if name not in costs:
            continue
        # any weights do for timing, so long as they are neither 0 nor so small that they are slow
        own = jax.tree.map(
            lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype),
            {kind: tree[name] for kind, tree in model.variables.items() if name in tree},
        )
        images = jnp.full((batch, *before), 0.5, jnp.float32)
        # the median: one pause of the machine does not move it
        measured = statistics.median(timings(jax.jit(layer.apply), own, images, repeats=repeats))
        written = batch * math.prod(shape)
        moved = _WIDTH * (images.size + costs[name].parameter_memory + written)
        macs, predicted = costs[name].macs, machine.seconds(float(costs[name].macs), float(moved))
        points.append(Point(name, macs, moved, measured, predicted))
    return points


def roofline_table(
    model: Model, points: Sequence[Point], machine: Machine, batch: int = 1
) -> Table:
    """One row per layer: what it needs, what it takes, how far that is from the limit."""
    columns = ("layer", "MACs", "bytes", "MACs per byte", "predicted ms", "measured ms", "of limit")
    cells = tuple(
        (
            *(point.layer, point.macs, point.moved, point.intensity),
            *(1e3 * point.predicted, 1e3 * point.measured),
            f"{100 * point.predicted / point.measured:.0f} %",
        )
        for point in points
    )
    predicted, measured = (
        1e3 * sum(getattr(point, what) for point in points) for what in ("predicted", "measured")
    )
    foot = (
        f"In all: predicted {predicted:,.2f} ms, measured {measured:,.2f} ms, each layer alone.",
        "Above 100 %: each layer runs again and again, and what fits into the cache need not come "
        "from the main memory, whose bandwidth the limit is.",
        f"{machine.device}: {machine.rate / 1e9:,.1f} G multiply-accumulates and "
        f"{machine.bandwidth / 1e9:,.1f} GB per second, float32, measured here.",
    )
    totals = {"predicted ms": predicted, "measured ms": measured}
    return Table(f"Roofline of {model.what(batch)}", columns, cells, foot, totals)


@kit.settings()
def roofline_figure(
    model: Model, points: Sequence[Point], machine: Machine, batch: int = 1
) -> Figure:
    """Each layer under the roof, and its time measured beside the least possible."""
    figure = kit.blank(kit.WIDTH, 9.0 + 0.12 * max(0, len(points) - 20))
    roof, times = figure.subplots(2, 1, height_ratios=[1.1, 1])
    _draw_roof(roof, [point for point in points if point.macs], machine)
    left_out = _draw_times(times, points)
    return kit.set_caption(
        figure,
        f"{model.what(batch)}, float32, on {machine.device}. Roof: bandwidth of the main "
        "memory and rate of a large matrix product, both measured here. Bytes: input, "
        "parameters and output of a layer. Each layer was run alone and again and again, so "
        "one that fits into the cache may beat the roof. Layers without products are "
        f"in the lower picture only.{left_out}",
    )


def _draw_roof(axes: Axes, points: Sequence[Point], machine: Machine) -> None:
    ridge = machine.rate / machine.bandwidth
    at = [ridge, *(point.intensity for point in points)]
    reach = [min(at) / 3, ridge, max(at) * 3]
    axes.plot(reach, [machine.limit(each) / 1e9 for each in reach], color="#000000")
    for place, point in enumerate(points):
        style = kit.look(place) | {"linestyle": "", "ms": 10, "mec": "white"}
        axes.plot([point.intensity], [point.rate / 1e9], label=point.layer, **style)
    kit.logarithmic(axes, "x")
    kit.logarithmic(axes, "y")
    axes.set_xlim(reach[0], reach[-1])
    axes.set_title(f"Roof: {machine.bandwidth / 1e9:.1f} GB/s and {machine.rate / 1e9:.1f} GMAC/s")
    axes.set_xlabel("arithmetic intensity, multiply-accumulates per byte")
    axes.set_ylabel("GMAC/s")
    axes.grid()
    look: Any = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "labelspacing": 0.3}
    axes.legend(fontsize=10, ncols=math.ceil(len(points) / 22), **look)


def _draw_times(axes: Axes, points: Sequence[Point]) -> str:
    """Measured beside predicted; a sentence where not all names fit."""
    places = range(len(points))
    measured = [1e3 * point.measured for point in points]
    predicted = [1e3 * point.predicted for point in points]
    axes.vlines(places, predicted, measured, color="#AAAAAA", lw=2)
    for values, marker, color, label in (
        (measured, "o", kit.COLORS[2], "measured"),
        (predicted, "s", kit.COLORS[1], "predicted"),
    ):
        axes.plot(places, values, marker, color=color, label=label, ms=9, mec="white")
    kit.logarithmic(axes, "y")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.set_title("Time of each layer")
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return kit.name_layers(axes, [point.layer for point in points])


_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = .*?\s([a-z][\w\-]*)\(")
_NAME = re.compile(r'op_name="([^"]*)"')
# They hold operations that have events of their own.
_CONTAINERS = {"while", "call", "conditional", "async-start", "async-done"}


@dataclass(frozen=True)
class Operation:
    """One instruction of a compiled program: `fusion`, `convolution`, `while`, ...

    `scope` is the name stack of what it came from; of a fusion, that of its last operation.
    """

    opcode: str
    scope: str


@dataclass(frozen=True)
class Event:
    """Something that a trace saw: when it began, by the trace's clock, and how long it took.

    The name is that of the operation, or of a span of the host (`jax.profiler.TraceAnnotation`);
    the operation the instruction of a compiled program, None where the host did something.
    """

    name: str
    operation: str | None
    start: float
    seconds: float


def operations(text: str) -> dict[str, Operation]:
    """The instructions of a compiled program by their names, from `compiled.as_text()`.

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
    more than the time that passes. `run` runs the program of this text, already compiled, and waits
    for its end.

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
    """Operations of the device, and what the host did meanwhile, as `jax.profiler.trace` saw it."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxlib's own types
        for path in folder.rglob("*.xplane.pb"):
            data = jax.profiler.ProfileData.from_file(str(path))
            lines = (line for plane in data.planes for line in plane.lines)
            for event in (event for line in lines for event in line.events):
                operation = dict(event.stats).get("hlo_op")
                named = None if operation is None else str(operation)
                times = event.start_ns / 1e9, event.duration_ns / 1e9
                found.append(Event(event.name, named, *times))
    return found


REST = "(rest)"
"""What belongs to no layer: the loss, the optimizer, shuffling and augmentation."""

_MARK = re.compile(r"(?:jit|jvp|transpose|vmap|remat|checkpoint)\((.*)\)")


@dataclass
class Times:
    """Seconds of one layer: of its forward pass; of both gradients, with what is computed again."""

    forward: float = 0.0
    backward: float = 0.0

    @property
    def both(self) -> float:
        """Their sum."""
        return self.forward + self.backward


def layer_of(scope: str, layers: Collection[str]) -> tuple[str, bool]:
    """The layer of a name stack, and whether it is of the backward pass.

    The stack is as XLA keeps it, with the marks of JAX's transformations. The layer is the longest
    path that stands in it in one piece; `REST` where there is none.

    Example:
        >>> layer_of("jit(step)/transpose(jvp(Network))/res2a/conv1/conv/mul", {"res2a"})
        ('res2a', True)
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
    """Seconds of each layer, none within another, in the order given; last what belongs to none."""
    times = {layer: Times() for layer in (*layers, REST)}
    for operation, spent in seconds.items():
        layer, backward = layer_of(operation.scope, layers)
        if backward:
            times[layer].backward += spent
        else:
            times[layer].forward += spent
    return times


@dataclass(frozen=True)
class Profile:
    """Where the time of a step of training, or of an inference, went.

    Seconds per step: `wall` passed, the trace switched off; `times` are the device's in each layer,
    and in the rest.
    """

    model: Model
    batch: int
    training: bool
    wall: float
    times: Mapping[str, Times]


def profile(
    model: Model, batch: int = 32, *, training: bool = True, steps: int = 4, depth: int = 1
) -> Profile:
    """Run some steps of training, or inferences, under JAX's profiler.

    Training is the laboratory's own step, in its compiled loop, on random images; the weights are
    reinitialized. Layers are told apart by the first `depth` names of their paths.

    Raises:
        AblaxError: The network does not fit the images, or the device gives no trace.
    """
    _refuse_too_large(model, batch * steps)
    trainer = _trainer(model, batch, steps)
    state = trainer.initial_state(0)
    layers = [row.path for row in fold(network_cost(model, USUAL, batch), depth)]
    arguments = trainer.dataset.arguments(0, 0, steps)
    program: Callable[..., Any] = trainer.dataset.program(trainer.task, steps)
    loops = 1
    if not training:
        arguments = tuple(part[:batch] for part in arguments)
        program, loops = functools.partial(evaluation_step, trainer.task), steps
    inputs = (state, *arguments)
    compiled = jax.jit(program).lower(*inputs).compile()

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


def _refuse_too_large(model: Model, images: int) -> None:
    needed = 4 * images * math.prod(model.image_shape)
    refuse_beyond_memory(needed, f"{images:,} images in float32", "--batch or --image-size")


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
    model, batch, passes = found.model, found.batch, 3 if found.training else 1
    costs = {row.path: row for row in fold(network_cost(model, USUAL, batch), depth)}
    macs = {path: row.macs for path, row in costs.items()}
    if found.training:
        macs = {row.path: row.training for row in fold(network_training_cost(model, batch), depth)}
    total = sum(times.both for times in found.times.values())
    rows: list[tuple[Cell, ...]] = []
    for layer, times in found.times.items():
        row = costs.get(layer)
        if times.both == 0 and (row is None or row.macs == 0):
            continue
        share = f"{100 * times.both / total:.1f} %"
        spent = (layer, 1e3 * times.forward, 1e3 * times.backward, share)
        if row is None:
            rows.append((*spent, 0, "", "", ""))
            continue
        count, moved = macs.get(layer, 0), row.bytes(_WIDTH) * passes
        least = machine.seconds(float(count), float(moved))
        reached = f"{100 * least / times.both:.0f} %" if times.both else ""
        arithmetic = count / machine.rate >= moved / machine.bandwidth
        bound = "arithmetic" if arithmetic else "memory"
        rows.append((*spent, count, 1e3 * least, reached, bound))
    what = "a training step" if found.training else "an inference"
    foot = (
        f"A step takes {1e3 * found.wall:,.2f} ms, {batch / found.wall:,.0f} images per "
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
    title = f"Profile of {what} of {model.what(batch)}"
    return Table(title, columns, tuple(rows), foot, totals)
