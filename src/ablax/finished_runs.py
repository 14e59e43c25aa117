"""A finished run as the report reads it, from its summary and its metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ablax.errors import AblaxError
from ablax.measurements.measurement import RUN_COLUMNS, MeasurementLog
from ablax.report.study import Curve, Run
from ablax.results_folder import ResultsFolder
from ablax.training.metrics import read_metrics, seconds_by_run

NOTHING_MEASURED: Mapping[str, float] = MappingProxyType({})


def finished_run(
    variant: str,
    seed: int,
    summary: Mapping[str, Any],
    records: list[dict[str, Any]],
    seconds: float,
    attempts: int,
    measured: Mapping[str, float] = NOTHING_MEASURED,
) -> Run:
    """A run as the report reads it, from its summary, its metrics and its measurements."""
    try:
        curve = learning_curve(records)
    except (KeyError, TypeError) as error:
        raise AblaxError(
            f"the metrics of {variant}, seed {seed} are damaged ({type(error).__name__}: {error}): "
            "remove the lines of metrics.jsonl that are not ours, or start anew elsewhere"
        ) from error
    return Run(
        variant=variant,
        seed=seed,
        test_error=math.nan if summary["test_error"] is None else summary["test_error"],
        train_loss=curve.train_loss[-1] if curve.train_loss else math.nan,
        train_error=curve.train_error[-1] if curve.train_error else math.nan,
        seconds=seconds,
        curve=curve,
        status=summary["status"],
        attempts=attempts,
        measured=measured,
    )


def learning_curve(records: list[dict[str, Any]]) -> Curve:
    """Figures of whole epochs from those of the chunks in them, weighted by their steps."""
    epochs: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        epochs.setdefault(math.ceil(record["epoch"] - 1e-9), []).append(record)

    def mean(name: str, chunks: list[dict[str, Any]]) -> float:
        steps = sum(chunk["steps"] for chunk in chunks)
        return math.fsum(chunk[name] * chunk["steps"] for chunk in chunks) / steps

    tested = [record for record in records if "test_error" in record]
    return Curve(
        epochs=tuple(float(epoch) for epoch in epochs),
        train_loss=tuple(mean("train_loss", chunks) for chunks in epochs.values()),
        train_error=tuple(mean("train_error", chunks) for chunks in epochs.values()),
        test_epochs=tuple(float(record["epoch"]) for record in tested),
        test_error=tuple(float(record["test_error"]) for record in tested),
    )


def finished_runs(
    folder: ResultsFolder, names: Iterable[str], seeds: int, log: MeasurementLog
) -> tuple[Run, ...]:
    """Every run of a folder that is done, from its files.

    Args:
        folder: Of an experiment under a recipe, or what was kept of it.
        names: The variants.
        seeds: How many runs each may have.
        log: Of what was measured in them.
    """
    records = read_metrics(folder.path, by=RUN_COLUMNS)
    seconds = seconds_by_run(folder.path, by=RUN_COLUMNS)
    before = seconds_by_run(pretraining_log(folder.path), by=RUN_COLUMNS)
    rows = log.rows()
    found = []
    for name, seed, summary in _summaries(folder, names, seeds):
        own = [r for r in records if (r["variant"], r["seed"]) == (name, seed)]
        spent, attempts = seconds.get((name, seed), (0.0, 1))
        spent += before.get((name, seed), (0.0, 1))[0]
        measured = log.quantities(rows, name, seed)
        found.append(finished_run(name, seed, summary, own, spent, attempts, measured))
    return tuple(found)


def environments(folder: ResultsFolder, names: Iterable[str], seeds: int) -> dict[str, str]:
    """Where the finished runs were made; what differs between them is listed."""
    told: dict[str, list[str]] = {}
    for _, _, summary in _summaries(folder, names, seeds):
        for key, value in summary["environment"].items():
            told.setdefault(key, [])
            told[key] += [value] * (value not in told[key])
    return {key: "; ".join(values) for key, values in told.items()}


def _summaries(
    folder: ResultsFolder, names: Iterable[str], seeds: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Variant, seed and summary of every run that is done."""
    for name in names:
        for seed in range(seeds):
            summary = folder.finished(name, seed)
            if summary is not None:
                yield name, seed, summary


def pretraining_log(results: Path) -> Path:
    """Where the figures of the pretrainings are, in a results folder."""
    return results / "pretraining"
