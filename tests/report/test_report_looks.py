"""Looks at a study that adds seeds: all together err no more often than one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ablax.report.looks import looks, wrong_by_look


def test_looks_end_at_the_most_and_grow_by_half():
    assert looks(24) == (5, 8, 12, 18, 24)
    assert looks(5) == (5,)
    assert looks(2) == (2,)
    assert looks(60)[-1] == 60
    assert all(b <= 1.5 * a + 1 for a, b in zip(looks(60), looks(60)[1:], strict=False))


def test_one_look_may_spend_all_and_later_ones_more_than_earlier():
    assert wrong_by_look((24,)) == (0.05,)
    found = wrong_by_look(looks(24))
    assert list(found) == sorted(found)
    assert found[-1] < 0.05 < sum(found)


def test_the_first_look_spends_its_share_exactly():
    assert wrong_by_look((6, 24))[0] == pytest.approx(0.05 * (6 / 24) ** 1.5, rel=0.05)


@pytest.mark.parametrize("most", [8, 24])
def test_t_tests_at_every_look_err_in_5_percent_of_studies(most):
    """Without any difference, in 4,000 studies; naive looks at 5 % each err in more than 10."""
    values = np.random.default_rng(3).standard_normal((4000, most))

    def erred(levels):
        wrong = np.zeros(len(values), bool)
        for n, level in zip(looks(most), levels, strict=True):
            seen = values[:, :n]
            t = np.abs(seen.mean(axis=1)) / (seen.std(axis=1, ddof=1) / math.sqrt(n))
            wrong |= t > stats.t.ppf(1 - level / 2, n - 1)
        return 100 * wrong.mean()

    assert 4 < erred(wrong_by_look(looks(most))) < 6.1
    if most == 24:
        assert erred([0.05] * len(looks(most))) > 10
