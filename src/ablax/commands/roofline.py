"""`ablax roofline MODEL`: each layer against the limits of this machine."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastOne,
    Images,
    ModelSource,
    PictureOut,
    Pixels,
    TableFormat,
    opened,
    save_picture,
)


def roofline(
    model: Positional[ModelSource],
    out: PictureOut | None = None,
    format: TableFormat = "text",
    image_size: Pixels | None = None,
    batch: Images = 1,
    repeats: AtLeastOne = 5,
) -> None:
    """Each layer against the compute and bandwidth limits of this machine, as measured.

    Args:
        model: A network (ablax list), NETWORK=FILE, a folder of weights, or RESULTS:VARIANT:SEED.
        out: Plot it too: .png, .svg or .pdf.
        format: How the table is printed.
        image_size: Height and width of the images; the paper's by default.
        batch: Number of images.
        repeats: Timed runs per layer.
    """
    from ablax.inspection.timing import measure, roofline, roofline_table
    from ablax.report.tables import render

    asked = opened(model, None, image_size).model
    machine = measure(repeats=repeats)
    points = roofline(asked, machine, batch, repeats)
    print(render(roofline_table(asked, points, machine, batch), format))
    if out is not None:
        from ablax.inspection.figures import roofline_figure

        save_picture(roofline_figure(asked, points, machine, batch), out)
