"""`ablax plot-errors FILE`: published errors against multiply-accumulates and parameters."""

from __future__ import annotations

from typing import Literal

from tyro.conf import Positional

from ablax.commands.options import PictureOut, save_picture


def plot_errors(
    file: Positional[PictureOut], data: Literal["imagenet", "cifar"] = "imagenet"
) -> None:
    """Plot published errors against multiply-accumulates and parameters.

    Args:
        file: The picture to write: .png, .svg or .pdf.
        data: Whose errors: of ImageNet or of CIFAR-10.
    """
    from ablax.inspection.figures import errors_figure

    save_picture(errors_figure(data), file)
    print(file)
