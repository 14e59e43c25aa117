"""Each layer against the plain lax or Flax form and against PyTorch, as ratios.

`python benchmarks/layers.py` prints one table and writes it to `benchmarks/results/cpu-layers.csv`.
Plain, ours and PyTorch (channels_last, eager) run in turn, A B C A B C; a ratio is the median of
theirs / ours over the rounds, so above 1 ours is faster. `top` is a program of the layer alone;
`scan` has it in a loop whose steps need each other, as training has it. A formulation whose
`ratio_to_plain` is 1 or less may be deleted: its docstring names its row.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax
from other_python import TORCH_PYTHON, InAnotherPython, Timed, torch_version
from result_table import write

from ablax.layers import (
    BatchNormalization,
    average_pool,
    channel_shuffle,
    convolution,
    local_response_normalization,
    max_pool,
    shift,
)

ROUNDS = 3
STEPS = 8
"""In a loop; a plain convolution's gradient there takes seconds, so it has `SLOW_STEPS`."""
SLOW_STEPS = 1

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


def plain_shuffle(x: Array) -> Array:
    """Channel shuffle as its definition reads: cut, exchange, join."""
    return jnp.swapaxes(x.reshape(*x.shape[:3], 4, -1), 3, 4).reshape(x.shape)


def plain_shift(x: Array) -> Array:
    """A shift as a depthwise convolution with kernels of one 1."""
    part = x.shape[3] // 9
    kernel = jnp.repeat(jnp.eye(9).reshape(3, 3, 1, 9), part, axis=3)
    return plain_convolution(groups=x.shape[3])(x, kernel)


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
        "convolution, 3x3, 64 -> 64, 8x8, 128": (
            plain_convolution(),
            convolution,
            (normal(128, 8, 8, 64), normal(3, 3, 64, 64)),
        ),
        "convolution, 5x5, 24 -> 64, 16x16, 64": (
            plain_convolution(),
            convolution,
            (normal(64, 16, 16, 24), normal(5, 5, 24, 64)),
        ),
        "convolution, 3x3/2, 32 -> 64, 16x16, 128": (
            plain_convolution(stride=2),
            our_convolution(stride=2),
            (normal(128, 16, 16, 32), normal(3, 3, 32, 64)),
        ),
        "convolution, 1x1, 64 -> 128, 16x16, 64": (
            plain_convolution(),
            convolution,
            (normal(64, 16, 16, 64), normal(1, 1, 64, 128)),
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
        "channel shuffle, 4 groups, 16x16x64, 128": (
            plain_shuffle,
            lambda x: channel_shuffle(x, 4),
            (normal(128, 16, 16, 64),),
        ),
        "shift, 3x3, 16x16x72, 128": (
            plain_shift,
            lambda x: shift(x, 3),
            (normal(128, 16, 16, 72),),
        ),
    }


def gradient(form: Form) -> Form:
    """The gradient of half the sum of squares, in all arguments."""

    def loss(*arguments: Array) -> Array:
        return 0.5 * jnp.sum(jnp.square(form(*arguments)))

    def apply(*arguments: Array) -> Array:
        return jax.grad(loss, argnums=tuple(range(len(arguments))))(*arguments)

    return apply


def in_scan(form: Form, steps: int) -> Form:
    """`steps` steps in one loop, each of which needs the one before."""

    def apply(*arguments: Array) -> Array:
        def step(change: Array, _: None) -> tuple[Array, None]:
            results = form(*[argument + change for argument in arguments])
            total = sum((jnp.sum(leaf) for leaf in jax.tree.leaves(results)), jnp.float32(0))
            return 1e-20 * total, None

        return lax.scan(step, jnp.float32(0), None, length=steps)[0]

    return apply


def timed(form: Form, arguments: tuple[Array, ...], steps: int) -> Timed:
    """Seconds of one of `steps` in the compiled form."""
    function = jax.jit(form).lower(*arguments).compile()
    jax.block_until_ready(function(*arguments))

    def one_round() -> float:
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        return (time.perf_counter() - started) / steps

    return one_round


def measure(sides: dict[str, Timed]) -> dict[str, str]:
    """Median milliseconds of every side, and the median of theirs / ours over the rounds."""
    rounds = [{name: side() for name, side in sides.items()} for _ in range(ROUNDS + 1)][1:]
    line = {
        f"{name}_ms": f"{1000 * statistics.median(one[name] for one in rounds):.2f}"
        for name in sides
    }
    for name in sides:
        if name != "ours":
            ratio = statistics.median(one[name] / one["ours"] for one in rounds)
            line[f"ratio_to_{name}"] = f"{ratio:.2f}"
    return line


def sides(where: str, plain: Form, ours: Form, arguments: tuple[Array, ...]) -> dict[str, Timed]:
    """What is timed in turn for one line, but PyTorch."""
    if where == "top":
        return {"plain": timed(plain, arguments, 1), "ours": timed(ours, arguments, 1)}
    return {
        "plain": timed(in_scan(plain, SLOW_STEPS), arguments, SLOW_STEPS),
        "ours": timed(in_scan(ours, STEPS), arguments, STEPS),
    }


def torch_side(layer: str, part: str) -> dict[str, Timed]:
    """PyTorch, where there is one."""
    script = str(Path(__file__).with_name("torch_layers.py"))
    return {"torch": InAnotherPython(script, layer, part)} if TORCH_PYTHON else {}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names; all by default")
    names = parser.parse_args().names
    lines = []
    for layer, (plain, ours, arguments) in cases().items():
        if names and not any(name in layer for name in names):
            continue
        for part in ("forward", "gradient"):
            torch = torch_side(layer, part)
            forms = (gradient(plain), gradient(ours)) if part == "gradient" else (plain, ours)
            for where in ("top", "scan"):
                found = measure({**sides(where, *forms, arguments), **torch})
                lines.append({"layer": layer, "part": part, "where": where, **found})
                print(" ".join(lines[-1].values()), flush=True)
    write("layers" if not names else "layers-some", lines, torch=torch_version())


if __name__ == "__main__":
    main()
