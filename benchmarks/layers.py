"""Each fast formulation of a layer against the plain lax or Flax form, as ratios.

`python benchmarks/layers.py` prints one table and writes it to `benchmarks/results/cpu-layers.csv`
(another path as first argument). Plain and ours run in turn, A B A B; the ratio is the median of
plain / ours over the pairs, so above 1 ours is faster. A formulation whose ratios are 1 or less may
be deleted: its docstring names its row.
"""

from __future__ import annotations

import csv
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from ablax.environment import available_cores, processor
from ablax.layers import (
    BatchNormalization,
    average_pool,
    convolution,
    local_response_normalization,
    max_pool,
)

PAIRS = 5
STEPS = 2
COLUMNS = ("layer", "part", "where", "plain_ms", "ours_ms", "ratio")

Form = Callable[..., Array]


def plain_convolution(groups: int = 1, stride: int = 1) -> Form:
    """XLA's convolution with JAX's own derivative."""

    def apply(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    return apply


def our_convolution(groups: int = 1, stride: int = 1) -> Form:
    """The same as `ablax.layers.convolution` writes it."""

    def apply(x: Array, kernel: Array) -> Array:
        return convolution(x, kernel, groups=groups, stride=stride)

    return apply


def plain_response(x: Array) -> Array:
    """Local response normalization as the formula reads: a sum of slices and a power."""
    channels = x.shape[-1]
    squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (2, 2)))
    total = sum(squares[..., tap : tap + channels] for tap in range(5))
    return x * (2.0 + 1e-4 * total) ** -0.75


def batch_normalization(layer: nn.Module) -> Form:
    """A batch normalization that trains."""

    def apply(x: Array, scale: Array, bias: Array) -> Array:
        channels = x.shape[-1]
        kept = {"mean": jnp.zeros(channels), "var": jnp.ones(channels)}
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": kept}
        return nn.relu(layer.apply(variables, x, mutable=["batch_stats"])[0])

    return apply


def cases() -> dict[str, tuple[Form, Form, tuple[Array, ...]]]:
    """Layer -> plain form, our form, arguments."""

    def normal(*shape: int) -> Array:
        return jax.random.normal(jax.random.key(len(shape)), shape)

    maps = normal(128, 32, 32, 32)
    return {
        "convolution, 3x3, 16 -> 16, 32x32, 128": (
            plain_convolution(),
            convolution,
            (normal(128, 32, 32, 16), normal(3, 3, 16, 16)),
        ),
        "convolution, 5x5, 24 -> 64, 16x16, 64": (
            plain_convolution(),
            convolution,
            (normal(64, 16, 16, 24), normal(5, 5, 24, 64)),
        ),
        "convolution, 2 groups, 3x3, 96 -> 96, 8x8, 64": (
            plain_convolution(groups=2),
            our_convolution(groups=2),
            (normal(64, 8, 8, 96), normal(3, 3, 48, 96)),
        ),
        "convolution, depthwise, 3x3, 32, 32x32, 64": (
            plain_convolution(groups=32),
            our_convolution(groups=32),
            (normal(64, 32, 32, 32), normal(3, 3, 1, 32)),
        ),
        "convolution, depthwise, 3x3/2, 64, 16x16, 64": (
            plain_convolution(groups=64, stride=2),
            our_convolution(groups=64, stride=2),
            (normal(64, 16, 16, 64), normal(3, 3, 1, 64)),
        ),
        "convolution, 8 groups, 3x3, 32 -> 32, 16x16, 16": (
            plain_convolution(groups=8),
            our_convolution(groups=8),
            (normal(16, 16, 16, 32), normal(3, 3, 4, 32)),
        ),
        "convolution, 32 groups, 3x3, 128 -> 128, 8x8, 16": (
            plain_convolution(groups=32),
            our_convolution(groups=32),
            (normal(16, 8, 8, 128), normal(3, 3, 4, 128)),
        ),
        "convolution, 4 groups, 1x1, 64 -> 64, 16x16, 32": (
            plain_convolution(groups=4),
            our_convolution(groups=4),
            (normal(32, 16, 16, 64), normal(1, 1, 16, 64)),
        ),
        "max pool, 3x3/2, 32x32x32, 128": (
            lambda x: nn.max_pool(x, (3, 3), (2, 2)),
            lambda x: max_pool(x, 3, 2),
            (maps,),
        ),
        "max pool, 2x2/2, 32x32x32, 128": (
            lambda x: nn.max_pool(x, (2, 2), (2, 2)),
            lambda x: max_pool(x, 2),
            (maps,),
        ),
        "average pool, 3x3/2, 32x32x32, 128": (
            lambda x: nn.avg_pool(x, (3, 3), (2, 2)),
            lambda x: average_pool(x, 3, 2),
            (maps,),
        ),
        "local response normalization, 16x16x24, 128": (
            plain_response,
            local_response_normalization,
            (normal(128, 16, 16, 24),),
        ),
        "batch normalization and ReLU, 16x16x64, 128": (
            batch_normalization(nn.BatchNorm(use_running_average=False)),
            batch_normalization(BatchNormalization()),
            (normal(128, 16, 16, 64), jnp.ones(64), jnp.zeros(64)),
        ),
    }


def gradient(form: Form) -> Form:
    """The gradient of half the sum of squares, in all arguments."""

    def loss(*arguments: Array) -> Array:
        return 0.5 * jnp.sum(jnp.square(form(*arguments)))

    def apply(*arguments: Array) -> Array:
        return jax.grad(loss, argnums=tuple(range(len(arguments))))(*arguments)

    return apply


def in_scan(form: Form) -> Form:
    """`STEPS` steps in one loop, each of which needs the one before."""

    def apply(*arguments: Array) -> Array:
        def step(shift: Array, _: None) -> tuple[Array, None]:
            results = form(*[argument + shift for argument in arguments])
            total = sum((jnp.sum(leaf) for leaf in jax.tree.leaves(results)), jnp.float32(0))
            return 1e-20 * total, None

        return lax.scan(step, jnp.float32(0), None, length=STEPS)[0]

    return apply


def measure(plain: Form, ours: Form, arguments: tuple[Array, ...]) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median of the pair ratios."""
    compiled = [jax.jit(form).lower(*arguments).compile() for form in (plain, ours)]
    for function in compiled:
        jax.block_until_ready(function(*arguments))
    pairs = []
    for _ in range(PAIRS):
        pair = []
        for function in compiled:
            start = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            pair.append(1000 * (time.perf_counter() - start))
        pairs.append(pair)
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )


def main() -> None:
    """Measure, print and write."""
    here = Path(__file__).parent / "results" / "cpu-layers.csv"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    about = {
        "machine": f"{processor()}, {available_cores()} cores",
        "device": jax.devices()[0].platform,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "flax": flax.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'layer':48} {'part':9} {'where':5} {'plain ms':>9} {'ours ms':>9} {'ratio':>7}")
    rows = []
    for layer, (plain, ours, arguments) in cases().items():
        for part, change in (("forward", lambda form: form), ("gradient", gradient)):
            for where, place in (("top", lambda form: form), ("scan", in_scan)):
                forms = place(change(plain)), place(change(ours))
                steps = STEPS if where == "scan" else 1
                first, second, ratio = measure(*forms, arguments)
                row = (layer, part, where, f"{first / steps:.2f}", f"{second / steps:.2f}")
                rows.append((*row, f"{ratio:.2f}"))
                print("{:48} {:9} {:5} {:>9} {:>9} {:>7}".format(*rows[-1]), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *about])
        writer.writerows([*row, *about.values()] for row in rows)


if __name__ == "__main__":
    main()
