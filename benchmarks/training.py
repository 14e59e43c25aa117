"""The training step of the small AlexNet: ablax, plain Flax, and PyTorch where it is installed.

ablax runs its steps in one compiled loop; plain Flax (nn.Conv, nn.max_pool) dispatches each step.
Same shapes, batch and optimizer (SGD with momentum); images lie on the device. Alternated runs, the
median of the pair ratios; compile time is apart. By hand: `python benchmarks/training.py`.
"""

from __future__ import annotations

import csv
import datetime
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata, util
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.data.images import ImageSet, Split
from ablax.environment import available_cores, processor
from ablax.training.feed import Resident
from ablax.training.trainer import Trainer, data_mesh
from ablax.zoo import alexnet_small
from ablax.zoo.alexnet import scaled

BATCH, STEPS, PAIRS = 128, 8, 5
SIZES = ((1, 0.125), (3, 0.25))
RESULT = Path(__file__).parent / "results" / "cpu-training.csv"

Timed = Callable[[], float]


def ablax_steps(channels: int, width: float) -> Timed:
    """Seconds a step, `STEPS` of them in one loop."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH * STEPS, 32, 32, channels), dtype=np.uint8)
    labels = random.integers(0, 10, BATCH * STEPS).astype(np.int32)
    split = Split(images, labels)
    grays = (0.5,) * channels
    data = ImageSet("random", split, split, tuple("0123456789"), grays, grays)
    recipe = Recipe(
        optimizer=OptimizerConfig(rate=0.001, schedule="constant"),
        train=TrainConfig(epochs=10_000, batch=BATCH, chunk=STEPS),
    )
    mesh = data_mesh()
    network = alexnet_small(10, width)
    trainer = Trainer(network, recipe, Resident(data, BATCH, mesh), mesh)
    state, step = trainer.initial_state(0), 0

    def timed() -> float:
        nonlocal state, step
        started = time.perf_counter()
        state, _ = trainer.advance(state, 0, step, STEPS)
        step += STEPS
        return (time.perf_counter() - started) / STEPS

    return timed


class PlainAlexNet(nn.Module):
    """The same layers, as one writes them with Flax."""

    width: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Class scores."""

        def conv(x: jax.Array, features: int, window: int) -> jax.Array:
            return nn.relu(nn.Conv(scaled(features, self.width), (window, window))(x))

        def pool(x: jax.Array) -> jax.Array:
            return nn.max_pool(x, (3, 3), (2, 2))

        x = pool(plain_lrn(conv(x, 96, 5)))
        x = pool(plain_lrn(conv(x, 256, 5)))
        x = pool(conv(conv(conv(x, 384, 3), 384, 3), 256, 3))
        x = x.reshape(len(x), -1)
        for _ in range(2):
            x = nn.relu(nn.Dense(scaled(4096, self.width))(x))
            x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(10)(x)


def plain_lrn(x: jax.Array) -> jax.Array:
    """Local response normalization as a sum over a window of channels."""
    total = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME")
    return x * (2.0 + 1e-4 * total) ** -0.75


def flax_steps(channels: int, width: float) -> Timed:
    """Seconds a step, one dispatch each."""
    network, rule = PlainAlexNet(width), optax.chain(optax.add_decayed_weights(5e-4), sgd())
    x = jax.random.normal(jax.random.key(0), (BATCH, 32, 32, channels))
    y = jnp.arange(BATCH) % 10
    params = network.init(jax.random.key(0), x, False)
    state = rule.init(params)

    @jax.jit
    def step(params, state, key):
        def loss(params):
            scores = network.apply(params, x, True, rngs={"dropout": key})
            return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = rule.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    def timed() -> float:
        nonlocal params, state
        started = time.perf_counter()
        for i in range(STEPS):
            params, state, value = step(params, state, jax.random.key(i))
        jax.block_until_ready(value)
        return (time.perf_counter() - started) / STEPS

    return timed


def sgd() -> optax.GradientTransformation:
    """Momentum, as the recipe's."""
    return optax.sgd(0.001, momentum=0.9)


def torch_steps(channels: int, width: float, compiled: bool) -> Timed:
    """Seconds a step of PyTorch in channels_last, eager or compiled."""
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    inputs = channels
    for features, window, normalized, pooled in (
        (96, 5, True, True),
        (256, 5, True, True),
        (384, 3, False, False),
        (384, 3, False, False),
        (256, 3, False, True),
    ):
        outputs = scaled(features, width)
        layers += [torch.nn.Conv2d(inputs, outputs, window, padding="same"), torch.nn.ReLU()]
        layers += [torch.nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)] * normalized
        layers += [torch.nn.MaxPool2d(3, 2)] * pooled
        inputs = outputs
    inputs *= 9
    layers.append(torch.nn.Flatten())
    for _ in range(2):
        outputs = scaled(4096, width)
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
        inputs = outputs
    network = torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 10))
    network = network.to(memory_format=torch.channels_last).train()
    run = torch.compile(network) if compiled else network
    rule = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(BATCH, channels, 32, 32).to(memory_format=torch.channels_last)
    y = torch.arange(BATCH) % 10

    def timed() -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            rule.zero_grad()
            functional.cross_entropy(run(x), y).backward()
            rule.step()
        return (time.perf_counter() - started) / STEPS

    return timed


def compare(ours: Timed, theirs: Timed) -> tuple[float, float, float]:
    """Median milliseconds of either, and the median ratio theirs / ours of alternated pairs."""
    ours(), theirs(), theirs()
    pairs = [(ours(), theirs()) for _ in range(PAIRS)]
    ratio = statistics.median(other / own for own, other in pairs)
    middle = [1000 * statistics.median(pair[i] for pair in pairs) for i in range(2)]
    return middle[0], middle[1], ratio


def main() -> None:
    """Print the table and write it as CSV."""
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    machine = f"{processor()}, {available_cores()} cores"
    versions = f"Python {platform.python_version()}, JAX {metadata.version('jax')}"
    rivals: dict[str, Callable[[int, float], Timed]] = {"flax": flax_steps}
    if util.find_spec("torch"):
        rivals["torch eager"] = partial(torch_steps, compiled=False)
        rivals["torch compiled"] = partial(torch_steps, compiled=True)
        versions += f", torch {metadata.version('torch')}"
    rows = []
    print(f"small AlexNet, 32 pixels, batch {BATCH}; {machine}; {versions}; {date}")
    print(
        f"{'channels':>8} {'width':>6} {'rival':>15} {'ablax ms':>9} {'rival ms':>9} {'ratio':>6}"
    )
    for channels, width in SIZES:
        ours = ablax_steps(channels, width)
        for name, make in rivals.items():
            own, other, ratio = compare(ours, make(channels, width))
            print(f"{channels:>8} {width:>6} {name:>15} {own:>9.1f} {other:>9.1f} {ratio:>6.2f}")
            rows.append([channels, width, name, f"{own:.1f}", f"{other:.1f}", f"{ratio:.2f}"])
    RESULT.parent.mkdir(exist_ok=True)
    with RESULT.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["channels", "width", "rival", "ablax_ms", "rival_ms", "ratio"])
        writer.writerows(rows)
        writer.writerow([f"# batch {BATCH}; {machine}; {versions}; {date}"])
    print(f"written to benchmarks/results/{RESULT.name}; a ratio above 1: ablax is faster")


if __name__ == "__main__":
    main()
