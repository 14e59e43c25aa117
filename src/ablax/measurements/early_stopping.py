"""Early stopping: the moment of least error on images that nobody trains on or is judged by."""

from __future__ import annotations

import math
from typing import NamedTuple

from ablax.report.study import Row


class StoppingPoint(NamedTuple):
    """Where training would have stopped; nan where no image is held out.

    Attributes:
        epoch: Of least held-out error, the first of equals.
        share: The same as a share of the whole training.
        test_error: Then, in percent.
    """

    epoch: float
    share: float
    test_error: float


def stopping_point(rows: tuple[Row, ...]) -> StoppingPoint:
    """The evaluation of least held-out error in the rows of one run.

    Args:
        rows: With the columns `images` ("held out" or "test" among others), `epoch` and `error`.

    References:
        Prechelt (1998): Early stopping, but when?

    Example:
        >>> errors = {1: (9.0, 8.0), 2: (5.0, 6.0), 4: (7.0, 3.0)}
        >>> rows = tuple(
        ...     {"images": images, "epoch": epoch, "error": error}
        ...     for epoch, pair in errors.items()
        ...     for images, error in zip(["held out", "test"], pair)
        ... )
        >>> stopping_point(rows)  # a test error of 3 comes later, and is not for us to choose
        StoppingPoint(epoch=2.0, share=0.5, test_error=6.0)
    """
    held_out = [row for row in rows if row["images"] == "held out"]
    if not held_out:
        return StoppingPoint(math.nan, math.nan, math.nan)
    best = min(held_out, key=lambda row: (row["error"], row["epoch"]))
    tested = {row["epoch"]: row["error"] for row in rows if row["images"] == "test"}
    end = max(row["epoch"] for row in held_out)
    return StoppingPoint(
        float(best["epoch"]), float(best["epoch"] / end), float(tested[best["epoch"]])
    )
