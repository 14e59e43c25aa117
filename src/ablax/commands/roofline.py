"""`ablax roofline NETWORK`: each layer against the limits of this machine."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands.options import AtLeastOne, Images, NetworkName, PictureOut, Pixels, TableFormat


def roofline(
    network: Positional[NetworkName],
    out: PictureOut | None = None,
    format: TableFormat = "text",
    image_size: Pixels | None = None,
    batch: Images = 1,
    repeats: AtLeastOne = 5,
) -> None:
    """Each layer against the compute and bandwidth limits of this machine, as measured.

    Args:
        network: A network of the zoo (ablax list), or module:function.
        out: Plot it too: .png, .svg or .pdf.
        format: How the table is printed.
        image_size: Height and width of the images; the paper's by default.
        batch: Number of images.
        repeats: Timed runs per layer.
    """
    from ablax.inspection.cost import case
    from ablax.inspection.machine import measure, roofline, roofline_table
    from ablax.inspection.tables import written
    from ablax.report.figures import save

    chosen = case(network, image_size, batch)
    machine = measure(repeats=repeats)
    points = roofline(chosen, machine, repeats)
    print(written(roofline_table(chosen, points, machine), format))
    if out is not None:
        from ablax.inspection.figures import roofline_figure

        save(roofline_figure(chosen, points, machine), out)
