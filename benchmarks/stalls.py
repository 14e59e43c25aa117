"""Does the device wait for checkpoints and evaluation? A trace of the real training loop.

Small AlexNet trains on digits under `jax.profiler.trace`: two chunks an epoch and an evaluation
after the second, in turns without checkpoints and with one after every chunk. The device is busy
where one of XLA's operations runs, in any thread or stream, and idle elsewhere. What is between two
chunks lasts from the last operation of one to the first of the next; `..._ms` says what the loop
was doing while the device was idle: checking that parameters are finite, judging, computing the
rate, logging, waiting for the checkpoint before, copying the state, starting a chunk and taking its
figures home (`chunk`), waiting for the last checkpoint (`end`), or something else (`rest`).

Runs last from the first chunk to the last evaluation; they and chunks are idle between operations.

By hand, alone on the machine: `make bench-stalls`, or `python benchmarks/stalls.py --rounds 5`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from result_table import RESULTS, facts, write
from rich.console import Console
from stalls_timeline import Span, Timeline, draw

from ablax.inspection.timing import events
from ablax.study.discovery import recipe
from ablax.training import checkpoint
from ablax.training.checkpoint import BackgroundSave
from ablax.training.dataset import open_dataset
from ablax.training.loop import StopRequest, Trainer, data_mesh, set_up
from ablax.training.metrics import MetricsLog
from ablax.zoo.alexnet import alexnet_for

EPOCHS, CHUNK = 6, 11
"""Digits have 22 steps an epoch: two chunks."""
CHECKPOINTS = {"without checkpoints": 1e9, "with a checkpoint a chunk": 0.0}
"""Least seconds between two checkpoints; the end of a run writes one in any case."""
MARKED: dict[str, tuple[Any, str]] = {
    "chunk": (Trainer, "advance"),
    "finite": (Trainer, "is_finite"),
    "evaluate": (Trainer, "evaluate"),
    "rate": (Trainer, "rate"),
    "log": (MetricsLog, "write"),
    "copy": (BackgroundSave, "save"),
    "wait": (BackgroundSave, "wait"),
    "end": (BackgroundSave, "__exit__"),
    "write": (checkpoint, "save"),
}
"""What is to be seen in the trace, and the function that does it; `write` is in the thread."""


def mark(name: str, owner: Any, function: str) -> None:
    """From now on every call of the function is a span of that name in the trace."""
    original: Callable[..., Any] = getattr(owner, function)

    def marked(*arguments: Any, **options: Any) -> Any:
        with jax.profiler.TraceAnnotation(f"ablax {name}"):
            return original(*arguments, **options)

    setattr(owner, function, marked)


def small_alexnet() -> Trainer:
    """The network and the recipe of the digits, shorter, and evaluated every epoch."""
    _, digits = recipe("digits")
    train = replace(digits.train, epochs=EPOCHS, chunk=CHUNK, evaluate_every=1)
    digits, mesh = replace(digits, train=train), data_mesh()
    dataset = open_dataset(digits, mesh, Console())
    network = alexnet_for(dataset.image_shape[0], dataset.classes, digits.width)
    return Trainer(network, digits, dataset, mesh)


def traced(trainer: Trainer, seed: int, least_seconds: float) -> Timeline:
    """One run of the real loop, with its real log and checkpoints, under the profiler."""
    train = replace(trainer.recipe.train, checkpoint_seconds=least_seconds)
    trainer.recipe = replace(trainer.recipe, train=train)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # every call of Python would be an event, and slower
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = checkpoint.open_checkpoints(folder / "checkpoints")
        trace = jax.profiler.trace(folder / "trace", profiler_options=options)
        with MetricsLog(folder) as log, trace:
            train(
                trainer,
                seed,
                kept,
                StopRequest(),
                log=lambda step, values: log.write(step, **values),
                on_resume=lambda _: None,
                on_tick=lambda _: None,
            )
        checkpoint.close(kept)
        return timeline(folder / "trace")


def timeline(folder: Path) -> Timeline:
    """What the device and the marked functions did, read from a trace."""
    operations: list[Span] = []
    host: dict[str, list[Span]] = defaultdict(list)
    for event in events(folder):
        span = event.start, event.start + event.seconds
        if event.operation is not None:
            operations.append(span)
        elif event.name.startswith("ablax "):
            host[event.name.removeprefix("ablax ")].append(span)
    return Timeline(operations, host)


def table(runs: list[tuple[str, Timeline]]) -> list[dict[str, str]]:
    """A line for each kind of part: medians over all of the kind, the worst, the share of all."""
    kinds: dict[str, list[tuple[Timeline, float, float]]] = defaultdict(list)
    for kind, run in runs:
        for part, start, end in run.parts(kind):
            kinds[part].append((run, start, end))
    lines = []
    for part, places in kinds.items():
        lengths = [end - start for _, start, end in places]
        idle = [run.idle(start, end) for run, start, end in places]
        line = {"part": part, "times": str(len(places)), "ms": _ms(lengths), "idle_ms": _ms(idle)}
        line["worst_idle_ms"] = _ms([max(idle)])
        line["idle_percent"] = f"{100 * sum(idle) / sum(lengths):.1f}"
        if not part.startswith("a "):
            causes = [run.causes(start, end) for run, start, end in places]
            line |= {f"{name}_ms": _ms([each[name] for each in causes]) for name in causes[0]}
        lines.append(line)
    return lines


def _ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.2f}"


def main() -> None:
    """Trace, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    set_up()
    trainer = small_alexnet()
    for name, (owner, function) in MARKED.items():
        mark(name, owner, function)
    traced(trainer, 0, 0.0)  # compiles, and imports what is imported late
    runs = [
        (kind, traced(trainer, seed, least))
        for seed in range(1, options.rounds + 1)
        for kind, least in CHECKPOINTS.items()
    ]
    write("stalls", table(runs))
    about = facts()
    picture = RESULTS / f"{jax.default_backend()}-stalls.png"
    draw(runs[-1][1], picture, f"{about['machine']}, JAX {about['jax']}, {about['date']}")
    print(picture)


if __name__ == "__main__":
    main()
