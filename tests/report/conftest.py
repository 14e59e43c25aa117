"""A made-up study of realistic size, and the means to change it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ablax.report.study import Claim, Curve, PlanRecord, Published, Run, Study, Variant

NAMES = ("full", "without_7", "without_67", "without_34", "without_3467")
LABELS = ("Full", "Without 7", "Without 6, 7", "Without 3, 4", "Without 3, 4, 6, 7")
ERRORS = (2.9, 3.0, 3.3, 3.1, 4.6)
COUNTS = (3_400_000, 2_350_000, 210_000, 3_290_000, 98_000)
MACS = (21_500_000, 20_400_000, 18_300_000, 14_100_000, 10_900_000)


def made_curve(
    seed: int, floor: float = 0.05, time: float = 2.0, epochs: int = 20, error: float = 3.0
) -> Curve:
    """An exponential decay with a little noise, and a test error that follows it."""
    noise = np.random.default_rng(seed)
    at = np.arange(1, epochs + 1)
    loss = floor + 2.3 * np.exp(-at / time) + floor * 0.06 * noise.standard_normal(epochs)
    test = error + 80 * np.exp(-at / time) + 0.1 * noise.standard_normal(epochs)
    test[-1] = error
    train_error = np.minimum(90.0, 30 * loss)
    figures = (at, loss, train_error, at, test)
    return Curve(*(tuple(float(value) for value in figure) for figure in figures))


def made_run(name: str, seed: int, error: float, **curve: float | int) -> Run:
    """A finished run."""
    learned = made_curve(seed + 100 * len(name), error=error, **curve)  # type: ignore[arg-type]
    return Run(
        variant=name,
        seed=seed,
        test_error=error,
        train_loss=learned.train_loss[-1],
        train_error=learned.train_error[-1],
        seconds=30.0 + seed + 0.25 * len(name),
        curve=learned,
    )


def diverged(run: Run) -> Run:
    """The same run, whose loss became infinite in the sixth epoch."""
    curve = run.curve
    loss = (*curve.train_loss[:5], math.nan)
    short = Curve(curve.epochs[:6], loss, (*curve.train_error[:5], math.nan), (), ())
    return replace(run, status="diverged", test_error=math.nan, train_loss=math.nan, curve=short)


def made_study(
    seeds: int = 5, variants: int = 5, spread: float = 0.15, **curve: float | int
) -> Study:
    """Five variants by five seeds of digits, as one might measure them."""
    noise = np.random.default_rng(7)
    common = noise.standard_normal(seeds) * spread
    runs = []
    for name, error in list(zip(NAMES, ERRORS, strict=True))[:variants]:
        own = noise.standard_normal(seeds) * spread
        for seed in range(seeds):
            measured = round(float(error + common[seed] + own[seed]), 4)
            runs.append(made_run(name, seed, measured, **curve))
    lecture = Published(
        source="Lecture L0, slide on the ablation of AlexNet",
        measure="error on ImageNet (it does not say which)",
        unit="percentage points",
        drops={"without_7": 1.1, "without_67": 5.7, "without_34": 3.0, "without_3467": 33.5},
        parameters_removed={"without_7": 16e6, "without_67": 50e6, "without_34": 1e6},
        note="Parameters are approximate.",
        short="the lecture",
    )
    fergus = Published(
        source="Zeiler and Fergus 2013, Visualizing and Understanding Convolutional Networks, "
        "table 3",
        measure="validation top-5 error, ImageNet",
        unit="percentage points",
        drops={"without_7": 0.3, "without_67": 4.3, "without_34": 4.0, "without_3467": 32.0},
        parameters_removed={},
        note="Every variant was trained from scratch.",
        short="Zeiler & Fergus",
    )
    plan = PlanRecord(
        name="alexnet_ablation",
        question="What does each part of AlexNet contribute to its accuracy?",
        prediction="Each of the two pairs of layers can go; without both the error is far higher.",
        source="Lecture L0, after Zeiler and Fergus 2013",
        recipe_name="digits",
        variants=tuple(
            Variant(
                name,
                label,
                count,
                macs,
                tuple(f"conv{d}" if d < "6" else f"fc{d}" for d in name if d.isdigit()),
                ("fc8/kernel",) if "6" in name else (),
            )
            for name, label, count, macs in zip(NAMES, LABELS, COUNTS, MACS, strict=True)
        )[:variants],
        baseline="full",
        published=(lecture, fergus),
        claims=(
            Claim(
                "without 3, 4, 6, 7 has a higher test error than without 6, 7",
                "without_3467",
                "without_67",
            ),
            Claim(
                "without 3, 4, 6, 7 has a higher test error than without 3, 4",
                "without_3467",
                "without_34",
            ),
            Claim(
                "without 6, 7 has a higher test error than the full network", "without_67", "full"
            ),
        ),
        recipe={"data": {"name": "digits", "size": 32}, "train": {"epochs": 20, "rate": 0.02}},
        command="make experiment NAME=alexnet_ablation CONFIG=digits",
        verdict_wanted=True,
        error_margin=0.5,
        data_note="1,797 scanned digits at 32×32; 360 of them, distorted four ways, are the test.",
        full_size_parameters=dict(
            zip(NAMES, (60965224, 44183848, 10346792, 59268712, 8650280), strict=True)
        ),
    )
    environment = {"Device": "2 cores", "jax": "0.10.2", "Commit": "abc1234", "Date": "today"}
    return Study(plan, tuple(runs), environment=environment)


@pytest.fixture(scope="session")
def study() -> Study:
    """Five variants by five seeds, all flattened."""
    return made_study()


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """Makes studies of other sizes."""
    return made_study


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """Makes a run with a given error."""
    return made_run


@pytest.fixture(scope="session")
def make_curve() -> Callable[..., Curve]:
    """Makes an exponential decay."""
    return made_curve


@pytest.fixture(scope="session")
def diverge() -> Callable[[Run], Run]:
    """Makes of a run one that diverged."""
    return diverged
