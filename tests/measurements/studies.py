"""A study of one measurement, for its tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable

from ablax.report.study import Curve, PlanRecord, Run, Study, Variant


def study_of(name: str, names: tuple[str, ...], seeds: int, rows: Iterable[dict]) -> Study:
    """Variants that were run with as many seeds, and the rows of one measurement."""
    curve = Curve((1.0,), (1.0,), (1.0,), (1.0,), (1.0,))
    runs = [Run(n, seed, 1.0, 1.0, 1.0, 1.0, curve) for n in names for seed in range(seeds)]
    plan = PlanRecord(
        name="made", recipe_name="made", question="q", source="s", prediction="p",
        baseline=names[0], recipe={}, verdict_wanted=False,
        variants=tuple(Variant(n, n.capitalize(), 1, 1) for n in names),
    )  # fmt: skip
    return Study(plan, tuple(runs), measured={name: tuple(rows)})
