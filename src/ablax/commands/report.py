"""`ablax report FOLDER`: the report of a run, made again from its files or from what was kept."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError


def report(
    folder: Positional[options.ExistingFolder],
    experiment: options.Word | None = None,
    out: options.OutFolder | None = None,
) -> None:
    """Make a run's report again from its files, without training.

    Args:
        folder: Results of a finished run, or of one that was kept.
        experiment: Name or file of the experiment, if it is not where it was.
        out: Where the report goes; without it the table and the verdict are only printed.
    """
    from rich.console import Console

    from ablax.report.page import write_report
    from ablax.report.study_tables import write_results
    from ablax.study import discovery
    from ablax.study.folder import rebuild, stored
    from ablax.study.runner import say

    try:
        _, question = discovery.experiment(experiment or stored(folder).experiment)
    except AblaxError as error:
        if experiment:
            raise
        raise AblaxError(
            f"{folder} is of an experiment that is not found here ({error}): give its file with "
            "--experiment FILE"
        ) from error
    study, console = rebuild(folder, question), Console()
    say(study, console)
    if out is not None:
        write_results(out / "results.csv", study.variants, study.runs)
        page = write_report(study, out)
        console.print(f"report: {page}", soft_wrap=True, markup=False)
