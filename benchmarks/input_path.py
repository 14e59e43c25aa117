"""The input path: images a second of each augmentation, and of the stream, beside training.

Augmentations run inside the training step, on the device: each is timed alone in a compiled loop
over batches of 128 color images of 32 pixels, with the amounts of usual recipes. `of_training` is
the share of a training step's time that it takes, for the networks named. A set that is streamed is
decoded by the host: images a second of `tfds:NAME` (where it is prepared) in threads, as the
training loop takes them.

By hand: `make bench-input`, or `python benchmarks/input_path.py --rounds 7`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from networks import ROWS, ablax_training
from result_table import write

from ablax.data.augment import Augmentation, augment
from ablax.data.images import DataError
from ablax.data.stream import open_stream

BATCH, STEPS = 128, 8
AUGMENTATIONS = {
    "crop": Augmentation(crop_padding=4),
    "flip": Augmentation(flip=True),
    "crop and flip": Augmentation(crop_padding=4, flip=True),
    "rotate, scale, translate": Augmentation(rotate=15.0, scale=0.15, translate=2.0),
    "elastic": Augmentation(elastic=1.0),
    "noise": Augmentation(noise=0.1),
    "brightness, contrast, saturation": Augmentation(brightness=0.4, contrast=0.4, saturation=0.4),
}
FED = ("small AlexNet, width 1/4", "ResNet-20", "MobileNet V1, 32 px")
"""The networks whose training is compared with what feeds it."""


def augmenting(augmentation: Augmentation) -> Callable[[], float]:
    """Seconds a batch."""
    random = np.random.default_rng(0)
    images = jnp.asarray(random.random((BATCH, 32, 32, 3)), jnp.float32)
    weights = jnp.asarray(random.random((BATCH, 32, 32, 3)), jnp.float32)

    @jax.jit
    def loop(images: jax.Array) -> jax.Array:
        def body(total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            # every pixel counts differently, so that none of them need not be put in its place
            drawn = augment(jax.random.key(step), images, augmentation)
            return total + jnp.vdot(drawn, weights), None

        return jax.lax.scan(body, jnp.float32(0), jnp.arange(STEPS))[0]

    def timed() -> float:
        started = time.perf_counter()
        loop(images).block_until_ready()
        return (time.perf_counter() - started) / STEPS

    return timed


def streaming(source: str, size: int) -> Callable[[], float]:
    """Seconds a batch that the host decodes.

    Raises:
        DataError: The set is not prepared here.
    """
    stream = open_stream(source, image_size=size)
    batches = iter(stream.train(batch=BATCH, seed=0, start_step=0, workers=0))

    def timed() -> float:
        started = time.perf_counter()
        for _ in itertools.islice(batches, STEPS):
            pass
        return (time.perf_counter() - started) / STEPS

    return timed


def seconds(timed: Callable[[], float], rounds: int) -> float:
    """The median of the rounds, after two to warm up."""
    return statistics.median([timed() for _ in range(rounds + 2)][2:])


def main() -> None:
    """Measure the path and what it feeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--stream", default="tfds:cifar10", help="a prepared set, where there is one"
    )
    options = parser.parse_args()
    fed = {}
    for row in ROWS:
        if row.name in FED:
            fed[row.name] = seconds(ablax_training(row, "float32"), options.rounds) / row.batch
    lines = [{"path": f"training: {n}", "images_per_s": f"{1 / s:.0f}"} for n, s in fed.items()]
    paths = {f"augment: {n}": augmenting(a) for n, a in AUGMENTATIONS.items()}
    for size in (32, 224):
        try:
            paths[f"stream: {options.stream} at {size} pixels"] = streaming(options.stream, size)
        except DataError as error:
            print(f"not streamed: {error}")
    for name, timed in paths.items():
        spent = seconds(timed, options.rounds) / BATCH
        shares = {f"of_{n}": f"{100 * spent / s:.0f} %" for n, s in fed.items()}
        lines.append({"path": name, "images_per_s": f"{1 / spent:.0f}", **shares})
    write("input-path", lines)


if __name__ == "__main__":
    main()
