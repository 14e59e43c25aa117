"""`ablax roofline MODEL`: each layer against the limits of this machine."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options


def roofline(
    model: Positional[options.ModelSource],
    out: options.PictureOut | None = None,
    format: options.TableFormat = "text",
    image_size: options.ImageSize = None,
    batch: options.Images = 1,
    repeats: options.AtLeastOne = 5,
) -> None:
    """Each layer against the compute and bandwidth limits of this machine, as measured.

    Args:
        out: Plot it too: .png, .svg or .pdf.
        batch: Number of images.
        repeats: Timed runs per layer.
    """
    from ablax.inspection.timing import measure, roofline, roofline_figure, roofline_table
    from ablax.report.tables import render

    asked = options.opened(model, None, image_size).model
    machine = measure(repeats=repeats)
    points = roofline(asked, machine, batch, repeats)
    print(render(roofline_table(asked, points, machine, batch), format))
    if out is not None:
        options.save_picture(roofline_figure(asked, points, machine, batch), out)
