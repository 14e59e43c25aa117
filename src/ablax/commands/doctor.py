"""`ablax doctor EXPERIMENT|RUN`: what ails a network that does not learn, with the measurement."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "name",
        metavar="EXPERIMENT|RUN",
        help="an experiment (ablax list), the path of its file, or a folder of results",
    )
    parser.add_argument(
        "--config", default="digits", help="the recipe of an experiment; digits by default"
    )
    parser.add_argument("--variant", default="", help="which network; the baseline by default")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, or of the run; 0")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write doctor.md, doctor.html and the pictures"
    )


def run(options: argparse.Namespace) -> None:
    """Examine, print the table, write the page where asked.

    Raises:
        SystemExit: With status 1 if a sickness was found.
    """
    import time

    from rich.console import Console

    from ablax.doctor.examination import examine
    from ablax.doctor.finding import Finding
    from ablax.doctor.opening import open_patient
    from ablax.doctor.page import advice, findings_table, summary, write_page
    from ablax.report.forms import as_rich
    from ablax.training.compilation import set_up

    set_up()
    console = Console()
    opened = open_patient(options.name, options.config, options.variant, options.seed, console)
    console.print(f"{opened.patient.name}\n{opened.note}", markup=False, highlight=False)
    started = time.monotonic()

    def begins(check: str) -> None:
        nonlocal started
        started = time.monotonic()
        console.print(f"{check} ...", end=" ", markup=False, highlight=False)

    def ends(found: Finding) -> None:
        took = time.monotonic() - started
        console.print(f"{found.verdict} ({took:.0f} s)", markup=False, highlight=False)

    findings = examine(opened.patient, opened.history, begins, ends)
    console.print(as_rich(findings_table(opened.patient.name, findings)))
    for line in advice(findings):
        console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(summary(findings), markup=False, highlight=False, soft_wrap=True)
    if options.out is not None:
        page = write_page(opened.patient.name, opened.note, findings, options.out)
        console.print(f"page: {page}", markup=False, soft_wrap=True)
    if any(found.sick for found in findings):
        raise SystemExit(1)
