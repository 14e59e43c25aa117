"""How well a network does on what it has seen, and on what it has not, while it learns.

Training and test images are judged alike: undistorted, without dropout, with running statistics.
The training figures of the log are not: they are taken in training, on distorted images.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int32

from ablax.data.images import Split
from ablax.measurements.early_stopping import stopping_point
from ablax.measurements.generalization_pictures import (
    NAME,
    curves_picture,
    generalization_table,
    stopping_table,
)
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Picture, Quantity, Row, Section


def generalization(pictures: tuple[Picture, ...] = ()) -> Measurement:
    """Error and loss on training, held-out and test images, at every evaluation.

    It gives the quantities `fit_error` (training images, at the end), `gap` (test error less
    `fit_error`), and, where `data.held-out` keeps images apart, `stopped_error`: the test error at
    the evaluation of least held-out error. That choice never looks at a test image.

    Args:
        pictures: More pictures for its section, such as a `Trend`.
    """
    return Measurement(
        name=NAME,
        measure=measure_generalization,
        section=Section(
            title="What was learned, and what holds for new images",
            text=(
                "Training, held-out and test images are judged alike here: undistorted by us, "
                "without dropout. The gap is test error less training error. Early stopping takes "
                "the evaluation of least error on the held-out images, the first of equals, and no "
                "test image has a say in it; training itself went on to its end."
            ),
            pictures=(curves_picture(), *pictures),
            tables=(generalization_table, stopping_table),
        ),
        moments=("training", "end"),
        quantities={
            "fit_error": Quantity(
                "error on the training images, undistorted",
                lambda rows: last(rows, "training"),
                "points",
            ),
            "gap": Quantity(
                "test error less training error",
                lambda rows: last(rows, "test") - last(rows, "training"),
                "points",
            ),
            "stopped_error": Quantity(
                "test error where the held-out error is least",
                lambda rows: stopping_point(rows).test_error,
                "points",
            ),
        },
    )


def measure_generalization(subject: Subject) -> list[Row]:
    """A row for training, test and, where there are any, held-out images: `error` and `loss`."""
    splits = {"training": subject.train, "held out": subject.held_out, "test": subject.test}
    return [
        {"images": name, **judged(subject, split)}
        for name, split in splits.items()
        if split is not None
    ]


def judged(subject: Subject, split: Split) -> dict[str, float]:
    """Error in percent and mean cross-entropy in nats of undistorted images."""
    scores = subject.scores(split.images)
    wrong = scores.argmax(axis=1) != split.labels
    return {"error": 100 * float(np.mean(wrong)), "loss": cross_entropy(scores, split.labels)}


def cross_entropy(scores: Float[np.ndarray, "N classes"], labels: Int32[np.ndarray, " N"]) -> float:
    """The mean of ln(sum over k of exp(s_k)) - s_label, in nats.

    Example:
        >>> round(cross_entropy(np.zeros((1, 10)), np.array([3], np.int32)), 4)  # ln 10
        2.3026
    """
    wide = scores.astype(np.float64)
    wide = wide - wide.max(axis=1, keepdims=True)
    chosen = wide[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(wide).sum(axis=1)) - chosen))


def last(rows: tuple[Row, ...], images: str) -> float:
    """The error at the end of a run; nan where these images were not judged."""
    own = [row for row in rows if row["images"] == images]
    return float(own[-1]["error"]) if own else math.nan
