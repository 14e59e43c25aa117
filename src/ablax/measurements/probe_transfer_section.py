"""What a report shows of transfer: a row a layer, and a panel for each other data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ablax.measurements.probe_section import (
    PublishedProbes,
    accuracies,
    accuracy_cells,
    convergence_note,
    draw_layers,
    name_ends,
)
from ablax.report.figures import WIDTH, blank, settings, where, write_caption
from ablax.report.study import Picture, Section, Study
from ablax.report.tables import NOTHING, Column, Table, number, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT = (
    "The network keeps the weights it learned from the recipe's data. Images of another data set "
    "were brought to its size (bilinearly) and channels (gray repeated, color by its luminance) "
    "and normalized as its own; a linear SVM was fitted to the features of some of that set's "
    "training images and judged by some of its test images, the same images in every run. This "
    "is how the published accuracies were measured too: there the network had learned from "
    "ImageNet."
)


def transfer_section(layers: Mapping[int, str], published: Sequence[PublishedProbes]) -> Section:
    """The table and the picture of `transfer`.

    Args:
        layers: Number to path.
        published: To stand beside ours.
    """
    return Section(
        title="What the features are worth on other data",
        text=TEXT,
        pictures=(
            Picture(
                name="transfer",
                title="Accuracy on other data against the layer",
                caption=(
                    "Test accuracy on other data sets of a linear SVM on the features of each "
                    "layer, trained on the recipe's data and untrained, and on raw pixels: mean "
                    "over seeds and range."
                ),
                draw=partial(transfer_figure, layers=layers),
            ),
        ),
        tables=(partial(transfer_table, layers=layers, published=tuple(published)),),
    )


def targets(study: Study) -> tuple[list[str], dict[str, str]]:
    """The data sets that were there, and the reason for each that was not."""
    there: dict[str, None] = {}
    missing: dict[str, str] = {}
    for row in study.rows("transfer", variant=study.baseline):
        if row["missing"]:
            missing[str(row["target"])] = str(row["missing"])
        else:
            there[str(row["target"])] = None
    return list(there), {name: why for name, why in missing.items() if name not in there}


def transfer_table(
    study: Study, *, layers: Mapping[int, str], published: Sequence[PublishedProbes]
) -> Table:
    """For each data set a row a layer, and a row for each set that was not there."""
    there, missing = targets(study)
    rows = []
    for target in there:
        for depth in (0, *sorted(layers)):
            found = partial(accuracies, study, "transfer", target=target, depth=depth)
            sizes = study.rows("transfer", variant=study.baseline, target=target, depth=depth)
            rows.append(
                (
                    target_label(target),
                    f"SVM ({depth})" if depth else "SVM, raw pixels",
                    layers.get(depth, NOTHING),
                    number(sizes[-1]["features"], 0) if sizes else NOTHING,
                    *accuracy_cells(found, depth),
                    *(column.text("svm", depth) for column in published),
                )
            )
    width = 5 + len(published)
    rows += [(target_label(name), "not there", *(NOTHING,) * (width - 1)) for name in missing]
    headings = ("Numbers an image", "Trained, %", "Untrained, %")
    return Table(
        title="Accuracy of a linear SVM on the features of each layer, on other data",
        columns=(
            *(Column("Data", "left"), Column("Classifier (layer)", "left")),
            Column("Layer here", "left"),
            *(Column(heading) for heading in headings),
            *(Column(f"{column.short}, published, %") for column in published),
        ),
        rows=tuple(rows),
        notes=(
            *(_sizes_note(study, target) for target in there),
            *(
                sentence(f"{target_label(name)} was not measured: {missing[name]}")
                for name in missing
            ),
            "Test accuracy, mean ± standard deviation over seeds; the published ± is as printed. "
            "Pixels depend on no network: one figure stands in both columns.",
            convergence_note(study, "transfer"),
            *(sentence(f"{column.short}: {column.source}") for column in published),
        ),
    )


def transfer_figure(study: Study, *, layers: Mapping[int, str]) -> Figure:
    """A panel for each data set that was there."""
    there, missing = targets(study)
    with settings():
        figure = blank(WIDTH, 6.2)
        panels = figure.subplots(1, max(1, len(there)), squeeze=False)[0]
        for axes, target in zip(panels, there, strict=False):
            name_ends(axes, draw_layers(axes, study, "transfer", layers, target=target))
            axes.set_title(f"Features for {target_label(target)}")
        if not there:
            panels[0].set_axis_off()
            said = "\n".join(f"{target_label(name)} was not there" for name in missing)
            panels[0].text(0.5, 0.5, said or "no other data set was asked for", ha="center")
        else:
            panels[0].set_ylabel("Test accuracy of a linear SVM, %")
        write_caption(
            figure,
            "Mean over seeds; shaded: range. Trained: on the recipe's data, never on these. "
            f"Untrained: the same network before training. {where(study)}",
        )
        return figure


def target_label(source: str) -> str:
    """What a reader calls the data set.

    Example:
        >>> target_label("tfds:fashion_mnist"), target_label("digits")
        ('Fashion-MNIST', 'digits')
    """
    known = {"tfds:fashion_mnist": "Fashion-MNIST", "tfds:cifar10": "CIFAR-10"}
    return known.get(source, source.removeprefix("tfds:"))


def _sizes_note(study: Study, target: str) -> str:
    row = study.rows("transfer", variant=study.baseline, target=target)[-1]
    seen, unseen = number(row["train_images"], 0), number(row["test_images"], 0)
    return (
        f"{target_label(target)}: {seen} training and {unseen} test images, the same in all runs."
    )
