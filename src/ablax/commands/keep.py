"""`ablax keep FOLDER`: put a finished run's tables, plots and report into the checkout."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError

if TYPE_CHECKING:
    from ablax.experiment import Experiment

KEPT = (
    *("answer.json", "environment.json", "recipe.json", "networks.json.gz", "study.json"),
    "hypotheses.json",
    *("report.md", "results.csv", "summary.csv", "plots", "measurements", "metrics.jsonl"),
    *("pretraining", "predictions", "runs"),
)
"""What is kept of a results folder: all that its report can be made from again, compressed; not
checkpoints, and nothing twice."""
LOG = ".jsonl"
"""Logs, which are kept compressed."""
NOT_KEPT = (".svg", ".partial")
"""Pictures that are there as PNG already, and what a killed process left."""
LIGHTEST = 80_000
"""Bytes of a kept picture, at most: the results have it as it was drawn, and as SVG."""
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
    from ablax.study.folder import FACTS, stored

    missing = [name for name in ("answer.json", "report.md") if not (folder / name).exists()]
    if missing:
        raise AblaxError(
            f"{folder} has no {missing[0]}: give the folder of a finished run, such as "
            "results/depth_sweep/digits"
        )
    held = stored(folder)  # refuses another format, and a folder whose recipe nobody knows
    if (folder / FACTS).exists():
        own = experiments / f"{held.experiment}.py"
        _refuse_old(folder, str(own) if own.exists() else held.experiment)
    facts = answer_in(folder)
    target = place(experiments, facts)
    if target.resolve() == folder.resolve():
        raise AblaxError(f"{folder} is kept already: give the folder that the run wrote")
    _copy(folder, target)
    write_result(experiments / "README.md", overview(experiments))
    print(f"kept: {target}\nwritten: {experiments / 'README.md'}")


def _refuse_old(folder: Path, name: str) -> None:
    """Refuse a table or an answer that is not what the runs beside it give."""
    from ablax.report.page import PLOTS
    from ablax.report.study_tables import results_csv
    from ablax.report.verdict import answer_json
    from ablax.study.discovery import experiment
    from ablax.study.folder import rebuild

    study = rebuild(folder, experiment(name)[1])
    texts = {
        "results.csv": results_csv(study.variants, study.runs),
        "answer.json": answer_json(study, PLOTS),
    }
    for each, text in texts.items():
        if (folder / each).read_text("utf-8") != text:
            raise AblaxError(
                f"{folder / each} is not what the runs beside it give: write it again with "
                f"`ablax report {folder} --out {folder}`"
            )


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
    """The text of `experiments/README.md`: every question, its answers, their costs, a picture."""
    from ablax.study.discovery import experiment

    answered = answers(experiments / "results")
    names = sorted(path.stem for path in experiments.glob("[!_]*.py"))
    questions = [(name, experiment(str(experiments / f"{name}.py"))[1]) for name in names]
    return "\n".join([_HEAD, *(_section(*each, answered) for each in questions)])


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
                elif path.suffix == ".png":
                    kept.write_bytes(light(path))
                elif path == top or (
                    path.suffix not in NOT_KEPT and path.stat().st_size <= LARGEST
                ):
                    shutil.copy2(path, kept)
    except OSError as error:
        raise AblaxError(
            f"{target} cannot be written ({error.strerror or error}): free some space, then give "
            "the same command again"
        ) from error


def light(path: Path) -> bytes:
    """A picture of at most `LIGHTEST` bytes: in 128 colors, smaller where that is not enough."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    for tenths in range(10, 2, -1):
        size = (picture.width * tenths // 10, picture.height * tenths // 10)
        smaller = picture.resize(size, Image.Resampling.LANCZOS)
        content = io.BytesIO()
        few = smaller.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(content, "PNG", optimize=True)
        if len(content.getvalue()) <= LIGHTEST:
            break
    return content.getvalue()


_HEAD = """# Experiments

Written by `ablax keep`; a test fails when it is out of date. Each question is a file in this
folder; each answer comes from the results in `results/`, with hardware and date. Run one with

    make experiment NAME=depth_sweep CONFIG=digits

and all of them with `make experiments CONFIG=smoke`. `ablax keep results/NAME/RECIPE` copies a
finished run's tables, plots and report to this folder, with its metrics and the prediction and loss
of every test image, from which `ablax report` makes the report again without training. Runs without
a `study.json` were kept before metrics and predictions were: they have tables, plots and the report
only.
"""


def answers(results: Path) -> list[dict[str, Any]]:
    """What the kept results answer, by experiment and recipe; `folder` says where each stands.

    Raises:
        AblaxError: A file of answers cannot be read, or the results are of another format.
    """
    from ablax.study.folder import stored

    for path in sorted(results.glob("*/*/recipe.json")):
        stored(path.parent)  # refuses another format
    return [
        {**answer_in(path.parent), "folder": path.parent.relative_to(results).as_posix()}
        for path in sorted(results.glob("*/*/answer.json"))
    ]


def answer_in(folder: Path) -> dict[str, Any]:
    """What the run in a folder answers: the facts of its `answer.json`.

    Raises:
        AblaxError: The file cannot be read, or is not one of ours.
    """
    from ablax.files import unsealed

    path = folder / "answer.json"
    try:
        facts = unsealed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AblaxError(f"{path} cannot be read ({error}): {_AGAIN}") from error
    if missing := sorted(_FACTS - set(facts)):
        raise AblaxError(f"{path} lacks {', '.join(missing)}: {_AGAIN}")
    return facts


_FACTS = {
    *("experiment", "recipe", "answer", "device", "date"),
    *("runs", "training_seconds", "picture"),
}
_AGAIN = "run the experiment again to rewrite its report, then keep it with `ablax keep`"


_OLD = (
    " Of an older form of the experiment, without declared margins, and by a weaker criterion of "
    "trained enough: to be run again."
)


def _section(name: str, question: Experiment, answered: list[dict[str, Any]]) -> str:
    from ablax.report.tables import escape_markdown

    lines = [f"## [{name}]({name}.py)", "", escape_markdown(question.question), ""]
    if question.cost:
        lines += [f"Cost: {escape_markdown(question.cost)}", ""]
    own = [facts for facts in answered if facts["experiment"] == name]
    for facts in own:
        folder, recipe = f"results/{facts['folder']}", facts["recipe"]
        where = (
            f"{facts['runs']} runs, {facts['training_seconds']:,} s of training on "
            f"{facts['device']}, {facts['date']}"
        )
        picture = f"![{facts['experiment']}, {recipe}]({folder}/{facts['picture']})"
        lines += [f"**{escape_markdown(facts['answer'])}**", ""]
        old = "" if "hypotheses" in facts else _OLD
        lines += [f"([{recipe}]({folder}/report.md): {escape_markdown(where)}.{old})", ""]
        lines += [f"[{picture}]({folder}/report.md)", ""]
    return "\n".join([*lines, *([] if own else ["No run has been kept yet.", ""])])
