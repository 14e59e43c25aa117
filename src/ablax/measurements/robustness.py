"""The test error on shifted images and on images of other sizes, which are not trained for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ablax.core import LayerError
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.measurements.invariance import Border, Levels, distortions_of, translate
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.study import Picture, Row, Section, Study, Variant, matching, percentage
from ablax.report.study_tables import spread_of, variant_table
from ablax.report.tables import NOTHING, Table, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


REFUSES = "refuses"
"""Stands where a network takes no images of a size: a finding, and not an error of 100 %."""
_REFUSING = "Refuses: the network takes no images of this size, so it has no error."

Found = dict[str, dict[float, list[float]]]
"""Variant, then shift or size, then the errors of the seeds."""


@kit.settings()
def error_figure(study: Study, name: str, column: str, words: str) -> Figure:
    """Test error against a column of a measurement's rows; who refuses is said in the legend.

    `words` say what the column is, with its unit.
    """
    figure, (axes,) = kit.panels(1, 1, (kit.WIDTH, 5.4), above=0.4, grid="y")
    found = by_variant(study, name, column)
    places = sorted({place for errors in found.values() for place in errors})
    step = min(np.diff(places), default=1.0)
    for at, (variant, errors) in enumerate(found.items()):
        # marks side by side where they would lie on each other
        beside = 0.03 * step * (at - (len(found) - 1) / 2)
        taken = {place + beside: values for place, values in errors.items() if _finite(values)}
        if taken:
            label = kit.wrapped(study.variant(variant).label, 26)
            label += f"\n({REFUSES} the others)" * (len(taken) < len(errors))
            kit.draw_line(axes, taken, label, kit.look(study.names.index(variant)), "bars")
    axes.set_xticks(places, [f"{place:g}" for place in places])
    kit.logarithmic(axes, "y")
    axes.set_title(f"Test error, {study.plan.recipe_name}")
    axes.set_ylabel("test error, % (logarithmic)")
    axes.set_xlabel(words)
    kit.legend(figure, axes, 1, "outside right upper")
    text = "Mark: mean over the seeds, set a little aside where others lie. Bar: from the best "
    text += "seed to the worst."
    if own := study.rows(name, factor=1):
        axes.axvline(float(own[0][column]), color="#888888", lw=1, ls="--", zorder=0)
        text += " Dashed: the size that was trained."
    return kit.set_caption(figure, f"{text} {distortions_of(study)}")


def error_table(study: Study, name: str, column: str, title: str, heading: str) -> Table:
    """Mean and std of the error, one row per variant and one column per shift or size."""
    found = by_variant(study, name, column)
    places = sorted({place for errors in found.values() for place in errors})

    def cells(variant: Variant) -> list[str] | None:
        errors = found.get(variant.name)
        if errors is None:
            return None
        seeds = number(max(map(len, errors.values())), 0)
        return [*(_cell(errors.get(place, [])) for place in places), seeds]

    refusing = not all(_finite(values) for errors in found.values() for values in errors.values())
    return variant_table(
        study,
        title,
        [*(heading.format(place) for place in places), "n"],
        cells,
        "Mean ± standard deviation over n seeds, percent of the test images.",
        *([_REFUSING] if refusing else []),
    )


def by_variant(study: Study, name: str, column: str) -> Found:
    """The errors of a measurement by variant and by a column; nan where the network refused."""
    found: Found = {variant: defaultdict(list) for variant in study.names}
    for row in study.rows(name):
        found[row["variant"]][float(row[column])].append(float(row["error"]))
    return {variant: dict(sorted(errors.items())) for variant, errors in found.items() if errors}


def _cell(errors: list[float]) -> str:
    if not errors:
        return NOTHING
    return spread_of(errors) if _finite(errors) else REFUSES


def _finite(errors: list[float]) -> bool:
    return all(map(math.isfinite, errors))


Pixels = Float[np.ndarray, "N H W C"]

DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Down and right, in pixels: the directions that the images take in turn."""

PORTION = 1024
"""Images resized at once: large ones need much memory."""


def shift_error(
    pixels: Sequence[int] = (1, 2, 4, 6, 8), border: Border = "black", name: str = "shift_error"
) -> Measurement:
    """The test error at each shift; quantities `shift_1`, `shift_2`, ...

    A shift of 0, the error on the images as they are, is always measured. The border says what
    enters from outside.

    Raises:
        AblaxError: A shift below 0.
    """
    if (least := min(pixels, default=0)) < 0:
        raise AblaxError(f"a shift is {least}, and a number of pixels of at least 0 is expected")
    shifts = tuple(sorted({0, *pixels}))
    return Measurement(
        name=name,
        measure=partial(errors_when_shifted, pixels=shifts, border=border),
        section=_section(
            "Shifted images",
            "Test error of the trained networks on shifted test images. Each image is moved "
            "in one of four directions, in turn: down, right, up, left; every network gets "
            f"the same images. {_BORDERS[border]} Shifts are in pixels of the images that the "
            "network is given.",
            name,
            "shift",
            ("shifted images", "shift of the test images, pixels", "{:g} px"),
        ),
        quantities={
            f"shift_{shift}": percentage(
                f"test error on images shifted by {shift} pixel" + "s" * (shift != 1),
                partial(_error_where, shift=shift),
            )
            for shift in shifts
            if shift
        },
    )


def _section(title: str, text: str, name: str, column: str, words: tuple[str, str, str]) -> Section:
    """A picture and a table of the error against a column: what images, which axis, headings."""
    images, axis, heading = words
    said = f"Test error on {images}"
    caption = f"Test error against the {axis}: one line per variant."
    drawn = partial(error_figure, name=name, column=column, words=axis)
    table = partial(error_table, name=name, column=column, title=f"{said}, %", heading=heading)
    return Section(title, text, (Picture(name, said, caption, drawn),), (table,))


_BORDERS = {
    "black": "What leaves the image is lost, and black enters on the other side.",
    "edge": "What leaves the image is lost, and the pixels of the edge go on on the other side.",
}


def size_error(
    factors: Sequence[float] = (0.75, 1.25, 1.5, 2.0), name: str = "size_error"
) -> Measurement:
    """The test error at each image size; quantities `size_0_75`, `size_1_5`, `size_2`, ...

    The factors are on the size of the images; 1 is always measured.

    Raises:
        AblaxError: A factor that is not above 0.
    """
    for factor in factors:
        if not (math.isfinite(factor) and factor > 0):
            raise AblaxError(f"a factor on the image size is {factor}, and more than 0 is expected")
    wanted = tuple(sorted({1.0, *map(float, factors)}))
    return Measurement(
        name=name,
        measure=partial(errors_when_resized, factors=wanted),
        section=_section(
            "Images of another size",
            "Test error of the trained networks on test images that were made smaller or "
            "larger by bilinear interpolation. The network is not trained again: what it shows "
            "in the image has another size too. A head with a weight for each place refuses.",
            name,
            "image_size",
            (
                "images of another size",
                "height and width of the test images, pixels",
                "{0:g} x {0:g}",
            ),
        ),
        quantities={
            f"size_{factor:g}".replace(".", "_"): percentage(
                f"test error on images of {factor:g} times the size",
                partial(_error_where, factor=factor),
            )
            for factor in wanted
            if factor != 1
        },
    )


def errors_when_shifted(
    model: Model, sample: Sample, pixels: Sequence[int], border: Border = "black"
) -> list[Row]:
    """One row per shift of `shifted_in_turn`: `shift` in pixels, `error` in percent."""
    images, labels = sample.test.images, sample.test.labels
    errors = (model.error(shifted_in_turn(images, shift, border), labels) for shift in pixels)
    pairs = zip(pixels, errors, strict=True)
    return [{"shift": float(shift), "error": error} for shift, error in pairs]


def shifted_in_turn(images: Levels, shift: int, border: Border = "black") -> Pixels:
    """Image i moved by `shift` pixels in direction i mod 4: down, right, up, left.

    Raises:
        AblaxError: A shift that leaves nothing of the image.

    Example:
        >>> image = np.array([[1, 2], [3, 4]], np.uint8).reshape(1, 2, 2, 1)
        >>> shifted_in_turn(np.repeat(image, 2, axis=0), 1)[:, :, :, 0].tolist()
        [[[0.0, 0.0], [1.0, 2.0]], [[0.0, 1.0], [0.0, 3.0]]]
    """
    size = min(images.shape[1:3])
    if not 0 <= shift < size:
        raise AblaxError(
            f"the shift is {shift} pixels and the images have {size}: expected at least 0 and "
            f"fewer than {size}"
        )
    moved = np.array(images, np.float32)
    if shift:
        for turn, (down, right) in enumerate(DIRECTIONS):
            part = images[turn :: len(DIRECTIONS)]
            if len(part):
                moved[turn :: len(DIRECTIONS)] = translate(
                    part, shift * down, shift * right, border
                )
    return moved


def errors_when_resized(model: Model, sample: Sample, factors: Sequence[float]) -> list[Row]:
    """One row per factor: `factor`, `image_size` in pixels, `error` in percent, `refused` (0 or 1).

    Where the network refuses images of that size, `refused` is 1 and the error is nan.
    """
    rows: list[Row] = []
    height, width = sample.test.images.shape[1:3]
    for factor in factors:
        size = max(1, round(factor * height)), max(1, round(factor * width))
        try:
            error, refused = _error_at(model, sample.test, size), 0.0
        except LayerError:
            error, refused = math.nan, 1.0
        place = {"factor": float(factor), "image_size": float(size[0])}
        rows.append({**place, "error": error, "refused": refused})
    return rows


def _error_at(model: Model, test: Split, size: tuple[int, int]) -> float:
    """Percent."""
    wrong = 0.0
    for first in range(0, len(test), PORTION):
        labels = test.labels[first : first + PORTION]
        images = resized(test.images[first : first + PORTION], size)
        wrong += model.error(images, labels) * len(labels)
    return wrong / len(test)


def resized(images: Levels, size: tuple[int, int]) -> Float[np.ndarray, "N h w C"]:
    """Images of another height and width, interpolated bilinearly; a smaller size averages.

    Corners stay corners: row p of H stands at (p + 1/2) / H of the height. At their own size the
    images are what they were; else levels need not be whole.

    Example:
        >>> row = np.array([0, 4], np.uint8).reshape(1, 1, 2, 1)
        >>> resized(row, (1, 4))[0, 0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    levels = np.asarray(images, np.float32)
    if levels.shape[1:3] == size:
        return levels
    shape = (len(levels), *size, levels.shape[3])
    return np.asarray(_resize(jnp.asarray(levels), shape))


@partial(jax.jit, static_argnums=1)
def _resize(images: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.image.resize(images, shape, method="linear")


def _error_where(rows: tuple[Row, ...], **where: float | int) -> float:
    """The error in the first row in which the column has that value; nan where there is none."""
    return next((float(row["error"]) for row in matching(rows, **where)), math.nan)
