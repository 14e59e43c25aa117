"""Heat maps of which earlier layers a densely connected network uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ablax.report.figures import WIDTH, blank, settings, where, wrapped, write_caption
from ablax.report.study import Row, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

NAME = "feature_reuse"


def reuse_figure(study: Study) -> Figure:
    """A row a variant, a panel a block: mean over seeds; one scale for all of it."""
    measured = [name for name in study.names if study.rows(NAME, variant=name)]
    with settings():
        blocks = sorted({int(row["block"]) for row in study.rows(NAME)}) or [1]
        figure = blank(WIDTH, 1.6 + 3.3 * max(1, len(measured)))
        grid = figure.subplots(max(1, len(measured)), len(blocks), squeeze=False)
        if not measured:
            grid[0, 0].text(0.5, 0.5, "nothing was measured", ha="center", va="center")
            return figure
        maps = {
            (name, block): reuse_map(study.rows(NAME, variant=name, block=block))
            for name in measured
            for block in blocks
        }
        furthest = max(float(np.nanmax(np.abs(found - 1))) for _, _, found in maps.values())
        for line, name in zip(grid, measured, strict=True):
            for axes, block in zip(line, blocks, strict=True):
                image = _draw(axes, *maps[name, block], furthest or 1.0)
                axes.set_title(f"Block {block}", loc="center", fontsize=14)
            line[0].set_ylabel(wrapped(f"{study.variant(name).label}: read by", 24), fontsize=13)
        for axes in grid[-1]:
            axes.set_xlabel("read from", fontsize=13)
        bar = figure.colorbar(image, ax=grid, shrink=0.6, pad=0.02, aspect=30)
        bar.set_label("weight over the mean of the kernel")
        write_caption(
            figure,
            "Mean absolute weight of a kernel on the maps of each earlier layer of its block, over "
            "the mean of the whole kernel, mean over seeds; 1, white, is the mean and the start. "
            f"In: the block's input; out: the first kernel behind the block. {where(study)}",
        )
        return figure


def reuse_map(
    rows: Sequence[Row],
) -> tuple[list[str], list[str], Float[np.ndarray, "readers sources"]]:
    """Readers, sources, and the mean over seeds of what is relative; nan where nothing is read.

    Args:
        rows: Those of one variant and one block.
    """
    readers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    sources = list(dict.fromkeys(str(row["source"]) for row in rows))
    values: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        place = readers.index(str(row["layer"])), sources.index(str(row["source"]))
        values.setdefault(place, []).append(float(row["relative"]))
    found = np.full((len(readers), len(sources)), np.nan)
    for place, single in values.items():
        found[place] = np.mean(single)
    return readers, sources, found


def _draw(
    axes: Axes, readers: list[str], sources: list[str], found: Any, furthest: float
) -> AxesImage:
    """Only the corner below the diagonal exists."""
    image = axes.imshow(found, cmap="PuOr_r", vmin=1 - furthest, vmax=1 + furthest)
    columns = ["in", *(str(number) for number in range(1, len(sources)))]
    axes.set_xticks(range(len(sources)), columns)
    axes.set_yticks(range(len(readers)), [*columns[1:], "out"])
    axes.tick_params(length=0, labelsize=12)
    axes.spines[:].set_visible(False)
    return image
