"""`ablax roofline MODEL`: each layer against the limits of this machine."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options


def roofline(
    model: Positional[options.ModelSource],
    out: options.PictureOut | None = None,
    format: options.TableFormat = "text",
    image_size: options.Pixels | None = None,
    batch: options.Images = 1,
    repeats: options.AtLeastOne = 5,
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
    from ablax.inspection.timing import measure, roofline, roofline_figure, roofline_table
    from ablax.report.tables import render

    asked = options.opened(model, None, image_size).model
    machine = measure(repeats=repeats)
    points = roofline(asked, machine, batch, repeats)
    print(render(roofline_table(asked, points, machine, batch), format))
    if out is not None:
        options.save_picture(roofline_figure(asked, points, machine, batch), out)
