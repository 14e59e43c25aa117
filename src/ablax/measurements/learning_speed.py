"""How fast variants learn: epochs until the training error falls to a given one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from ablax.errors import AblaxError
from ablax.report.plots import CurvePanels
from ablax.report.statistics import deviation, mean
from ablax.report.study import Curve, Section, Study
from ablax.report.tables import NOTHING, Column, Table, number, spread

NOT_REACHED = "not reached"


def epochs_to(curve: Curve, error: float) -> float:
    """The first epoch in which the training error was at most the given one; nan where none was.

    Args:
        curve: How a run learned.
        error: Percent.

    Example:
        >>> curve = Curve((1.0, 2.0, 3.0), (2.0, 1.0, 0.5), (80.0, 24.0, 26.0), (), ())
        >>> epochs_to(curve, 25.0), epochs_to(curve, 20.0)
        (2.0, nan)
    """
    pairs = zip(curve.epochs, curve.train_error, strict=True)
    return next((epoch for epoch, found in pairs if found <= error), math.nan)


def speed_table(study: Study, error: float) -> Table:
    """One row per variant: epochs until that training error, runs that reached it, mean error.

    A mean is over the runs that reached the error; where one did not, the cell says how many did,
    because a mean over the others would call a slow variant fast.
    """
    base = _reached(study, study.baseline, error)
    rows = []
    for variant in study.variants:
        found = _reached(study, variant.name, error)
        came = [epochs for epochs in found if math.isfinite(epochs)]
        whole = list(study.values(f"{variant.name}:mean_train_error").values())
        rows.append(
            (
                variant.label,
                _epochs(found),
                _ratio(found, base),
                f"{len(came)} of {len(found)}",
                spread(mean(whole), deviation(whole), 1) if whole else NOTHING,
            )
        )
    return Table(
        title=f"Epochs until {error:g} % training error",
        columns=(
            Column("Variant", "left"),
            Column(f"Epochs until {error:g} %"),
            Column(f"Times those of {study.variant(study.baseline).label}"),
            Column("Runs that reached it"),
            Column("Training error over all epochs, %"),
        ),
        rows=tuple(rows),
        notes=(
            f"The first epoch whose training error is at most {error:g} %; training error is that "
            "of the epoch's own images, with distortions on and while the weights move. Mean ± "
            "standard deviation over seeds, given only where every run reached it. Last column: "
            "mean over all epochs, which exists for every run.",
        ),
    )


def _reached(study: Study, name: str, error: float) -> list[float]:
    return [epochs_to(run.curve, error) for run in study.finished_runs_of(name)]


def _epochs(found: Sequence[float]) -> str:
    if not found:
        return NOTHING
    if all(map(math.isfinite, found)):
        return spread(mean(found), deviation(found), 1)
    return NOT_REACHED if not any(map(math.isfinite, found)) else f"{NOT_REACHED} by all"


def _ratio(found: Sequence[float], base: Sequence[float]) -> str:
    complete = found and base and all(map(math.isfinite, (*found, *base)))
    return number(mean(found) / mean(base), 1) if complete else NOTHING


def learning_speed(error: float, variants: Sequence[str]) -> Section:
    """A picture of the training error by epoch, and the epochs until it falls to a given one.

    Args:
        error: Percent, above 0 and below 100.
        variants: Names, in the order of the picture.

    Raises:
        AblaxError: An error that no run can start above and fall to.
    """
    if not 0 < error < 100:
        raise AblaxError(f"the training error to reach is {error}: expected above 0 and below 100")
    panel = CurvePanels(
        "training_error", "Training error by epoch", {"all variants": variants}, ("train_error",)
    )
    return Section(
        title="Speed of learning",
        text=f"How many epochs each variant needs until its training error is {error:g} %.",
        pictures=(panel.picture,),
        tables=(partial(speed_table, error=error),),
    )
