"""When a study that adds seeds looks at its results, and how sure it must be each time."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

# Who looks after every few seeds and stops when the answer is there errs more often than who looks
# once. So the probability of an error is spent in portions: little at the first looks, most of it
# at the last.

FIRST = 5
"""Seeds at the first look."""


def looks(most: int) -> tuple[int, ...]:
    """After how many seeds a study looks: 5, half as many again each time, and at last `most`.

    Example:
        >>> looks(24), looks(3)
        ((5, 8, 12, 18, 24), (3,))
    """
    found, n = [], FIRST
    while n < most:
        found.append(n)
        n = math.ceil(1.5 * n)
    return (*found, most)


DRAWS = 200_000
"""Of the courses of a study."""


@functools.cache
def wrong_by_look(planned: tuple[int, ...], wrong: float = 0.05) -> tuple[float, ...]:
    """The probability of an error that each look may make by itself, so that all make `wrong`.

    Until n of N seeds, wrong (n / N)^(3/2) may be spent. The looks share their seeds, so what the
    last has left is more than the rest of `wrong`. Simulated from a fixed seed.

    Lan, DeMets 1983, "Discrete sequential boundaries for clinical trials"; the power family of Kim,
    DeMets 1987; nominal levels for t: Jennison, Turnbull 1999, Group sequential methods, 4.4.

    Example:
        >>> wrong_by_look((24,))
        (0.05,)
        >>> [round(each, 3) for each in wrong_by_look((5, 8, 12, 18, 24))]
        [0.004, 0.007, 0.011, 0.022, 0.031]
    """
    if len(planned) == 1:
        return (wrong,)
    from scipy.special import ndtr

    heights = _courses(planned)
    spent, found = 0.0, []
    for look, n in enumerate(planned):
        may = wrong * (n / planned[-1]) ** 1.5
        height = np.sort(heights[:, look])[-round((may - spent) * DRAWS)]
        found.append(float(2 * ndtr(-height)))
        heights = heights[heights[:, look] < height]
        spent = may
    return tuple(found)


def _courses(planned: Sequence[int]) -> np.ndarray:
    """|z| at each look, where there is no difference, by course."""
    steps = np.sqrt(np.diff(planned, prepend=0))
    random = np.random.default_rng(0)
    sums = np.cumsum(random.standard_normal((DRAWS, len(planned))) * steps, axis=1)
    return np.abs(sums / np.sqrt(planned))
