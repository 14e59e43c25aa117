"""Training step and inference of whole networks: ablax, PyTorch, and plain Flax.

ablax runs its steps in one compiled loop with its own training step; PyTorch runs the same network
(`torch_twin`) in channels_last, eager and, with --full, compiled; plain Flax (`plain_flax`) has one
dispatch a step. Both compute in float32 and in bfloat16 (PyTorch by autocast), with parameters of
float32. Same shapes, batch and optimizer (SGD with momentum and weight decay); images lie on the
device. Rounds are alternated, ratios are the medians of the rounds' ratios, compile time is apart.
`ratio_to_torch` is the best mode of ablax against the best of PyTorch, `ratio_to_torch_float32` the
same in float32 alone. Peak memory is that of a process that trains two rounds, in float32. By hand:
`make bench`, or `python benchmarks/networks.py NAME ... --full`; on a GPU `make bench-gpu`, in
bfloat16, against PyTorch with AMP.

PyTorch may live in another Python than the newest JAX: `TORCH_PYTHON=/path/to/python`, which has
torch and ablax, then times its side in a process of its own, round by round as well.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from other_python import TORCH_PYTHON, InAnotherPython, Timed, serve, torch_version
from plain_flax import plain_flax

from ablax.analysis.cost import USUAL
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import Network, initialize
from ablax.data.images import ImageSet, Split
from ablax.inspection.cost import network_cost
from ablax.model import Model
from ablax.study.environment import available_cores, processor
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh
from ablax.training.step import evaluation_step
from ablax.zoo import find

CLASSES = 10
Precision = Literal["float32", "bfloat16"]
RESULT = Path(__file__).parent / "results"
PEAK = "ABLAX_BENCH_PEAK"


@dataclass(frozen=True)
class Row:
    """A network, and with which images it is timed.

    Attributes:
        name: In the table.
        build: The network.
        size: Pixels along each side.
        batch: Images a step.
        steps: In one round, and in one dispatch of the compiled loop: several, because a dispatch
            takes its memory afresh, which an epoch does once.
        quick: Whether it is one of the four that `make bench` times.
        precisions: Of the computation; parameters are float32.
    """

    name: str
    build: Callable[[], Network]
    size: int
    batch: int
    steps: int
    quick: bool = False
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")


def _zoo(name: str, **options: float) -> Callable[[], Network]:
    return lambda: find(name).build(classes=CLASSES, **options)


ROWS = (
    Row("small AlexNet, width 1/4", _zoo("alexnet_small", width=0.25), 32, 128, 8, quick=True),
    Row("VGG small", _zoo("vgg_small"), 32, 32, 4),
    Row("ResNet-20", _zoo("resnet20"), 32, 128, 4, quick=True),
    Row("ResNet-50", _zoo("resnet50"), 224, 4, 4),
    Row("DenseNet-40", _zoo("densenet40_12"), 32, 32, 4),
    Row("GoogLeNet (BN)", _zoo("googlenet_bn"), 224, 8, 4),
    Row("MobileNet V1, 32 px", _zoo("mobilenet_v1_small"), 32, 64, 6, quick=True),
    Row("SqueezeNet 1.1", _zoo("squeezenet_1_1"), 224, 16, 4),
    Row("ResNeXt-29 8x64d", _zoo("resnext29_8x64d"), 32, 4, 4, quick=True),
    Row("ShuffleNet V2 1.0", _zoo("shufflenet_v2_1_0"), 224, 16, 4),
    Row("Xception", _zoo("xception"), 299, 2, 3),
    Row("SE-ResNet-50", _zoo("se_resnet50"), 224, 4, 4),
)


GPU_ROWS = tuple(
    Row(name, build, size, batch, steps, precisions=("bfloat16",))
    for name, build, size, batch, steps in (
        ("ResNet-50", _zoo("resnet50"), 224, 256, 8),
        ("small AlexNet", _zoo("alexnet_small"), 32, 512, 50),
        ("ResNet-20", _zoo("resnet20"), 32, 512, 50),
        ("ResNet-56", _zoo("resnet56"), 32, 512, 20),
        ("DenseNet-40", _zoo("densenet40_12"), 32, 256, 20),
        ("MobileNet V1, 32 px", _zoo("mobilenet_v1_small"), 32, 512, 50),
        ("ResNeXt-29 8x64d", _zoo("resnext29_8x64d"), 32, 128, 10),
    )
)
"""What `make bench-gpu` times: bfloat16, against PyTorch with AMP, channels_last and compiled."""


def trainer_of(row: Row, precision: Precision) -> Trainer:
    """A trainer of a row's network on random images, `row.steps` of its batches an epoch."""
    random = np.random.default_rng(0)
    shape = (row.batch * row.steps, row.size, row.size, 3)
    images = random.integers(0, 256, shape, dtype=np.uint8)
    labels = random.integers(0, CLASSES, len(images)).astype(np.int32)
    split = Split(images, labels)
    grays = (0.5, 0.5, 0.5)
    data = ImageSet("random", split, split, tuple("0123456789"), grays, grays)
    recipe = Recipe(
        optimizer=OptimizerConfig(rate=0.001, schedule="constant"),
        train=TrainConfig(epochs=100_000, batch=row.batch, chunk=row.steps, precision=precision),
    )
    mesh = data_mesh()
    return Trainer(row.build(), recipe, InMemory(data, row.batch, mesh), mesh)


def ablax_training(row: Row, precision: Precision) -> Timed:
    """Seconds a step, in one compiled loop."""
    trainer = trainer_of(row, precision)
    state, step = trainer.initial_state(0), 0

    def timed() -> float:
        nonlocal state, step
        started = time.perf_counter()
        state, _ = trainer.advance(state, 0, step, row.steps)
        step += row.steps
        return (time.perf_counter() - started) / row.steps

    return timed


def ablax_inference(row: Row, precision: Precision) -> Timed:
    """Seconds a batch of the evaluation step."""
    trainer = trainer_of(row, precision)
    state = trainer.initial_state(0)
    images, labels, _ = next(trainer.dataset.test_batches())
    evaluate = jax.jit(lambda state, x, y: evaluation_step(trainer.task, state, x, y))

    def timed() -> float:
        started = time.perf_counter()
        for _ in range(row.steps):
            found = evaluate(state, images, labels)
        jax.block_until_ready(found)
        return (time.perf_counter() - started) / row.steps

    return timed


def _images(row: Row) -> np.ndarray:
    shape = (row.batch, row.size, row.size, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def flax_training(row: Row) -> Timed:
    """Seconds of one step, one dispatch."""
    network = plain_flax(row.build())
    rule = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.001, momentum=0.9))
    x, y = jnp.asarray(_images(row)), jnp.arange(row.batch) % CLASSES
    variables = initialize(network, 0, (row.size, row.size, 3))
    params, kept = variables["params"], variables.get("batch_stats", {})
    state = rule.init(params)

    @jax.jit
    def step(params, kept, state, key):
        def loss(params):
            everything = {"params": params, "batch_stats": kept}
            scores, changed = network.apply(
                everything, x, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, y)
            return losses.mean(), changed.get("batch_stats", {})

        (value, kept_after), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state_after = rule.update(gradient, state, params)
        return optax.apply_updates(params, updates), kept_after, state_after, value

    def timed() -> float:
        nonlocal params, kept, state
        started = time.perf_counter()
        params, kept, state, value = step(params, kept, state, jax.random.key(0))
        jax.block_until_ready((params, value))
        return time.perf_counter() - started

    return timed


def _torch_side(
    row: Row, precision: Precision, *, compiled: bool
) -> tuple[Any, Any, Any, Callable[[], Any]]:
    """The network, a callable of it, a batch (N C H W as channels_last), and autocast.

    Rows in bfloat16 alone run on CUDA where there is a device.
    """
    import torch
    from torch_twin import torch_twin

    torch.manual_seed(0)
    half = precision == "bfloat16"
    device = "cuda" if row.precisions == ("bfloat16",) and torch.cuda.is_available() else "cpu"
    network = torch_twin(row.build(), (row.size, row.size, 3)).to(device)
    network = network.to(memory_format=torch.channels_last)
    images = torch.from_numpy(_images(row)).to(device).permute(0, 3, 1, 2)
    run = torch.compile(network) if compiled else network
    return network, run, images, lambda: torch.autocast(device, torch.bfloat16, enabled=half)


def _torch_wait(images: Any) -> None:
    import torch

    if images.is_cuda:
        torch.cuda.synchronize()


def torch_training(row: Row, precision: Precision, *, compiled: bool) -> Timed:
    """Seconds a step of PyTorch."""
    import torch
    from torch.nn import functional

    network, run, images, autocast = _torch_side(row, precision, compiled=compiled)
    network.train()
    rule = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, weight_decay=5e-4)
    labels = (torch.arange(row.batch) % CLASSES).to(images.device)

    def timed() -> float:
        started = time.perf_counter()
        for _ in range(row.steps):
            rule.zero_grad()
            with autocast():
                loss = functional.cross_entropy(run(images), labels)
            loss.backward()
            rule.step()
        _torch_wait(images)
        return (time.perf_counter() - started) / row.steps

    return timed


def torch_inference(row: Row, precision: Precision, *, compiled: bool) -> Timed:
    """Seconds a batch of PyTorch."""
    import torch

    network, run, images, autocast = _torch_side(row, precision, compiled=compiled)
    network.eval()

    def timed() -> float:
        started = time.perf_counter()
        with torch.inference_mode(), autocast():
            for _ in range(row.steps):
                run(images)
        _torch_wait(images)
        return (time.perf_counter() - started) / row.steps

    return timed


def matrix_share(row: Row, part: str, precision: Precision, images_per_second: float) -> float:
    """The share of the measured rate of matrix products in a precision.

    Multiply-accumulates are those of the cost table; a training step counts as three inferences.
    """
    model = Model.untrained(row.build(), (row.size, row.size, 3), None, name=row.name)
    products = sum(line.macs for line in network_cost(model, USUAL))
    products *= 3 if part == "training" else 1
    return products * images_per_second / _matrix_rate(precision)


@functools.cache
def _matrix_rate(precision: str, size: int = 4096, repeats: int = 10) -> float:
    """Multiply-accumulates a second of a product of two large matrices, the fastest of several."""
    square = jnp.full((size, size), 0.5, precision)
    product = jax.jit(lambda a: a @ a)
    product(square).block_until_ready()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        product(square).block_until_ready()
        seconds.append(time.perf_counter() - started)
    return size**3 / min(seconds)


def compare(sides: dict[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Seconds of every side in every round, alternated; a round to warm up is left out.

    In every round each side runs twice, and the second time counts: the memory of a side that
    rests goes back to the system, and fetching it anew took a third of the time of ResNet-20.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, rounds):
        for name, timed in sides.items():
            timed()
            spent = timed()
            if number >= 0:
                seconds[name].append(spent)
    return seconds


def _ratio(theirs: list[float], ours: list[float]) -> float:
    pairs = zip(theirs, ours, strict=True)
    return statistics.median(other / own for other, own in pairs)


@dataclass(frozen=True)
class Side:
    """A library in one of its modes."""

    library: Literal["ablax", "torch", "torch compiled", "flax"]
    precision: Precision

    def words(self, row: Row, part: str) -> list[str]:
        """What makes this script serve it."""
        gpu = ["--gpu"] * (row in GPU_ROWS)
        return [row.name, "--serve", part, "--side", self.library, self.precision, *gpu]

    def timed(self, row: Row, part: str) -> Timed:
        """The side in this process."""
        if self.library == "flax":
            return flax_training(row)
        if self.library == "ablax":
            return (ablax_training if part == "training" else ablax_inference)(row, self.precision)
        make = torch_training if part == "training" else torch_inference
        return make(row, self.precision, compiled=self.library == "torch compiled")

    def beside(self, row: Row, part: str) -> Timed:
        """The side to be timed beside the others: PyTorch has a process of its own."""
        if self.library in ("ablax", "flax"):
            return self.timed(row, part)
        return InAnotherPython(__file__, *self.words(row, part))


def peak_memory(side: Side, row: Row, part: str) -> float:
    """MB that a process of its own takes at most for two rounds, as it says itself.

    What the system says of a child counts the memory of the process that it was forked from.
    """
    python = sys.executable if side.library == "ablax" else TORCH_PYTHON
    with tempfile.NamedTemporaryFile() as told:
        subprocess.run(
            [python, __file__, *side.words(row, part)],
            input=b"round\n" * 2,
            stdout=subprocess.DEVNULL,
            check=True,
            env=os.environ | {PEAK: told.name},
        )
        return float(Path(told.name).read_text()) / 1024


def _tell_peak() -> None:
    """Write down the most memory of this process, in kB, where `peak_memory` asks."""
    if path := os.environ.get(PEAK):
        lines = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
        Path(path).write_text(peak)


def _sides(row: Row, part: str, others: set[str]) -> list[Side]:
    libraries: list[Any] = ["ablax"]
    if TORCH_PYTHON:
        libraries += [library for library in ("torch", "torch compiled") if library in others]
    sides = [Side(library, precision) for precision in row.precisions for library in libraries]
    flax = "flax" in others and part == "training" and "float32" in row.precisions
    return [*sides, Side("flax", "float32")] if flax else sides


RATES = tuple(
    f"{library}_{precision}"
    for library in ("ablax", "torch", "torch_compiled", "flax")
    for precision in ("float32", "bfloat16")
)[:-1]
COLUMNS = (
    *("network", "part", "pixels", "batch", *RATES),
    *("ratio_to_torch", "ratio_to_torch_float32", "ratio_to_flax", "best", "best_of_torch"),
    *("matrix_share", "memory_mb", "torch_memory_mb"),
    *("machine", "device", "python", "jax", "torch", "date"),
)
"""Rates are images a second."""


def measure(row: Row, part: str, rounds: int, others: set[str], *, full: bool) -> dict[str, str]:
    """One line of the table."""
    sides = _sides(row, part, others)
    names = {side: f"{side.library} {side.precision}".replace(" ", "_") for side in sides}
    took = compare({names[side]: side.beside(row, part) for side in sides}, rounds)
    rate = {name: row.batch / statistics.median(seconds) for name, seconds in took.items()}

    def best(library: str, *precisions: str) -> str:
        found = [name for side, name in names.items() if side.library.startswith(library)]
        return max((name for name in found if name.endswith(precisions)), key=rate.get, default="")

    def ratio(other: str, own: str) -> str:
        return f"{_ratio(took[other], took[own]):.2f}" if other and own else ""

    ours = best("ablax", *row.precisions)
    precision = next(side.precision for side in sides if names[side] == ours)
    line = {
        "network": row.name,
        "part": part,
        "pixels": str(row.size),
        "batch": str(row.batch),
        **{name: f"{rate[name]:.1f}" if name in rate else "" for name in RATES},
        "ratio_to_torch": ratio(best("torch", *row.precisions), ours),
        "ratio_to_torch_float32": ratio(best("torch", "float32"), best("ablax", "float32")),
        "ratio_to_flax": ratio(best("flax", "float32"), best("ablax", "float32")),
        "best": ours,
        "best_of_torch": best("torch", *row.precisions),
        "matrix_share": f"{matrix_share(row, part, precision, rate[ours]):.3f}",
        "machine": f"{processor()}, {available_cores()} cores",
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": metadata.version("jax"),
        "torch": torch_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }
    if full and part == "training" and "float32" in row.precisions and TORCH_PYTHON:
        line["memory_mb"] = f"{peak_memory(Side('ablax', 'float32'), row, part):.0f}"
        line["torch_memory_mb"] = f"{peak_memory(Side('torch', 'float32'), row, part):.0f}"
    return line


def geometric_mean(lines: list[dict[str, str]], column: str) -> str:
    """Of the ratios that were measured; empty where there is none."""
    ratios = [float(line[column]) for line in lines if line[column]]
    return f"{math.exp(statistics.fmean(map(math.log, ratios))):.2f}" if ratios else ""


def _write(lines: list[dict[str, str]], path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Print the table line by line, and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names; the four quick ones by default")
    parser.add_argument("--full", action="store_true", help="all, compiled PyTorch and plain Flax")
    parser.add_argument("--no-compiled", action="store_true", help="PyTorch eager alone")
    parser.add_argument("--no-flax", action="store_true", help="plain Flax is left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["training", "inference"])
    parser.add_argument("--out", type=Path, help="the CSV; none when networks are named")
    parser.add_argument("--gpu", action="store_true", help="the rows for a GPU, in bfloat16")
    parser.add_argument("--serve", choices=("training", "inference"), help=argparse.SUPPRESS)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        every = GPU_ROWS if options.gpu else ROWS
        (row,) = (row for row in every if row.name == options.names[0])
        serve(Side(*options.side).timed(row, options.serve))
        _tell_peak()
        return
    rows = [row for row in ROWS if row.quick or options.full or options.names]
    if options.gpu:
        rows = list(GPU_ROWS)
    if options.names:
        rows = [row for row in rows if any(name in row.name for name in options.names)]
    lines: list[dict[str, str]] = []
    shown = ("float32", "bfloat16", "torch f32", "torch bf16", "best:best", "f32:f32", "to Flax")
    print(f"{'network':<26}{'part':<10}" + "".join(f"{name:>11}" for name in shown))
    ratios = ("ratio_to_torch", "ratio_to_torch_float32", "ratio_to_flax")
    name = "networks-full" if options.full else "networks"
    path = options.out or (
        None if options.names else RESULT / f"{jax.default_backend()}-{name}.csv"
    )
    full = options.full or options.gpu
    others = {"torch"}
    others |= {"torch compiled"} if full and not options.no_compiled else set()
    others |= {"flax"} if full and not options.no_flax else set()
    for part in options.parts:
        for row in rows:
            line = measure(row, part, options.rounds, others, full=full)
            jax.clear_caches()  # what was compiled for one network keeps its memory
            lines.append(line)
            _write(lines, path)
            cells = [line[column] for column in (*RATES[:4], *ratios)]
            print(f"{row.name:<26}{part:<10}" + "".join(f"{c:>11}" for c in cells), flush=True)
        own = [line for line in lines if line["part"] == part]
        means = "".join(f"{geometric_mean(own, column):>11}" for column in ratios)
        print(f"{'geometric mean':<26}{part:<10}{'':44}{means}", flush=True)
    print(f"{lines[0]['machine']}; JAX {lines[0]['jax']}; torch {lines[0]['torch']}")
    if path is not None:
        print(f"written to {path.name}; a ratio above 1: ablax is faster")


if __name__ == "__main__":
    main()
