"""Compile time and memory against depth: residual networks unrolled, as loops, computed again.

Loss, gradient and statistics of one batch (32 images of 32 pixels), compiled ahead of time and not
run. `unrolled` is the network block by block; `loop` folds equal neighbors into a `Repeat`;
`loop, again` computes each block again on the way back. Seconds are those of one compilation with
an empty cache, trace and compiler apart; megabytes are the temporary memory of the compiled program
(XLA's own figure), which is what a batch needs beside parameters and gradients.

By hand: `make bench-depth`, or `python benchmarks/depth.py 20 56 110`.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
from result_table import write

from ablax.core import Network, abstract_variables
from ablax.layers import Residual, fold
from ablax.training.step import Objective, gradient
from ablax.zoo.resnet import resnet_cifar

BATCH = 32
DEPTHS = (20, 56, 110, 1202)
LONGEST_UNROLLED = 110
"""Deeper networks take XLA many minutes without loops."""


def forms(depth: int) -> dict[str, Network]:
    """The network of that depth in each form that compiles in reasonable time."""
    network = resnet_cifar(depth)
    found = {"unrolled": network} if depth <= LONGEST_UNROLLED else {}
    return {
        **found,
        "loop": fold(Residual)(network),
        "loop, again": fold(Residual, rematerialize=True)(network),
    }


def measure(network: Network) -> dict[str, str]:
    """Seconds to trace and to compile, and the program's temporary memory."""
    shapes = abstract_variables(network, (32, 32, 3))

    arguments = (
        shapes["params"],
        shapes["batch_stats"],
        jax.ShapeDtypeStruct((BATCH, 32, 32, 3), jnp.float32),
        jax.ShapeDtypeStruct((BATCH,), jnp.int32),
    )
    started = time.perf_counter()
    lowered = jax.jit(partial(gradient, Objective(network))).lower(*arguments)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    memory = compiled.memory_analysis()
    return {
        "trace_s": f"{traced - started:.1f}",
        "compile_s": f"{done - traced:.1f}",
        "temporary_mb": f"{memory.temp_size_in_bytes / 1e6:.0f}",
    }


def main() -> None:
    """Measure every form at every depth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("depths", nargs="*", type=int, default=DEPTHS)
    jax.config.update("jax_enable_compilation_cache", False)
    lines = []
    for depth in parser.parse_args().depths:
        for form, network in forms(depth).items():
            lines.append({"network": f"ResNet-{depth}", "form": form, **measure(network)})
            print(lines[-1], flush=True)
    write("depth", lines)


if __name__ == "__main__":
    main()
