"""Seconds of training until the test error is low enough for the first time.

A residual network of 20 layers, four times as wide as the paper's, on CIFAR-10 by default: 94 % is
an error of 6 %. Compiling and judging are not counted, and the error is judged after every epoch:
the figure says how soon an error is reached, not what a training ends with.

By hand, on a GPU: `make bench-gpu`, or `python benchmarks/time_to_accuracy.py`; on a CPU, to try
it: `python benchmarks/time_to_accuracy.py --source digits --features 8 --epochs 12 --error 10
--precision float32 --batch 64`.
"""

from __future__ import annotations

import argparse
import time

import jax
from result_table import write
from rich.console import Console

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.training.dataset import open_dataset
from ablax.training.loop import Trainer, data_mesh
from ablax.zoo.resnet import resnet_cifar


def recipe_of(options: argparse.Namespace) -> Recipe:
    """A short schedule: one rise, one fall."""
    colored = options.source != "digits"
    return Recipe(
        data=DataConfig(source=options.source),
        augment=Augmentation(crop_padding=4, flip=True) if colored else Augmentation(),
        optimizer=OptimizerConfig(
            rate=options.rate, weight_decay=5e-4, schedule="cosine", warmup=2.0, nesterov=True
        ),
        train=TrainConfig(epochs=options.epochs, batch=options.batch, precision=options.precision),
    )


def measure(recipe: Recipe, features: int, error: float, seed: int) -> dict[str, str]:
    """Train until the error is reached, or to the end."""
    mesh = data_mesh()
    dataset = open_dataset(recipe, mesh, Console())
    trainer = Trainer(resnet_cifar(20, dataset.classes, features=features), recipe, dataset, mesh)
    state, step, spent, reached = trainer.initial_state(seed), 0, 0.0, 100.0
    while step < trainer.total_steps and reached > error:
        end = (step // dataset.steps_per_epoch + 1) * dataset.steps_per_epoch
        while step < end:
            compiling, started = trainer.compile_seconds, time.perf_counter()
            length = trainer.chunk_end(step) - step
            state, _ = trainer.advance(state, seed, step, length)
            jax.block_until_ready(state)
            spent += time.perf_counter() - started - (trainer.compile_seconds - compiling)
            step += length
        reached = trainer.evaluate(state).error
        print(
            f"epoch {step // dataset.steps_per_epoch}: {reached:.2f} % after {spent:.1f} s",
            flush=True,
        )
    return {
        "data": recipe.data.source,
        "network": f"ResNet-20, {features} features first",
        "batch": str(recipe.train.batch),
        "precision": recipe.train.precision,
        "seed": str(seed),
        "wanted_error": f"{error:g}",
        "error": f"{reached:.2f}",
        "reached": "yes" if reached <= error else "no",
        "epochs": str(step // dataset.steps_per_epoch),
        "train_seconds": f"{spent:.1f}",
        "images_per_s": f"{step * recipe.train.batch / spent:.0f}",
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="tfds:cifar10")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--error", type=float, default=6.0)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    lines = [
        measure(recipe_of(options), options.features, options.error, seed)
        for seed in range(options.seeds)
    ]
    write("time-to-accuracy", lines)


if __name__ == "__main__":
    main()
