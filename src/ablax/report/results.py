"""What a finished experiment is: the values that statistics, tables, plots and page read.

Errors are percentages (0 to 100), losses are mean cross-entropies in nats, times are seconds.
Nothing here measures anything: the runner fills these in, and every number of a report is a
function of one `Study`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ablax.errors import AblaxError, nearest


class ReportError(AblaxError):
    """A study that contradicts itself, or a file of results that cannot be read or written."""


@dataclass(frozen=True)
class Curve:
    """How one run learned: the training figures of every epoch, the test error where measured.

    Args:
        epochs: Epochs trained when each training figure was taken, ascending, from 1.
        train_loss: Mean training loss of that epoch.
        train_error: Training error of that epoch, percent.
        test_epochs: Epochs trained when the test error was measured, ascending.
        test_error: Test error then, percent.

    Raises:
        ReportError: When figures and epochs differ in number.
    """

    epochs: tuple[float, ...]
    train_loss: tuple[float, ...]
    train_error: tuple[float, ...]
    test_epochs: tuple[float, ...]
    test_error: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = (len(self.epochs), len(self.train_loss), len(self.train_error))
        if len(set(lengths)) > 1 or len(self.test_epochs) != len(self.test_error):
            raise ReportError(
                f"a curve has {lengths[0]} epochs, {lengths[1]} training losses, {lengths[2]} "
                f"training errors, {len(self.test_epochs)} test epochs and "
                f"{len(self.test_error)} test errors: give one figure for every epoch"
            )


@dataclass(frozen=True)
class Run:
    """One variant trained once from one seed.

    Args:
        variant: The variant's name.
        seed: The seed it started from; runs of one seed are paired across variants.
        test_error: Error on all test images after the last epoch, percent; nan if it diverged.
        train_loss: Mean training loss of the last epoch.
        train_error: Training error of the last epoch, percent.
        seconds: Training and evaluation, all attempts together; not compiling or saving.
        curve: How it learned.
        status: Whether it came to its last epoch.
        attempts: How often it was started; more than 1 when it was interrupted and went on.
    """

    variant: str
    seed: int
    test_error: float
    train_loss: float
    train_error: float
    seconds: float
    curve: Curve
    status: Literal["finished", "diverged"] = "finished"
    attempts: int = 1

    @property
    def counts(self) -> bool:
        """Whether its error enters the statistics: finished, with a finite test error."""
        return self.status == "finished" and math.isfinite(self.test_error)


@dataclass(frozen=True)
class Variant:
    """One network of the experiment.

    Args:
        name: Its short name, the one in `results.csv`.
        label: Its name in tables and plots.
        parameters: Trainable numbers, at the size that was trained here.
        macs: Multiply-accumulates of one forward pass for one image, at that size.
        removed_layers: Names of the layers taken out of the baseline.
        redrawn: Names of the parameters whose shape differs from the baseline's, so that they
            start from other weights.
    """

    name: str
    label: str
    parameters: int
    macs: int
    removed_layers: tuple[str, ...] = ()
    redrawn: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """Figures somebody printed, to stand beside ours.

    Args:
        source: Citation: author, year, title, table.
        measure: What was measured, such as `"top-5 error, ImageNet"`.
        unit: Unit of `drops`.
        drops: Variant name to the increase of its error over the baseline's.
        parameters_removed: Variant name to the number of parameters it did without.
        note: What a reader must know to compare; printed as sentences.
        short: Name for a column or a legend; the start of `source` when empty.
    """

    source: str
    measure: str
    unit: str
    drops: Mapping[str, float | int]
    parameters_removed: Mapping[str, float | int]
    note: str = ""
    short: str = ""

    @property
    def name(self) -> str:
        """What a column or a legend calls it."""
        return self.short or self.source.split(",")[0].split("(")[0].strip()[:40]


@dataclass(frozen=True)
class Claim:
    """An order somebody states, to be tested: the error of `worse` exceeds that of `better`."""

    text: str
    worse: str
    better: str


@dataclass(frozen=True)
class Study:
    """One question under one recipe, with all that was measured and all that was published.

    Args:
        name: The experiment's name.
        question: What it asks.
        prediction: What its source predicts.
        source: Citation of that source.
        recipe_name: The recipe's name, such as `"digits"`.
        variants: In the order of the source.
        baseline: Name of the variant the others are compared with.
        runs: Every run that was made.
        published: Figures to set beside ours.
        claims: Orders that the source states, to be tested.
        environment: Versions, device, commit, date: printed as they are.
        recipe: The resolved recipe.
        command: The command that repeats the experiment.
        verdict_wanted: False where the budget is too small to conclude anything (smoke).
        data_note: What the data are, in a sentence.
        full_size_parameters: Variant name to its parameters at the size of the paper.
        title: Heading of the report; made from `name` when empty.
        classes: Classes of the data; a training loss above ln(classes) is worse than chance.
        expectations: Orders that we predict ourselves, judged apart from `claims`.

    Raises:
        ReportError: When the baseline or a run's variant is not among the variants, two runs
            share variant and seed, or there are fewer than two classes.
    """

    name: str
    question: str
    prediction: str
    source: str
    recipe_name: str
    variants: tuple[Variant, ...]
    baseline: str
    runs: tuple[Run, ...]
    published: tuple[Published, ...]
    claims: tuple[Claim, ...]
    environment: Mapping[str, str]
    recipe: Mapping[str, object]
    command: str
    verdict_wanted: bool
    data_note: str
    full_size_parameters: Mapping[str, int]
    title: str = ""
    classes: int | None = None
    expectations: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        if self.classes is not None and self.classes < 2:
            raise ReportError(
                f"the data have {self.classes} classes, and at least 2 are expected: give the "
                "number of different labels, or None"
            )
        names = [variant.name for variant in self.variants]
        for name in names:
            if names.count(name) > 1:
                raise ReportError(f"two variants are named {name!r}: give each its own name")
        for name, where in [(self.baseline, "the baseline")] + [
            (run.variant, f"a run of seed {run.seed}") for run in self.runs
        ]:
            if name not in names:
                raise ReportError(
                    f"{where} is of variant {name!r}, which the study does not hold: "
                    f"{nearest(name, names)}"
                )
        pairs = [(run.variant, run.seed) for run in self.runs]
        for variant, seed in pairs:
            if pairs.count((variant, seed)) > 1:
                raise ReportError(
                    f"variant {variant!r} has two runs of seed {seed}: keep one run a seed"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order of the source."""
        return tuple(variant.name for variant in self.variants)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any variant ran, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        Raises:
            ReportError: When there is none; the message has the nearest name.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise ReportError(f"the study holds no variant {name!r}: {nearest(name, self.names)}")

    def runs_of(self, name: str) -> tuple[Run, ...]:
        """All runs of one variant, by seed."""
        return tuple(sorted((r for r in self.runs if r.variant == name), key=lambda r: r.seed))

    def finished_runs_of(self, name: str) -> tuple[Run, ...]:
        """The runs of one variant whose error counts, by seed."""
        return tuple(run for run in self.runs_of(name) if run.counts)
