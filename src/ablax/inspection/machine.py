"""What this machine can do, and each layer against its limits."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ablax.analysis.cost import USUAL, CostRow, fold
from ablax.core import layer_shapes
from ablax.inspection.cost import network_cost
from ablax.model import Model
from ablax.report.tables import Table

# ------------------------------------------------------------------------------------------
# What this machine can do: multiply-accumulates and bytes per second, measured.


@dataclass(frozen=True)
class Machine:
    """The limits of a machine, in float32.

    Attributes:
        device: What JAX calls it.
        rate: Multiply-accumulates per second, in a large matrix product.
        bandwidth: Bytes per second, read and written together, in a large sum with a constant.
    """

    device: str
    rate: float
    bandwidth: float

    def seconds(self, macs: float, moved: float) -> float:
        """The least time for so many multiply-accumulates and bytes: the slower limit counts.

        Example:
            >>> Machine("made up", rate=100.0, bandwidth=10.0).seconds(macs=200.0, moved=10.0)
            2.0
        """
        return max(macs / self.rate, moved / self.bandwidth)

    def limit(self, intensity: float) -> float:
        """Multiply-accumulates per second that are possible at so many for each byte moved."""
        return min(self.rate, intensity * self.bandwidth)


def measure(size: int = 2048, numbers: int = 2**26, repeats: int = 5) -> Machine:
    """Measure the machine that JAX runs on; a few seconds on a small CPU.

    The rate is that of a product of two matrices, at JAX's default precision. The bandwidth is the
    better of two: adding 1 to a long array in its place, and adding the array up. (An addition
    that writes elsewhere is several times slower on a CPU: the operating system hands out the new
    memory page by page.)

    Args:
        size: Rows and columns of the matrices.
        numbers: Length of the array; it must not fit into a cache.
        repeats: How often each is timed; the fastest counts, for it is a limit that is sought.

    Returns:
        The limits.
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


def typical(seconds: list[float]) -> float:
    """The median: one pause of the machine does not move it."""
    return statistics.median(seconds)


# ------------------------------------------------------------------------------------------
# Each layer of a network against the limits of the machine: time measured beside predicted.

_WIDTH = 4  # bytes of a float32


@dataclass(frozen=True)
class Point:
    """A layer of a network on a machine.

    Attributes:
        layer: Its name.
        macs: Multiply-accumulates.
        moved: Bytes that it has to read and write at least: its input, its output, its parameters.
        measured: Seconds, the median of some runs alone.
        predicted: Seconds that the limits of the machine allow.
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

    Args:
        model: Network and images; shapes of weights are enough.
        machine: Its limits.
        batch: Number of images.
        repeats: How often each layer is timed.

    Returns:
        One point per layer that moves elements; layers that only reshape them are left out.

    Raises:
        AblaxError: The cost cannot be counted.
    """
    costs = {row.path: row for row in fold(network_cost(model, USUAL, batch), 1)}
    shapes = layer_shapes(model.network, model.image_shape)
    shape: tuple[int, ...] = model.image_shape
    points = []
    for name, layer in model.network.layers.items():
        before, shape = shape, shapes[name]
        if name not in costs:
            continue
        own = {
            kind: jax.tree.map(_filled, tree[name])
            for kind, tree in model.variables.items()
            if name in tree
        }
        images = jnp.full((batch, *before), 0.5, jnp.float32)
        seconds = typical(timings(jax.jit(layer.apply), own, images, repeats=repeats))
        points.append(_point(costs[name], seconds, images.size, batch * _size(shape), machine))
    return points


def _point(row: CostRow, seconds: float, read: int, written: int, machine: Machine) -> Point:
    moved = _WIDTH * (read + row.parameter_memory + written)
    return Point(row.path, row.macs, moved, seconds, machine.seconds(float(row.macs), float(moved)))


def _filled(leaf: Any) -> jax.Array:
    """Any weights do for timing, so long as they are neither 0 nor so small that they are slow."""
    return jnp.full(leaf.shape, 0.01, leaf.dtype)


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


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
