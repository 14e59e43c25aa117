"""What this machine can do: multiply-accumulates and bytes a second, measured."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Machine:
    """The limits of a machine, in float32.

    Attributes:
        device: What JAX calls it.
        rate: Multiply-accumulates a second, in a large matrix product.
        bandwidth: Bytes a second, read and written together, in a large sum with a constant.
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
        """Multiply-accumulates a second that are possible at so many for each byte moved."""
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
