"""Why a claim cannot be judged: runs that are missing, diverged, or still learning."""

from __future__ import annotations

from ablax.report.flatness import VariantFlatness, variant_flatness
from ablax.report.quantity import QUANTITIES
from ablax.report.results import Claim, Study, operand


def obstacles(study: Study, claims: tuple[Claim, ...], by: str) -> tuple[str, ...]:
    """Every reason not to judge claims, in words; none when they may be judged.

    Args:
        study: The study.
        claims: What shall be judged.
        by: Who makes the claims.
    """
    named = {name for claim in claims for name in claim.variants}
    reasons = [
        f"variant {name!r}, of which {by} speaks, was not run"
        for name in sorted(named - set(study.names))
    ]
    for variant in study.variants:
        if variant.name in named:
            flat = any(claim.flat for claim in claims if variant.name in claim.variants)
            asked = _quantities(claims, variant.name)
            reasons += [f"{variant.label}: {why}" for why in _of(study, variant.name, asked, flat)]
    return tuple(reasons)


def _quantities(claims: tuple[Claim, ...], variant: str) -> list[str]:
    """What the claims ask of a variant, each quantity once."""
    operands = [operand(side) for claim in claims for side in (claim.worse, claim.better)]
    return list(dict.fromkeys(quantity for name, quantity in operands if name == variant))


def _of(study: Study, name: str, asked: list[str], flat: bool) -> list[str]:
    """What is wrong with the runs of one variant, for these quantities."""
    runs, finished = study.runs_of(name), study.finished_runs_of(name)
    if not runs:
        return ["no run was made"]
    reasons = []
    if missing := sorted(set(study.seeds) - {run.seed for run in runs}):
        reasons.append(f"no run with {_seeds(missing)}")
    if len(finished) < len(runs) and set(asked) & set(QUANTITIES):
        lost = [run.seed for run in runs if not run.counts]
        reasons.append(f"training diverged with {_seeds(lost)}")
    for quantity in asked:
        known = quantity in study.quantities
        lost = [run.seed for run in runs if run.seed not in study.values(f"{name}:{quantity}")]
        if known and lost:
            label = study.quantity(quantity).label
            reasons.append(f"{label} was not measured with {_seeds(lost)}")
    flatness = variant_flatness(study, name)
    if flat and finished and not flatness.flat:
        reasons.append(_flatness_words(flatness))
    return reasons


def _flatness_words(flat: VariantFlatness) -> str:
    if flat.mean.flat:
        return f"the training loss of only {flat.flat_runs} of {flat.n} runs has flattened"
    how = flat.mean.reason
    if how in ("still falling", "rising"):
        moved = f"{abs(flat.mean.fall):.1f} % of its whole fall"
        return f"the training loss is {how} ({moved} in the last fifth of the epochs)"
    return f"whether the training loss has flattened: {how}"


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
