"""`ablax report FOLDER`: the report of a run, made again from its files or from what was kept."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands.options import ExistingFolder, OutFolder, Word


def report(
    folder: Positional[ExistingFolder],
    experiment: Word | None = None,
    out: OutFolder | None = None,
) -> None:
    """Make a run's report again from its files, without training.

    Args:
        folder: Results of a finished run, or of one that was kept.
        experiment: Name or file of the experiment, if it is not where it was.
        out: Where the report goes; without it the table and the verdict are only printed.

    Raises:
        AblaxError: The folder lacks something, or nobody knows its experiment.
    """
    from rich.console import Console

    from ablax.report.page import write_report
    from ablax.report.study_tables import terminal_table, write_results
    from ablax.report.verdict import answer, verdict
    from ablax.study import discovery
    from ablax.study.folder import stored
    from ablax.study.rebuild import rebuild

    _, question = discovery.experiment(experiment or stored(folder).experiment)
    study, console = rebuild(folder, question), Console()
    console.print(terminal_table(study))
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)
    if out is not None:
        write_results(out / "results.csv", study.variants, study.runs)
        page = write_report(study, out)
        console.print(f"report: {page}", soft_wrap=True, markup=False)
