"""`ablax table MODEL`: what every layer costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastOne,
    ConventionName,
    Images,
    ModelSource,
    PictureOut,
    Pixels,
    TableFormat,
    opened,
    save_picture,
)

if TYPE_CHECKING:
    from ablax.analysis.cost import Convention
    from ablax.model import Model


def table(
    model: Positional[ModelSource | None] = None,
    convention: ConventionName = "usual",
    format: TableFormat = "text",
    depth: AtLeastOne | None = None,
    training: bool = False,
    image_size: Pixels | None = None,
    batch: Images = 1,
    plot: Annotated[PictureOut | None, tyro.conf.arg(metavar="FILE.png")] = None,
    lectures: bool = False,
) -> None:
    """Cost of every layer: multiply-accumulates, parameters, memory.

    Args:
        model: A network (ablax list), NETWORK=FILE, a folder of weights, or RESULTS:VARIANT:SEED.
        convention: What counts as a multiply-accumulate; lecture prints the lecture's columns.
        format: How the table is printed.
        depth: How many names of a layer's path are kept; costs below them are summed. All by
            default.
        training: The forward pass and both gradients.
        image_size: Height and width of the images; the paper's by default.
        batch: Number of images.
        plot: Plot the costs by depth too: .png, .svg or .pdf.
        lectures: The lectures' tables beside ours; with --format markdown the page docs/costs.md.
    """
    from ablax.errors import AblaxError

    if lectures:
        if model is not None:
            raise AblaxError("--lectures prints the tables of all lectures: give no network")
        from ablax.inspection.lectures import page

        print(page(format))
        return
    if model is None:
        raise AblaxError("which network? ablax list names them: ablax table alexnet")
    if training and convention != "usual":
        raise AblaxError("the lecture says nothing of training: leave --convention out")
    from ablax.inspection.cost import convention_named, table_of
    from ablax.report.tables import render

    asked, counted = opened(model, None, image_size).model, convention_named(convention)
    if plot is not None:
        _draw(asked, counted, batch, plot)
    print(render(table_of(asked, counted, batch, training, depth), format))


def _draw(model: Model, convention: Convention, batch: int, file: Path) -> None:
    from ablax.inspection.cost import network_cost
    from ablax.inspection.figures import depth_figure

    rows = network_cost(model, convention, batch, softmax=convention.name == "lecture")
    figure = depth_figure(model, rows, convention, batch)
    save_picture(figure, file)
