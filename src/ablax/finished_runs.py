"""A finished run as the report reads it, from its summary and its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ablax.errors import AblaxError
from ablax.report.results import Curve, Run

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
