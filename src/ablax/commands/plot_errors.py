"""`ablax plot-errors FILE`: published errors against multiply-accumulates and parameters."""

from __future__ import annotations

import sys
from typing import Literal

from tyro.conf import Positional

from ablax.commands.options import PictureOut


def plot_errors(
    file: Positional[PictureOut], data: Literal["imagenet", "cifar"] = "imagenet"
) -> None:
    """Plot published errors against multiply-accumulates and parameters.

    Args:
        file: The picture to write: .png, .svg or .pdf.
        data: Whose errors: of ImageNet or of CIFAR-10.
    """
    from ablax.inspection.cost import errors_figure
    from ablax.report.figures import caption_of, save

    figure = errors_figure(data)
    save(figure, file)
    print(file)
    print(caption_of(figure), file=sys.stderr)
