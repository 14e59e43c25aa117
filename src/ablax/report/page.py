"""The report of a study, as Markdown and as one HTML page."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ablax.report.figures import Drawing
from ablax.report.plots import drawn, pictures
from ablax.report.statistics import image_share
from ablax.report.study import Published, Study
from ablax.report.study_tables import (
    TRAINING_NOTE,
    changes_table,
    flatness_table,
    main_table,
    published_table,
    reinitialized_table,
    summary_csv,
    write_result,
)
from ablax.report.tables import Table, escape_markdown, render, sentence
from ablax.report.verdict import Verdict, answer, answer_json, forecast, verdict


class Heading(NamedTuple):
    """The title of a section."""

    text: str


class Paragraph(NamedTuple):
    """Running text; `lead` sets it larger."""

    text: str
    lead: bool = False


class Items(NamedTuple):
    """A list of sentences."""

    texts: tuple[str, ...]


class Facts(NamedTuple):
    """Names and values."""

    entries: tuple[tuple[str, str], ...]


class Code(NamedTuple):
    """Text to be typed or read letter by letter."""

    text: str


class Illustration(NamedTuple):
    """A picture, and what is seen for those who cannot see it; its caption is the drawing's."""

    name: str
    alt: str


Block = Heading | Paragraph | Items | Facts | Code | Table | Illustration | Verdict


def title(study: Study) -> str:
    """The heading: the study's own title, or its name as words, and the recipe."""
    words = study.plan.title or study.plan.name.replace("_", " ").strip()
    return f"{words[:1].upper()}{words[1:]}: {study.plan.recipe_name}"


def blocks(study: Study) -> tuple[Block, ...]:
    """The whole report, from the answer to the sources."""
    shown = {picture.name: picture for picture in pictures(study)}
    illustrations = {name: Illustration(name, each.caption) for name, each in shown.items()}
    found: list[Block] = [
        Paragraph(answer(study).sentence, lead=True),
        Paragraph(f"Question: {study.plan.question}"),
        Paragraph(f"Prediction: {study.plan.prediction}"),
        verdict(study),
    ]
    if own := forecast(study):
        # the picture belongs to the whole report, not to our prediction
        found += [Heading("Our own prediction"), own, Heading(shown["errors"].title)]
    found += [illustrations["errors"], *_titled_table(main_table(study))]
    found += [illustrations["costs"]] if "costs" in shown else []
    for section in study.plan.sections:
        found += [Heading(section.title), *([Paragraph(section.text)] if section.text else [])]
        found += [illustrations[picture.name] for picture in section.pictures]
        found += [table(study) for table in section.tables]
    if "drops" in shown:
        found += [Heading(_DROPS[bool(study.plan.published)]), illustrations["drops"]]
        found += [published_table(study)] if study.plan.published else []
    found += [Heading("How the variants learned"), illustrations["curves"], flatness_table(study)]
    if any(variant.removed_layers or variant.reinitialized for variant in study.variants):
        found += _titled_table(reinitialized_table(study))
    if any(variant.changes for variant in study.variants):
        found += _titled_table(changes_table(study))
    found += [
        Heading("How it was measured"),
        Facts(facts(study)),
        Paragraph("The same command resumes where it stopped, or repeats the experiment:"),
        Code(study.plan.command),
        Paragraph("The resolved recipe:"),
        Code(json.dumps(dict(study.plan.recipe), indent=2, ensure_ascii=False, default=str)),
        Heading("Limits"),
        Items(limits(study)),
        Heading("Sources"),
        Items(sources(study)),
    ]
    return tuple(found)


_DROPS = {True: "Beside the published figures", False: "Differences from the baseline"}


def _titled_table(table: Table) -> list[Block]:
    return [Heading(table.title), table]


def facts(study: Study) -> tuple[tuple[str, str], ...]:
    """Seeds, runs, epochs, time, then whatever the environment says."""
    counting = [run for run in study.runs if run.counts]
    epochs = sorted({run.curve.epochs[-1] for run in counting if run.curve.epochs})
    again = sum(run.attempts > 1 for run in study.runs)
    diverged = len(study.runs) - len(counting)
    runs = f"{len(study.runs)}"
    runs += f", of which {diverged} diverged" if diverged else ""
    runs += f", of which {again} were interrupted and resumed" if again else ""
    return (
        ("Data", study.plan.data_note),
        ("Seeds", ", ".join(map(str, study.seeds)) or "none"),
        ("Runs", runs),
        ("Epochs", ", ".join(f"{epoch:g}" for epoch in epochs) or "none"),
        ("Training time, all runs", f"{sum(run.seconds for run in study.runs):,.0f} s"),
        *_image_shares(study),
        *((str(k), str(v)) for k, v in study.environment.items()),
    )


def _image_shares(study: Study) -> tuple[tuple[str, str], ...]:
    own, apart = image_share(study), image_share(study, study.baseline)
    if math.isnan(own):
        return ()
    said = f"{100 * own:.0f} % of that of test errors comes from the images each seed is tested on"
    if math.isfinite(apart):
        said += f", {100 * apart:.0f} % of that of differences from the baseline"
    return (("Variance over seeds", f"{said} (two-way, from the predictions)"),)


def _covered(study: Study) -> str:
    seeds = "The intervals cover the seeds (initialization, shuffling, augmentation)"
    if study.plan.folds == 1:
        return f"{seeds}, not the choice of test images: another test set would change all errors."
    return (
        f"{seeds} and the images, for each seed is tested on one of {study.plan.folds} folds. The "
        "training images of two seeds are mostly the same, and with more seeds than folds the same "
        "images are tested again: new data would vary more."
    )


def limits(study: Study) -> tuple[str, ...]:
    """What the figures do not say."""
    said = [
        _covered(study),
        "The error is that of the last epoch, on all test images. No epoch and no seed was chosen "
        "by it. The recipe (optimizer, width, epochs) was settled by hand on the same data, "
        "without a validation split.",
        "The intervals assume differences that are roughly normal. With few seeds this cannot be "
        "checked.",
        "No recipe was tuned for a single variant, but for the fields whose grid is shown above.",
        "A training loss can flatten because the learning rate goes to zero. Longer training with "
        "another schedule may still change the order.",
        TRAINING_NOTE,
        "Times were measured on one machine, which may have run other work.",
    ]
    if any(variant.removed_layers for variant in study.variants):
        said.append(
            "Removing a layer changes depth, parameters and cost at once; the experiment does "
            "not separate their effects."
        )
    if study.plan.published:
        said.append(
            "The published figures come from other data, other image sizes, larger networks and "
            "other training. Orders may be compared, percentage points may not."
        )
    if not study.plan.verdict_wanted:
        said.insert(0, "This recipe only shows that everything runs. Its errors mean nothing.")
    return tuple(said)


def sources(study: Study) -> tuple[str, ...]:
    """Where the question and every published number come from."""
    said = [f"{_cited(p)} ({p.measure}). {sentence(p.note)}" for p in study.plan.published]
    return tuple(text.strip() for text in (f"The question: {study.plan.source}", *said))


def _cited(published: Published) -> str:
    """The short name, then the citation; the name once only when the citation begins with it."""
    name, source = published.name, published.source.strip()
    doubled = source.lower().startswith(name.lower()) and not source[len(name) :][:1].isalnum()
    text = source if doubled else f"{name}: {source}"
    return text[:1].upper() + text[1:]


PLOTS = "plots"
"""Folder of the pictures, beside the report."""

ANSWER = "answer.json"
"""What an overview of all experiments is written from."""

_TONES = {"confirmed": "verdict confirmed", "contradicted": "verdict contradicted"}


def write_report(study: Study, folder: Path) -> Path:
    """Writes `report.html`, `report.md`, `summary.csv` and the pictures; gives the first's path.

    Equal studies give equal files. `report.html` needs nothing beside it: the pictures are inside.
    The folder is made when it does not exist; a ReportError says what cannot be written.
    """
    drawings = {picture.name: drawn(study, picture) for picture in pictures(study)}
    write_result(folder / "summary.csv", summary_csv(study))
    write_result(folder / ANSWER, answer_json(study, PLOTS))
    return write_page(folder, "report", title(study), blocks(study), drawings)


def write_page(
    folder: Path, stem: str, heading: str, found: Sequence[Block], drawings: Mapping[str, Drawing]
) -> Path:
    """Writes a page as Markdown and as HTML, and its pictures as PNG and SVG; as `write_report`.

    Both files have the name `stem`; gives the path of the HTML file.
    """
    for name, picture in drawings.items():
        write_result(folder / PLOTS / f"{name}.png", picture.png)
        write_result(folder / PLOTS / f"{name}.svg", picture.svg)
    write_result(folder / f"{stem}.md", markdown_page(heading, found, drawings))
    return write_result(folder / f"{stem}.html", html_page(heading, found, drawings))


def framed(study: Study) -> str:
    """The report as a frame in another page, such as a notebook, whose styles stay apart."""
    drawings = {picture.name: drawn(study, picture) for picture in pictures(study)}
    page = html.escape(html_page(title(study), blocks(study), drawings))
    return f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'


def _titled(said: str, found: Sequence[Block]) -> Iterator[tuple[Block, bool]]:
    """The blocks, and whether a table there needs its title: the heading above may say the same."""
    for block in found:
        said = block.text if isinstance(block, Heading) else said
        yield block, not (isinstance(block, Table) and block.title == said)


def markdown_page(heading: str, found: Sequence[Block], drawings: Mapping[str, Drawing]) -> str:
    """The page as Markdown; the pictures are links into the folder `plots`, captions below them."""
    parts = [_markdown(block, drawings, titled) for block, titled in _titled(heading, found)]
    return "\n\n".join([f"# {escape_markdown(heading)}", *parts]) + "\n"


def _markdown(block: Block, drawings: Mapping[str, Drawing], titled: bool) -> str:
    match block:
        case Heading(text):
            return f"## {escape_markdown(text)}"
        case Items(texts):
            return "\n".join(f"- {escape_markdown(text)}" for text in texts)
        case Facts(entries):
            pairs = [map(escape_markdown, entry) for entry in entries]
            return "\n".join(f"- **{name}**: {value}" for name, value in pairs)
        case Code(text):
            # indented, because a fence could end inside the text
            return "\n".join(f"    {line}" for line in text.splitlines())
        case Illustration(name, alt):
            link = f"![{escape_markdown(alt)}]({PLOTS}/{name}.png)"
            return f"{link}\n\n*{escape_markdown(drawings[name].caption)}*"
        case Verdict():
            said = "\n".join(f"- {escape_markdown(text)}" for text in block.details)
            parts = [f"**{escape_markdown(block.headline)}**", said, block.note]
            return "\n\n".join(part for part in parts if part)
        case Paragraph(text):
            return escape_markdown(text)
        case Table():
            return render(block, "markdown", titled=titled)


def html_page(heading: str, found: Sequence[Block], drawings: Mapping[str, Drawing]) -> str:
    """The page as one HTML file.

    The SVG of its pictures goes inside as data URIs, so that their identifiers cannot meet.
    """
    name = html.escape(heading)
    style = resources.files("ablax.report").joinpath("page.css").read_text("utf-8")
    body = "\n".join(_html(block, drawings, titled) for block, titled in _titled(heading, found))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{name}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block, drawings: Mapping[str, Drawing], titled: bool) -> str:
    match block:
        case Heading(text):
            return f"<h2>{html.escape(text)}</h2>"
        case Paragraph(text, lead):
            return f"<p{' class=lead' if lead else ''}>{html.escape(text)}</p>"
        case Items(texts):
            return _list(texts)
        case Facts(entries):
            pairs = [f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in entries]
            return f"<dl>{''.join(pairs)}</dl>"
        case Code(text):
            return f"<pre><code>{html.escape(text)}</code></pre>"
        case Illustration(name, alt):
            data = base64.b64encode(drawings[name].svg).decode()
            image = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}">'
            caption = html.escape(drawings[name].caption)
            return f"<figure>{image}<figcaption class=note>{caption}</figcaption></figure>"
        case Verdict():
            # the colors are those of the answer to the question
            tone = _TONES.get(block.outcome or "", "verdict")
            said = _list(block.details)
            answer = f"<strong>{html.escape(block.headline)}</strong>"
            note = f"<p class=note>{html.escape(block.note)}</p>" if block.note else ""
            return f'<section class="{tone}">{answer}{said}{note}</section>'
        case Table():
            return render(block, "html", titled=titled)


def _list(texts: tuple[str, ...]) -> str:
    lines = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return f"<ul>{lines}</ul>" if lines else ""
