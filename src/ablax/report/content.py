"""What a report says, in order, before it has a form: `page` turns it into Markdown and HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ablax.report.answer import answer
from ablax.report.forms import Table, sentence
from ablax.report.pictures import pictures
from ablax.report.results import Published, Study
from ablax.report.section import Picture, Section
from ablax.report.tables import (
    SMALL_LOSS_NOTE,
    TRAINING_NOTE,
    changes_table,
    flatness_table,
    main_table,
    published_table,
    redrawn_table,
)
from ablax.report.verdict import Forecast, Verdict, forecast, verdict


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text; `lead` sets it larger."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Code:
    """Text to be typed or read letter by letter."""

    text: str


Block = Heading | Paragraph | Items | Facts | Code | Table | Picture | Verdict | Forecast


def title(study: Study) -> str:
    """The heading: the study's own title, or its name as words, and the recipe."""
    words = study.title or study.name.replace("_", " ").strip()
    return f"{words[:1].upper()}{words[1:]}: {study.recipe_name}"


def blocks(study: Study) -> tuple[Block, ...]:
    """The whole report, from the answer to the sources."""
    shown = {picture.name: picture for picture in pictures(study)}
    found: list[Block] = [
        Paragraph(answer(study).sentence, lead=True),
        Paragraph(f"Question: {study.question}"),
        Paragraph(f"Prediction: {study.prediction}"),
        verdict(study),
    ]
    own = forecast(study)
    if own:
        # the picture belongs to the whole report, not to our prediction
        found += [Heading("Our own prediction"), own, Heading(shown["errors"].title)]
    found += [
        shown["errors"],
        Heading("What each variant costs and errs"),
        main_table(study),
    ]
    found += [shown["costs"]] if "costs" in shown else []
    for section in study.sections:
        found += _section(study, section)
    if "drops" in shown:
        found += [Heading(_DROPS[bool(study.published)]), shown["drops"]]
        found += [published_table(study)] if study.published else []
    found += [Heading("How the variants learned"), shown["curves"], flatness_table(study)]
    if any(variant.removed_layers or variant.redrawn for variant in study.variants):
        found += [Heading("What was removed and what was redrawn"), redrawn_table(study)]
    if any(variant.changes for variant in study.variants):
        found += [Heading("What the variants change in the recipe"), changes_table(study)]
    found += [
        Heading("How it was measured"),
        Facts(facts(study)),
        Paragraph("The same command goes on where it stopped, or repeats the experiment:"),
        Code(study.command),
        Paragraph("The resolved recipe:"),
        Code(json.dumps(_plain(study.recipe), indent=2, ensure_ascii=False)),
        Heading("Limits"),
        Items(limits(study)),
        Heading("Sources"),
        Items(sources(study)),
    ]
    return tuple(found)


_DROPS = {True: "Beside the published figures", False: "Differences from the baseline"}


def _section(study: Study, section: Section) -> list[Block]:
    """A heading, the text, the pictures and the tables of one section."""
    text = [Paragraph(section.text)] if section.text else []
    tables = [table(study) for table in section.tables]
    return [Heading(section.title), *text, *section.pictures, *tables]


def _plain(value: object) -> object:
    """What JSON can write: mappings and sequences stay, the rest is shown as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def facts(study: Study) -> tuple[tuple[str, str], ...]:
    """Seeds, runs, epochs, time, then whatever the environment says."""
    counting = [run for run in study.runs if run.counts]
    epochs = sorted({run.curve.epochs[-1] for run in counting if run.curve.epochs})
    seconds = sum(run.seconds for run in study.runs)
    again = sum(run.attempts > 1 for run in study.runs)
    diverged = len(study.runs) - len(counting)
    runs = f"{len(study.runs)}"
    runs += f", of which {diverged} diverged" if diverged else ""
    runs += f", of which {again} were interrupted and went on" if again else ""
    entries = [
        ("Data", study.data_note),
        ("Seeds", ", ".join(map(str, study.seeds)) or "none"),
        ("Runs", runs),
        ("Epochs", ", ".join(f"{epoch:g}" for epoch in epochs) or "none"),
        ("Training time, all runs", f"{seconds:,.0f} s"),
    ]
    return (*entries, *((str(k), str(v)) for k, v in study.environment.items()))


def limits(study: Study) -> tuple[str, ...]:
    """What the figures do not say."""
    said = [
        "The intervals cover the seeds (starting weights, shuffling, distortions), not the choice "
        "of test images: another test set would move all errors.",
        "The error is that of the last epoch, on all test images. No epoch and no seed was chosen "
        "by it. The recipe (optimizer, width, epochs) was settled by hand on the same data, "
        "without a validation split.",
        "Student's interval assumes differences that are roughly normal. With few seeds this "
        "cannot be checked.",
        "No recipe was tuned for a single variant.",
        "A training loss can flatten because the learning rate goes to zero. Longer training with "
        "another schedule may still change the order.",
        SMALL_LOSS_NOTE,
        TRAINING_NOTE,
        "Seconds are those of one machine, whatever else it was doing.",
    ]
    if any(variant.removed_layers for variant in study.variants):
        said.append(
            "Taking out a layer changes depth, parameters and cost at once; the experiment does "
            "not tell which of them matters."
        )
    if study.published:
        said.append(
            "The published figures come from other data, other image sizes, larger networks and "
            "other training. Orders may be compared, points of error may not."
        )
    if not study.verdict_wanted:
        said.insert(0, "This recipe only shows that everything runs. Its errors mean nothing.")
    return tuple(said)


def sources(study: Study) -> tuple[str, ...]:
    """Where the question and every published number come from."""
    cited = [f"The question: {study.source}"]
    for published in study.published:
        cited.append(f"{_cited(published)} ({published.measure}). {sentence(published.note)}")
    return tuple(text.strip() for text in cited)


def _cited(published: Published) -> str:
    """The short name, then the citation; the name once only when the citation begins with it."""
    name, source = published.name, published.source.strip()
    doubled = source.lower().startswith(name.lower()) and not source[len(name) :][:1].isalnum()
    text = source if doubled else f"{name}: {source}"
    return text[:1].upper() + text[1:]
