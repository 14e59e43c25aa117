"""`ablax keep FOLDER`: put a finished run's tables, plots and report into the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError

KEPT = (
    *("answer.json", "environment.json", "recipe.json", "networks.json.gz", "study.json"),
    *("report.md", "results.csv", "summary.csv", "plots", "measurements", "metrics.jsonl"),
    *("pretraining", "predictions", "runs"),
)
"""What is kept of a results folder: all that its report can be made from again, compressed; not
checkpoints, and nothing twice."""
LOG = ".jsonl"
"""Logs, which are kept compressed."""
NOT_KEPT = (".svg", ".partial")
"""Pictures that are there as PNG already, and what a killed process left."""
LARGEST = 1_000_000
"""Bytes of a table of measurements; a larger one stays where it was, and the report has its sum."""


def keep(
    folder: Positional[options.ExistingFolder],
    experiments: options.ExistingFolder = Path("experiments"),
) -> None:
    """Copy a finished run's tables, plots and report into the checkout; rewrite its overview.

    The copy goes to experiments/results/NAME/RECIPE-DEVICE, the overview is experiments/README.md.

    Args:
        folder: Results of a finished run, such as results/NAME/RECIPE.
        experiments: The checkout's folder of experiments.
    """
    from ablax.report.study_tables import write_result
    from ablax.study.folder import stored
    from ablax.study.keep import answer_in

    missing = [name for name in ("answer.json", "report.md") if not (folder / name).exists()]
    if missing:
        raise AblaxError(
            f"{folder} has no {missing[0]}: give the folder of a finished run, such as "
            "results/depth_sweep/digits"
        )
    facts = answer_in(folder)
    stored(folder)  # refuses another format, and a folder whose recipe nobody knows
    target = place(experiments, facts)
    if target.resolve() == folder.resolve():
        raise AblaxError(f"{folder} is kept already: give the folder that the run wrote")
    _copy(folder, target)
    write_result(experiments / "README.md", overview(experiments))
    print(f"kept: {target}\nwritten: {experiments / 'README.md'}")


def place(experiments: Path, facts: dict[str, str]) -> Path:
    """Where a run is kept: by experiment, recipe and kind of device; never out of the folder."""
    for field in ("experiment", "recipe"):
        if facts[field] in ("", ".", "..") or Path(facts[field]).name != facts[field]:
            raise AblaxError(
                f"answer.json says {field}: {facts[field]!r}, which is no name; give the folder of "
                "a run as it was written"
            )
    kind = "cpu" if "CPU" in facts["device"] else "tpu" if "TPU" in facts["device"] else "gpu"
    return experiments / "results" / facts["experiment"] / f"{facts['recipe']}-{kind}"


def overview(experiments: Path) -> str:
    """The text of `experiments/README.md`."""
    from ablax.study.discovery import experiment
    from ablax.study.keep import answers, page

    names = sorted(path.stem for path in experiments.glob("[!_]*.py"))
    questions = [(name, experiment(str(experiments / f"{name}.py"))[1]) for name in names]
    return page(questions, answers(experiments / "results"))


def _copy(source: Path, target: Path) -> None:
    from ablax.files import compressed

    try:
        shutil.rmtree(target, ignore_errors=True)
        for top in (source / name for name in KEPT):
            for path in filter(Path.is_file, (top, *top.rglob("*"))):
                kept = target / path.relative_to(source)
                kept.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == LOG:
                    kept.with_name(f"{kept.name}.gz").write_bytes(compressed(path.read_bytes()))
                elif path == top or (
                    path.suffix not in NOT_KEPT and path.stat().st_size <= LARGEST
                ):
                    shutil.copy2(path, kept)
    except OSError as error:
        raise AblaxError(
            f"{target} cannot be written ({error.strerror or error}): free some space, then give "
            "the same command again"
        ) from error
