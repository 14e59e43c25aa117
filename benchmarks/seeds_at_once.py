"""Several seeds of one training at once (`jax.vmap` over states) against one after another.

Meant for a GPU, which a small network does not fill; on a CPU `vmap` makes grouped convolutions of
dense ones, and is slow. By hand: `make bench-gpu`, or `python benchmarks/seeds_at_once.py 2`.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from networks import ROWS, Row, trainer_of
from result_table import write

ROUNDS = 3


def in_turn(row: Row, seeds: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A round of every seed one after another, and one of all at once."""
    trainer = trainer_of(row, "float32")
    program = trainer.dataset.program(trainer.task, row.steps)
    arguments = trainer.dataset.arguments(0, 0, row.steps)
    states = [trainer.initial_state(seed) for seed in range(seeds)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    one = jax.jit(program).lower(states[0], *arguments).compile()
    axes = (0, *(None for _ in arguments))
    many = jax.jit(jax.vmap(program, axes)).lower(together, *arguments).compile()
    return (
        lambda: [one(state, *arguments) for state in states],
        lambda: many(together, *arguments),
    )


def seconds(run: Callable[[], Any]) -> float:
    """Of one round."""
    started = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="?", type=int, default=5)
    options = parser.parse_args()
    lines = []
    precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    for own in ROWS[:3:2]:  # small AlexNet and ResNet-20
        row = dataclasses.replace(own, precision=precision)
        sides = in_turn(row, options.seeds)
        rounds = [[seconds(side) for side in sides] for _ in range(ROUNDS + 1)][1:]
        images = options.seeds * row.steps * row.batch
        rates = [images / statistics.median(times) for times in zip(*rounds, strict=True)]
        ratio = statistics.median(one / all_at_once for one, all_at_once in rounds)
        lines.append(
            {
                "network": row.name,
                "seeds": str(options.seeds),
                "precision": precision,
                "one_after_another_images_per_s": f"{rates[0]:.0f}",
                "at_once_images_per_s": f"{rates[1]:.0f}",
                "ratio": f"{ratio:.2f}",
            }
        )
    write("seeds-at-once", lines)


if __name__ == "__main__":
    main()
