"""`ablax doctor EXPERIMENT|MODEL`: diagnose the training of a network, with the measurement."""

from __future__ import annotations

from typing import Annotated

import tyro
from tyro.conf import Positional

from ablax.commands import options


def doctor(
    name: Annotated[Positional[options.Word], tyro.conf.arg(metavar="EXPERIMENT|MODEL")],
    config: Annotated[options.Word, tyro.conf.arg(metavar="RECIPE")] = "digits",
    seed: options.Seed = 0,
    out: options.OutFolder | None = None,
) -> None:
    """Diagnose training: ten checks of a network that does not learn, each with its measurement.

    The exit status is 1 if a problem was found.

    Args:
        name: EXPERIMENT[:VARIANT] (ablax list, or the path of its file), or a model: RESULTS with
            :VARIANT:SEED, a network, NETWORK=FILE, a folder of weights.
        config: The recipe of an experiment or a network.
        seed: Of the weights, or of the run.
        out: Write doctor.md, doctor.html and the pictures into this folder.
    """
    import time

    from rich.console import Console

    from ablax.doctor.checks import (
        Finding,
        examine,
        findings_table,
        summary,
        what_to_do,
        write_page,
    )
    from ablax.doctor.trials import open_trial
    from ablax.report.tables import render
    from ablax.training.loop import set_up

    set_up()
    console = Console()
    opened = open_trial(name, config, seed, console)
    examined = opened.trial.model.name
    console.print(f"{examined}\n{opened.note}", markup=False, highlight=False)
    status, now, since = console.status(""), "", 0.0

    def begins(check: str) -> None:
        nonlocal now, since
        now, since = check, time.monotonic()
        if console.is_terminal:
            status.update(check)
            status.start()

    def ends(found: Finding) -> None:
        status.stop()
        said = f"{now} ... {found.verdict} ({time.monotonic() - since:.0f} s)"
        console.print(said, markup=False, highlight=False)

    try:
        findings = examine(opened.trial, opened.history, begins, ends)
    finally:
        status.stop()
    table = findings_table(examined, findings)
    shown = render(table, "text", width=console.width)
    console.print(shown, markup=False, highlight=False, soft_wrap=True)
    for line in what_to_do(findings):
        console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(summary(findings), markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        page = write_page(examined, opened.note, findings, out)
        console.print(f"page: {page}", markup=False, soft_wrap=True)
    if any(found.problem for found in findings):
        raise SystemExit(1)
