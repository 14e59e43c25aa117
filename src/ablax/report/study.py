"""The records of a finished study: runs, variants, claims, measurements, sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ablax.errors import ReportError, nearest
from ablax.files import digest

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ablax.report.tables import Table


Row = Mapping[str, Any]
"""One measured figure and what it belongs to: column to a number or a string."""


def matching(rows: Iterable[Row], **where: Any) -> tuple[Row, ...]:
    """The rows in which the named columns have the given values."""
    return tuple(row for row in rows if all(row.get(c) == value for c, value in where.items()))


@dataclass(frozen=True)
class Quantity:
    """A number that a measurement gives for each run, so that claims can refer to it.

    The label is a noun: `"test error on images shifted by 4 pixels"`; `of` gives the number from
    the rows of one run, nan where there is none. The unit is that of differences:
    `"percentage points"` for percentages, `""` for a bare number.

    The margin is the smallest difference that matters, in the unit: that of errors on the data for
    percentages without one, a tenth of the smaller operand for others.

    `trained` says that it is of networks at the end of their training, so that a claim on it waits
    for training losses that have flattened. What is taken before training, over its whole course,
    or of its cost, is not.
    """

    label: str
    of: Callable[[tuple[Row, ...]], float]
    unit: str = ""
    digits: int = 2
    margin: float | None = None
    trained: bool = True


PERCENTAGE_POINTS = "percentage points"
"""The unit of differences of percentages."""


def percentage(
    label: str, of: Callable[[tuple[Row, ...]], float], *, trained: bool = True
) -> Quantity:
    """A quantity in percent, whose differences are percentage points."""
    return Quantity(label, of, PERCENTAGE_POINTS, trained=trained)


def _of_run(
    name: str, label: str, unit: str, digits: int = 2, *, trained: bool = True
) -> dict[str, Quantity]:
    """What `Run` itself has under that name, as a column of `results.csv`."""
    quantity = Quantity(label, lambda rows: float(rows[-1][name]), unit, digits, trained=trained)
    return {name: quantity}


QUANTITIES: Mapping[str, Quantity] = {
    **_of_run("test_error", "test error", "percentage points"),
    **_of_run("train_error", "training error", "percentage points"),
    **_of_run("train_loss", "training loss", "nats", 3),
    **_of_run(
        "mean_train_error", "training error over all epochs", PERCENTAGE_POINTS, trained=False
    ),
    **_of_run("seconds", "training time", "s", 1, trained=False),
}
"""What every run has: of its last epoch, of all its epochs, and the time they took."""


@dataclass(frozen=True)
class Picture:
    """One figure of the report; the name is the stem of its files, and that of no other.

    The caption says what is seen: pages print it below, and give it to those who cannot see. The
    drawn figure's own caption (`ablax.report.figures.set_caption`) says how to read it.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Study], Figure]


@dataclass(frozen=True)
class Section:
    """A heading, a text that says what was measured and by which criterion, pictures, tables."""

    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Callable[[Study], Table], ...] = ()


# What a finished experiment is: the values that statistics, tables, plots and page read.
#
# Errors are percentages (0 to 100), losses are mean cross-entropies in nats, times are seconds.
# Nothing here measures anything: the runner fills these in, and every number of a report is a
# function of one `Study`.


@dataclass(frozen=True)
class Curve:
    """How one run learned: the mean training figures of every epoch, the test error where measured.

    `epochs`, from 1, and `test_epochs` ascend; they count those trained when a figure was taken.
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

    def records(self) -> list[dict[str, float]]:
        """A record for each epoch; the test error is nan where it was not measured."""
        tested = dict(zip(self.test_epochs, self.test_error, strict=True))
        tests = [tested.get(epoch, math.nan) for epoch in self.epochs]
        figures = zip(self.epochs, self.train_loss, self.train_error, tests, strict=True)
        columns = ("epoch", "train_loss", "train_error", "test_error")
        return [dict(zip(columns, row, strict=True)) for row in figures]


@dataclass(frozen=True)
class Run:
    """One variant trained once from one seed; runs of one seed are paired across variants.

    Errors and loss are of the last epoch, the test error (nan if it diverged) of all test images;
    the seconds of training and evaluation, all attempts together, not of compiling or saving.
    `measured` is what the experiment's own measurements gave: quantity to value. `wrong` is, of
    each original of the test images, the share that was wrong, in the data's order; None where
    nobody knows.
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
    measured: Mapping[str, float] = field(default_factory=dict)
    wrong: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def counts(self) -> bool:
        """Whether its error enters the statistics: finished, with a finite test error."""
        return self.status == "finished" and math.isfinite(self.test_error)

    @property
    def mean_train_error(self) -> float:
        """Training error averaged over all epochs, percent: the area under the learning curve.

        Unlike the number of epochs to a given error it is there for every run.
        """
        errors = self.curve.train_error
        return sum(errors) / len(errors) if errors else math.nan


@dataclass(frozen=True)
class Variant:
    """One network of the experiment, counted at the size that was trained here.

    The name is the one in `results.csv`, the label that in tables and plots; `macs` are those of
    one forward pass for one image. The removed layers are those of the baseline; reinitialized are
    parameters whose shape differs from the baseline's, and so their initial values; `changes` are
    the fields of the recipe that it changes, in words. `classes` and `smoothing` are those of its
    training, where they are not the study's.
    """

    name: str
    label: str
    parameters: int
    macs: int
    removed_layers: tuple[str, ...] = ()
    reinitialized: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    classes: int | None = None
    smoothing: float | None = None


@dataclass(frozen=True)
class Published:
    """Figures somebody printed, to stand beside ours.

    Args:
        source: Citation: author, year, title, table.
        measure: What was measured, such as `"top-5 error, ImageNet"`.
        drops: Variant to the increase of its error over the baseline's, in that unit.
        parameters_removed: Variant to the number of parameters it did without.
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
    """A hypothesis to be tested: the value of `worse` exceeds that of `better`.

    An operand is the name of a variant, which means its test error, or `"variant:quantity"`, where
    the quantity is one of `QUANTITIES` or of the experiment's measurements; or the difference of
    two such, `"local - shared"`, so that a claim may be of an interaction.

    Args:
        text: The statement, as a clause that follows "whether"; where the claim decides an
            experiment, one that "by 1.99 percentage points" can follow.
        worse: The operand with the larger value; `better` has the smaller one.
        margin: The smallest difference that matters, in the unit of the quantity; the quantity's
            where None. The text says why it is another.

    Example:
        >>> Claim("deep plain networks do not train", "plain_56:train_error", "plain_20")
        ... # doctest: +ELLIPSIS
        Claim(text='deep plain networks do not train', ...)
    """

    text: str
    worse: str
    better: str
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise ReportError(
                f"a claim's margin is {self.margin!r}, and a number above 0 is expected: the "
                "smallest difference that matters"
            )

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants it speaks of: those of `worse`, then those of `better`."""
        return tuple(variant for side in (self.worse, self.better) for variant, _ in terms(side))


def terms(text: str) -> tuple[tuple[str, str], ...]:
    """Variant and quantity of each term of an operand: one, or two where it is a difference.

    Example:
        >>> terms("full:svm_7"), terms("local - shared")
        ((('full', 'svm_7'),), (('local', 'test_error'), ('shared', 'test_error')))
    """
    parts = [each.partition(":") for each in text.split(MINUS)]
    return tuple((variant, quantity or "test_error") for variant, _, quantity in parts)


MINUS = " - "
"""Between the terms of an operand that is a difference."""


def operand(text: str) -> tuple[str, str]:
    """Variant and quantity of an operand; of its first term where it is a difference.

    Example:
        >>> operand("full"), operand("full:svm_7")
        (('full', 'test_error'), ('full', 'svm_7'))
    """
    return terms(text)[0]


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """What a study asks and of whom, resolved: all that a report says beside what was measured.

    Args:
        title: Heading of the report; made from `name` when empty.
        prediction: What the source of the question, whose citation is `source`, predicts.
        recipe: Field by dotted name.
        verdict_wanted: False where the budget is too small to conclude anything (smoke).
        classes: Of the data; a training loss above ln(classes) is worse than chance.
        folds: In how many ways the images are split; seed s has the fold s mod folds.
        variants: In the order of the source; the baseline's name is one of theirs.
        full_size_parameters: Variant name to its parameters at the size of the paper.
        claims: Hypotheses of the source, to be tested.
        expectations: Our own predictions, judged apart from `claims`.
        decides: The claim or expectation that answers the question; the first one when None.
        explains: The one that says why.
        quantities: What `Run.measured` holds: name to what it is.
        error_margin: The smallest difference of percentages that matters on these data, in points.
        looks: After how many seeds it is asked whether all is decided (`ablax.report.looks`);
            empty where the number of seeds was fixed before.

    Raises:
        ReportError: The baseline is no variant, two variants have one name, or there are fewer
            than two classes.
    """

    name: str
    title: str = ""
    question: str
    prediction: str
    source: str
    recipe_name: str
    recipe: Mapping[str, object]
    verdict_wanted: bool = True
    command: str = ""
    data_note: str = ""
    classes: int | None = None
    folds: int = 1
    variants: tuple[Variant, ...]
    baseline: str
    full_size_parameters: Mapping[str, int] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    expectations: tuple[Claim, ...] = ()
    decides: Claim | None = None
    explains: Claim | None = None
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    error_margin: float = 1.0
    looks: tuple[int, ...] = ()
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        if self.classes is not None and self.classes < 2:
            raise ReportError(
                f"the data have {self.classes} classes, and at least 2 are expected: give the "
                "number of different labels, or None"
            )
        for name in self.names:
            if self.names.count(name) > 1:
                raise ReportError(f"two variants are named {name!r}: give each its own name")
        self.refuse_unknown(self.baseline, "the baseline")

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order of the source."""
        return tuple(variant.name for variant in self.variants)

    @property
    def deciding(self) -> Claim | None:
        """The claim that answers the question; None where there is none."""
        return self.decides or next(iter((*self.claims, *self.expectations)), None)

    def quantity(self, name: str) -> Quantity:
        """What a name of a quantity stands for; a ReportError where nothing measures it."""
        known = {**QUANTITIES, **self.quantities}
        if name not in known:
            raise ReportError(f"nothing measures {name!r}: {nearest(name, list(known))}")
        return known[name]

    def fixed_margin(self, claim: Claim) -> float | None:
        """The smallest difference that matters, in the quantity's unit; None for a tenth."""
        quantity = self.quantity(operand(claim.worse)[1])
        if claim.margin is not None or quantity.margin is not None:
            return claim.margin if claim.margin is not None else quantity.margin
        return self.error_margin if quantity.unit == PERCENTAGE_POINTS else None

    def hypotheses(self) -> list[dict[str, Any]]:
        """Every claim and expectation with its margin, as `hypotheses.json` has them."""
        return [
            {
                "text": claim.text,
                "by": "the source" if claim in self.claims else "our own prediction",
                "larger": claim.worse,
                "smaller": claim.better,
                "margin": self.fixed_margin(claim) or "a tenth",
                "unit": self.quantity(operand(claim.worse)[1]).unit,
                "decides": claim == self.deciding,
            }
            for claim in (*self.claims, *self.expectations)
        ]

    @property
    def fingerprint(self) -> str:
        """Of the hypotheses: of another claim, or another margin, it is another."""
        return digest(self.hypotheses())[:16]

    def refuse_unknown(self, name: str, where: str) -> None:
        """Refuse what is of no variant."""
        if name not in self.names:
            raise ReportError(
                f"{where} is of variant {name!r}, which the study does not hold: "
                f"{nearest(name, self.names)}"
            )


@dataclass(frozen=True)
class Study:
    """One question under one recipe, with all that was measured.

    The rows of every measurement stand under its name; the environment (versions, device, commit,
    date) is printed as it is.

    Raises:
        ReportError: When a run's variant is not in the plan, or two runs share variant and seed.
    """

    plan: PlanRecord
    runs: tuple[Run, ...] = ()
    measured: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for run in self.runs:
            self.plan.refuse_unknown(run.variant, f"a run of seed {run.seed}")
        pairs = [(run.variant, run.seed) for run in self.runs]
        for variant, seed in pairs:
            if pairs.count((variant, seed)) > 1:
                raise ReportError(
                    f"variant {variant!r} has two runs of seed {seed}: keep one run per seed"
                )

    @property
    def variants(self) -> tuple[Variant, ...]:
        """In the order of the source."""
        return self.plan.variants

    @property
    def baseline(self) -> str:
        """Name of the variant the others are compared with."""
        return self.plan.baseline

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order of the source."""
        return self.plan.names

    @property
    def summary(self) -> list[dict[str, Any]]:
        """What `summary.csv` holds: a record for each variant, such as a DataFrame takes."""
        from ablax.report.study_tables import summary_rows

        return summary_rows(self)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """A record for each epoch of each run: variant, seed, and what `Curve.records` has."""
        return [
            {"variant": run.variant, "seed": run.seed, **record}
            for run in self.runs
            for record in run.curve.records()
        ]

    def _repr_html_(self) -> str:
        """The report with its pictures, as a notebook shows it below a cell."""
        from ablax.report.page import framed

        return framed(self)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any variant ran, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    def variant(self, name: str) -> Variant:
        """The variant of that name; a ReportError, with the nearest name, when there is none."""
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

    def quantity(self, name: str) -> Quantity:
        """What a name of a quantity stands for; a ReportError where nothing measures it."""
        return self.plan.quantity(name)

    def margin(self, claim: Claim) -> float:
        """The smallest difference that matters to a claim, in its quantity's unit.

        Where none is declared, a tenth of the smaller of the operands' mean sizes; nan where
        nothing is measured.
        """
        fixed = self.plan.fixed_margin(claim)
        if fixed is not None:
            return fixed
        sides = [list(self.values(side).values()) for side in (claim.worse, claim.better)]
        return 0.1 * min((abs(sum(side) / len(side)) if side else math.nan) for side in sides)

    def values(self, text: str) -> dict[int, float]:
        """The finite values of an operand (`Claim`), by seed, in the order of the seeds."""
        if MINUS in text:
            first, second = map(self.values, text.split(MINUS))
            return {seed: first[seed] - second[seed] for seed in first if seed in second}
        variant, name = operand(text)
        self.variant(variant), self.quantity(name)
        if name in QUANTITIES:
            found = {run.seed: float(getattr(run, name)) for run in self.finished_runs_of(variant)}
        else:
            found = {run.seed: run.measured.get(name, math.nan) for run in self.runs_of(variant)}
        return {seed: value for seed, value in found.items() if math.isfinite(value)}

    def rows(self, measurement: str, **where: Any) -> tuple[Row, ...]:
        """The rows of a measurement in which columns have these values, such as `variant="full"`.

        Each has the columns `variant`, `seed`, `step` and `epoch` beside its own. A measurement
        that was not taken has no rows.
        """
        return matching(self.measured.get(measurement, ()), **where)
