"""Data parallelism on one machine: the same numbers on 1, 2, 4 and 8 devices and in 2 processes.

The CPU is divided into forced host devices, each process in turn; two more run as one group with
`jax.distributed`, one device each. All train the same tiny network from the same seed. There is no
speed to be had, because the cores are the same; what is shown is that the numbers are the same,
what is sent between devices (the all-reduces in the compiled program), and what the parting costs.

By hand: `make bench-scaling`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time

import numpy as np

DEVICES = (1, 2, 4, 8)
STEPS, EPOCHS, BATCH = 8, 3, 32
SEED = 1
"""With seed 0 a sum before a ReLU is zero within rounding at step 8: devices then disagree on a
gradient by 8e-4, as any two roundings would. With 1, 2 and 3 they agree to 1e-7."""
_SHAPE = re.compile(r"(f32|bf16|s32|u32|pred)\[([\d,]*)\]")
_WIDTH = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1}


def all_reduces(text: str) -> tuple[int, int]:
    """How many all-reduces a compiled program holds, and their bytes, each counted once.

    Example:
        >>> all_reduces("%a = (f32[3,4]{1,0}, f32[2]{0}) all-reduce(%x, %y), channel_id=1")
        (1, 56)
    """
    number, total = 0, 0
    for line in text.splitlines():
        if found := re.match(r"\s*(?:ROOT )?%?[\w.\-]+ = (.*?) all-reduce(?:-start)?\(", line):
            number += 1
            for kind, sizes in _SHAPE.findall(found[1]):
                total += _WIDTH[kind] * int(np.prod([int(n) for n in sizes.split(",") if n] or [1]))
    return number, total


def train() -> dict[str, object]:
    """Train on all devices there are; called in a process of its own."""
    import jax

    from ablax.config import OptimizerConfig, Recipe, TrainConfig
    from ablax.data.images import ImageSet, Split
    from ablax.training.dataset import InMemory
    from ablax.training.loop import Trainer, data_mesh
    from ablax.zoo.resnet import resnet_cifar

    random = np.random.default_rng(0)
    labels = np.arange(BATCH * STEPS, dtype=np.int32) % 10
    images = random.integers(0, 128, (len(labels), 8, 8, 3), dtype=np.uint8)
    images[..., 0] += (12 * labels).astype(np.uint8)[:, None, None]
    split = Split(images, labels)
    grays = (0.3, 0.3, 0.3)
    data = ImageSet("tiny", split, split, tuple("0123456789"), grays, grays)
    recipe = Recipe(
        optimizer=OptimizerConfig(rate=0.05, schedule="constant"),
        train=TrainConfig(epochs=EPOCHS, batch=BATCH, chunk=STEPS),
    )
    mesh = data_mesh()
    trainer = Trainer(resnet_cifar(8, features=4), recipe, InMemory(data, BATCH, mesh), mesh)
    state, losses, seconds = trainer.initial_state(SEED), [], []
    program = jax.jit(trainer.dataset.program(trainer.task, STEPS))
    text = program.lower(state, *trainer.dataset.arguments(SEED, 0, STEPS)).compile().as_text()
    for step in range(0, trainer.total_steps, STEPS):
        started = time.perf_counter()
        state, figures = trainer.advance(state, SEED, step, STEPS)
        seconds.append((time.perf_counter() - started) / STEPS)
        losses += np.asarray(figures.loss).tolist()
    evaluation = trainer.evaluate(state)
    leaves = jax.device_get(jax.tree.leaves(state.params))
    return {
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "losses": losses,
        "test_error": evaluation.error,
        "norm": float(np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in leaves))),
        "parameter_bytes": int(sum(leaf.nbytes for leaf in leaves)),
        "all_reduces": all_reduces(text),
        "ms": 1000 * float(np.median(seconds)),
    }


def in_processes(processes: int, devices: int) -> dict[str, object]:
    """What the first of a group of processes found, each with so many devices."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, __file__, "--group", address, str(processes)]
    children = [
        subprocess.Popen([*words, str(n)], env=environment, stdout=subprocess.PIPE, text=True)
        for n in range(processes)
    ]
    said = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"{processes} processes with {devices} devices failed")
    return json.loads(said[0].splitlines()[-1])


def main() -> None:
    """Measure, print and write; or train as one process of a group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", nargs=3, metavar=("ADDRESS", "PROCESSES", "NUMBER"))
    options = parser.parse_args()
    if options.group:
        address, processes, number = options.group
        if int(processes) > 1:
            import jax

            jax.config.update("jax_cpu_collectives_implementation", "gloo")
            jax.distributed.initialize(address, int(processes), int(number))
        print(json.dumps(train()))
        return
    from result_table import write

    found = [in_processes(1, devices) for devices in DEVICES] + [in_processes(2, 1)]
    first = np.array(found[0]["losses"])
    lines = []
    for one in found:
        apart = np.abs(np.array(one["losses"]) - first).max()
        lines.append(
            {
                "processes": str(one["processes"]),
                "devices": str(one["devices"]),
                "ms_a_step": f"{one['ms']:.1f}",
                "first_loss": f"{one['losses'][0]:.4f}",
                "last_loss": f"{one['losses'][-1]:.4f}",
                "largest_loss_difference": f"{apart:.1e}",
                "relative_norm_difference": f"{abs(one['norm'] / found[0]['norm'] - 1):.1e}",
                "test_error": f"{one['test_error']:.2f}",
                "parameter_kb": f"{one['parameter_bytes'] / 1e3:.1f}",
                "all_reduces_a_step": str(one["all_reduces"][0]),
                "all_reduced_kb_a_step": f"{one['all_reduces'][1] / 1e3:.1f}",
            }
        )
    write("scaling", lines)


if __name__ == "__main__":
    main()
