"""`ablax table MODEL`: what every layer costs."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError


def table(
    model: Positional[options.ModelOrNone] = None,
    convention: options.ConventionName = "usual",
    format: options.TableFormat = "text",
    depth: options.AtLeastOne | None = None,
    training: bool = False,
    image_size: options.ImageSize = None,
    batch: options.Images = 1,
    plot: options.PictureOut | None = None,
    lectures: bool = False,
) -> None:
    """Cost of every layer: multiply-accumulates, parameters, memory.

    Args:
        convention: What counts as a multiply-accumulate; lecture prints the lecture's columns.
        depth: How many names of a layer's path are kept; costs below them are summed. All by
            default.
        training: The forward pass and both gradients.
        batch: Number of images.
        plot: Plot the costs by depth too: .png, .svg or .pdf.
        lectures: The lectures' tables beside ours; with --format markdown the page docs/costs.md.
    """
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
    from ablax.inspection.cost import convention_named, cost_table, depth_figure, network_cost
    from ablax.report.tables import render

    asked = options.opened(model, None, image_size).model
    if plot is not None:
        counted = convention_named(convention)
        rows = network_cost(asked, counted, batch, softmax=convention == "lecture")
        options.save_picture(depth_figure(asked, rows, counted, batch), plot)
    costs = cost_table(asked, batch=batch, convention=convention, training=training, depth=depth)
    print(render(costs, format))
