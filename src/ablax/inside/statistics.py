"""Feature statistics of a network layer by layer: a table, and the samples x units picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ablax.analysis.features import FeatureStatistics, feature_statistics
from ablax.core import features
from ablax.costs.tables import Table
from ablax.inside.drawing import SIGNED, bare
from ablax.inside.subject import Subject
from ablax.report.drawing import blank, settings, wrapped, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def network_statistics(
    subject: Subject, layers: Sequence[str], batches: Iterable[Any]
) -> dict[str, FeatureStatistics]:
    """The statistics of these layers over batches of prepared pictures."""
    return feature_statistics(
        lambda images: features(subject.network, subject.variables, images, at=layers), batches
    )


def statistics_table(title: str, found: Mapping[str, FeatureStatistics]) -> Table:
    """A row a layer."""
    rows = [
        (
            layer,
            each.units,
            each.places,
            round(100 * each.sparsity, 1),
            round(100 * float(each.small.mean()), 1),
            int(each.dead.sum()),
            int(each.constant.sum()),
            float(f"{each.variance.mean():.4g}"),
            round(each.mean_correlation, 3) if np.isfinite(each.mean_correlation) else "-",
            round(each.independent, 1),
        )
        for layer, each in found.items()
    ]
    first = next(iter(found.values()))
    return Table(
        title,
        (
            *("layer", "units", "places", "zeros %", "small %", "dead", "constant", "variance"),
            *("correlation", "independent"),
        ),
        tuple(rows),
        (
            f"Over {first.samples:,} samples and all places. Small: at most {first.small_below:g} "
            "in size. Dead: 0 everywhere; constant: without variance, the dead among them.",
            "Correlation: mean size between two units; independent: the uncorrelated units that "
            "would share the variance so, of at most "
            f"{max(len(each.correlated) for each in found.values())} measured.",
        ),
    )


def statistics_figure(
    subject: Subject, found: Mapping[str, FeatureStatistics], layers: Sequence[str]
) -> Figure:
    """Samples x units and the correlations of some layers: what the lecture calls good and bad."""
    with settings():
        figure = blank(max(6.0, 3.1 * len(layers) + 0.6), 8.2)
        grid = figure.subplots(2, len(layers), squeeze=False, height_ratios=(1.3, 1))
        for place, layer in enumerate(layers):
            _draw_responses(grid[0, place], layer, found[layer])
            last = _draw_correlation(grid[1, place], found[layer])
        grid[0, 0].set_ylabel("sample", fontsize=12)
        grid[1, 0].set_ylabel("unit", fontsize=12)
        bar = figure.colorbar(last, ax=grid[1, :].tolist(), shrink=0.8, aspect=18)
        bar.set_label("correlation", fontsize=12)
        write_caption(
            figure,
            "Above: a row a sample, a column a unit; dark: a strong response (at the middle place; "
            "white is the least, black the 99.5 % quantile of the layer). Good training: sparse "
            "rows that differ. Bad: columns of one shade (units that ignore the input), or columns "
            "alike. Below: correlations between units over all places; gray: constant units. "
            f"{subject.title}.",
        )
        return figure


def _draw_responses(axes: Axes, layer: str, each: FeatureStatistics) -> None:
    low, high = float(each.responses.min()), float(np.quantile(each.responses, 0.995))
    axes.imshow(
        each.responses,
        cmap="gray_r",
        vmin=low,
        vmax=high if high > low else low + 1,
        aspect="auto",
        interpolation="nearest",
    )
    axes.tick_params(labelsize=9)
    axes.set_xlabel(f"unit, {each.units} in all", fontsize=11)
    correlation = each.mean_correlation
    axes.set_title(
        f"{wrapped(layer, 20)}\n{100 * each.sparsity:.0f} % zeros, {int(each.dead.sum())} dead\n"
        f"correlation {correlation:.2f}",
        fontsize=11,
        loc="center",
    )


def _draw_correlation(axes: Axes, each: FeatureStatistics) -> Any:
    axes.set_facecolor("#BBBBBB")
    bare(axes)
    return axes.imshow(each.correlation, cmap=SIGNED, vmin=-1, vmax=1, interpolation="nearest")
