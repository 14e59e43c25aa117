"""`ablax report FOLDER`: the report of a run, made again from its files or from what was kept."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("folder", type=Path, help="of a finished run, or of one that was kept")
    parser.add_argument("--experiment", default="", help="name or file, if it is not where it was")
    parser.add_argument("--out", type=Path, help="where the report goes; it is only shown if none")


def run(options: argparse.Namespace) -> None:
    """Compute the statistics anew and show them; nothing is trained.

    Raises:
        AblaxError: The folder lacks something, or nobody knows its experiment.
    """
    from rich.console import Console

    from ablax.discovery import experiment
    from ablax.rebuild import rebuild
    from ablax.report.answer import answer
    from ablax.report.csvfile import write_results
    from ablax.report.page import write_report
    from ablax.report.tables import terminal_table
    from ablax.report.verdict import verdict
    from ablax.results_folder import stored

    _, question = experiment(options.experiment or stored(options.folder).experiment)
    study, console = rebuild(options.folder, question), Console()
    console.print(terminal_table(study))
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)
    if options.out is not None:
        write_results(options.out / "results.csv", study.variants, study.runs)
        page = write_report(study, options.out)
        console.print(f"report: {page}", soft_wrap=True, markup=False)
