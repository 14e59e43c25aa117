"""`History`: a finished run, read from its folder of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax

from ablax.doctor.trained import Trained
from ablax.errors import AblaxError
from ablax.measurements.measurement import RUN_COLUMNS
from ablax.report.study import Curve
from ablax.study.folder import ResultsFolder, finished_run
from ablax.training.checkpoint import Restored, close, open_checkpoints, restore
from ablax.training.loop import Judged, Trainer
from ablax.training.metrics import read_metrics


@dataclass(frozen=True, eq=False)
class History:
    """How a run went and where it ended.

    Attributes:
        status: `"finished"` or `"diverged"`.
        curve: By epoch.
        trained: The last good weights; None where the run diverged before its first checkpoint.
        judged: Every test image under them; None likewise.
    """

    status: str
    curve: Curve
    trained: Trained | None
    judged: Judged | None


def history(folder: ResultsFolder, variant: str, seed: int, trainer: Trainer) -> History:
    """Read one run, and judge the test images by its last checkpoint.

    Args:
        folder: Of the experiment under the recipe.
        variant: Which network.
        seed: Which run of it.
        trainer: Of that network under that recipe.

    Raises:
        AblaxError: The run is not finished, or ended well and has no good checkpoint.
    """
    summary = folder.finished(variant, seed)
    place = folder.checkpoints(variant, seed)
    if summary is None:
        raise AblaxError(
            f"{folder.path} has no finished run of {variant} from seed {seed}: run it first, or "
            "name another with --variant and --seed"
        )
    records = [
        r
        for r in read_metrics(folder.path, by=RUN_COLUMNS)
        if (r["variant"], r["seed"]) == (variant, seed)
    ]
    curve = finished_run(variant, seed, summary, records, 0.0, 1).curve
    status = str(summary["status"])
    restored = _restored(place, trainer, seed) if place.is_dir() else None
    if restored is None:
        if status == "diverged":
            return History(status, curve, None, None)
        raise AblaxError(
            f"{place} holds no checkpoint, though the run is finished: examine the experiment "
            "instead, or run it anew elsewhere"
        )
    state = restored.state
    # on the host, so that every check may bring them where it computes
    variables = jax.device_get({"params": state.params, "batch_stats": state.batch_stats})
    losses = curve.train_loss or (float("nan"),)
    words = f"after {restored.step / trainer.feed.steps_per_epoch:g} epochs"
    trained = Trained(variables, losses[0], losses[-1], words)
    return History(status, curve, trained, trainer.judge(state))


def _restored(place: Path, trainer: Trainer, seed: int) -> Restored | None:
    checkpoints = open_checkpoints(place)
    try:
        return restore(checkpoints, trainer.initial_state(seed))
    finally:
        close(checkpoints)
