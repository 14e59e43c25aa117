"""By how much images are transformed when invariance is measured, and means over amounts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ablax.measurements.transformations import (
    Levels,
    Transformed,
    contrast,
    illuminate,
    rotate,
    scale,
    translate,
)
from ablax.report.study import Row


@dataclass(frozen=True)
class Transformation:
    """One transformation and its amounts.

    Attributes:
        name: The word in rows and quantities.
        kind: What it changes; each kind has its picture.
        axis: What an amount is, with its unit.
        apply: Transforms levels from 0 to 255 by an amount.
        amounts: From the height of the images in pixels to all amounts, ascending, with the
            `identity` among them.
        identity: The amount that changes nothing: 0, or 1 for factors.
        small: Share of the range that counts as small: of the largest amount, or of the logarithm
            of the largest factor.
        small_words: Which amounts these are, as the end of a sentence.
        wide_words: The same for all amounts.
        ticks: Amounts that an axis names; chosen by the picture where empty.
    """

    name: str
    kind: Literal["place", "light"]
    axis: str
    apply: Callable[[Levels, float], Transformed]
    amounts: Callable[[int], tuple[float, ...]]
    identity: float
    small: float
    small_words: str
    wide_words: str
    ticks: tuple[float, ...] = ()

    def position(self, amount: float) -> float:
        """How far an amount is from changing nothing: itself, or the logarithm of a factor."""
        return math.log(amount) if self.identity == 1 else amount

    def small_reach(self, amounts: Iterable[float]) -> float:
        """The largest position that counts as small among these amounts."""
        return self.small * max((abs(self.position(a)) for a in amounts), default=0.0)

    def mean(self, values: Mapping[float, float], small: bool = True) -> float:
        """Over all amounts but the identity, or over the small ones of them; nan for none.

        Args:
            values: Amount to value.
            small: Only small amounts.

        Example:
            >>> rotation = next(t for t in TRANSFORMATIONS if t.name == "rotation")
            >>> values = {-180.0: 8.0, -30.0: 3.0, 0.0: 9.0, 30.0: 1.0, 180.0: 8.0}
            >>> rotation.mean(values), rotation.mean(values, small=False)
            (2.0, 5.0)
        """
        # the factor is for rounding: log(1.4) is small by its own bound
        reach = self.small_reach(values) * (1 + 1e-9) if small else math.inf
        chosen = [
            v for a, v in values.items() if a != self.identity if abs(self.position(a)) <= reach
        ]
        return sum(chosen) / len(chosen) if chosen else math.nan


def values_of(
    rows: Iterable[Row], transformation: Transformation, measure: str, layer: str = ""
) -> dict[float, float]:
    """Amount to value, ascending, of one transformation, measure and layer of one run.

    Args:
        rows: Of the measurement `ablax.measurements.invariance`, of one run.
        transformation: Which.
        measure: `distance`, `euclidean`, `probability` or `error`.
        layer: Whose; empty for the last two.
    """
    wanted = (transformation.name, measure, layer)
    found = {
        float(row["amount"]): float(row["value"])
        for row in rows
        if (row["transformation"], row["measure"], row["layer"]) == wanted
    }
    return dict(sorted(found.items()))


def _pixels(height: int) -> tuple[float, ...]:
    """Whole pixels, to a quarter of the height on either side, about 17 of them."""
    step = max(1, height // 32)
    reach = height // 4 // step
    return tuple(float(step * place) for place in range(-reach, reach + 1))


def _always(*amounts: float) -> Callable[[int], tuple[float, ...]]:
    return lambda _height: amounts


_SCALES = (1 / 1.8, 1 / 1.6, 1 / 1.4, 1 / 1.2, 1.0, 1.2, 1.4, 1.6, 1.8)
_GAINS = tuple(2.0 ** (power / 2) for power in range(-4, 5))
_OFFSETS = tuple(32.0 * step for step in range(-4, 5))
_TURNS = tuple(15.0 * step for step in range(-12, 13))
_OCTAVES = (0.25, 0.5, 1.0, 2.0, 4.0)

TRANSFORMATIONS: tuple[Transformation, ...] = (
    Transformation(
        name="translation",
        kind="place",
        axis="moved down, pixels",
        apply=lambda images, amount: translate(images, down=amount),
        amounts=_pixels,
        identity=0.0,
        small=0.5,
        small_words="when moved by up to an eighth of the height",
        wide_words="when moved by up to a quarter of the height",
    ),
    Transformation(
        name="scale",
        kind="place",
        axis="made larger by a factor",
        apply=scale,
        amounts=_always(*_SCALES),
        identity=1.0,
        small=math.log(1.4) / math.log(1.8),
        small_words="when scaled by 1/1.4 to 1.4",
        wide_words="when scaled by 1/1.8 to 1.8",
        ticks=(1 / 1.8, 1 / 1.4, 1.0, 1.4, 1.8),
    ),
    Transformation(
        name="rotation",
        kind="place",
        axis="turned counter-clockwise, degrees",
        apply=rotate,
        amounts=_always(*_TURNS),
        identity=0.0,
        small=1 / 6,
        small_words="when turned by up to 30 degrees",
        wide_words="when turned by up to 180 degrees",
        ticks=(-180.0, -90.0, 0.0, 90.0, 180.0),
    ),
    Transformation(
        name="gain",
        kind="light",
        axis="levels times a factor, clipped",
        apply=lambda images, amount: illuminate(images, gain=amount),
        amounts=_always(*_GAINS),
        identity=1.0,
        small=0.5,
        small_words="when levels are multiplied by 1/2 to 2",
        wide_words="when levels are multiplied by 1/4 to 4",
        ticks=_OCTAVES,
    ),
    Transformation(
        name="offset",
        kind="light",
        axis="levels added, of 255, clipped",
        apply=lambda images, amount: illuminate(images, offset=amount),
        amounts=_always(*_OFFSETS),
        identity=0.0,
        small=0.5,
        small_words="when up to 64 levels are added or taken",
        wide_words="when up to 128 levels are added or taken",
        ticks=(-128.0, -64.0, 0.0, 64.0, 128.0),
    ),
    Transformation(
        name="contrast",
        kind="light",
        axis="contrast times a factor, clipped",
        apply=contrast,
        amounts=_always(*_GAINS),
        identity=1.0,
        small=0.5,
        small_words="when contrast is multiplied by 1/2 to 2",
        wide_words="when contrast is multiplied by 1/4 to 4",
        ticks=_OCTAVES,
    ),
)
"""Translation (down, as in the source), scale, rotation; gain, offset and contrast of the light."""
