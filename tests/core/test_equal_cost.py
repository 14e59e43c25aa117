"""Networks of equal cost."""

from __future__ import annotations

import pytest

from ablax.core import Layers, Network, count_parameters, of_equal_cost
from ablax.layers import Dense, Flatten

SHAPE = (2, 2, 1)


def wide(units: int) -> Network:
    """5 n + 3 n + 3 parameters."""
    return Network(Layers(vectorize=Flatten(), hidden=Dense(units)), Layers(), Layers(out=Dense(3)))


def parameters(network: Network) -> int:
    return count_parameters(network, SHAPE)


@pytest.mark.parametrize(
    ("wanted", "units"), [(0, 1), (11, 1), (14, 1), (16, 2), (83, 10), (10**9, 64)]
)
def test_the_nearest_of_all_is_found(wanted, units):
    assert of_equal_cost(wide, parameters, wanted, most=64) == wide(units)


def test_few_are_built():
    built = []
    of_equal_cost(lambda n: built.append(n) or wide(n), parameters, 200)
    assert len(built) < 25
