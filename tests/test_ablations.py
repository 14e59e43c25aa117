"""The named ablations: what they leave, and that it starts bit-equal."""

import jax
import jax.numpy as jnp
import pytest

from ablax.core import (
    EditError,
    Layers,
    Network,
    Sequential,
    initialize,
    leaves_by_path,
    paths,
    sequential,
)
from ablax.layers import Dense, ReLU, Residual, without_shortcuts
from ablax.layers.dense import Scale
from ablax.zoo import lenet5


def test_without_shortcuts_by_hand():
    """before, residual and after in a row: relu(3 * 2 x) instead of relu(2 x + 3 * 2 x)."""
    block = Residual(
        Layers(three=Scale(3.0)), before=Layers(two=Scale(2.0)), after=Layers(relu=ReLU())
    )
    network = Network(Layers(), Layers(res2a=block), Layers())
    plain = without_shortcuts(network)
    x = jnp.array([-1.0, 5.0]).reshape(1, 1, 1, 2)
    assert network.apply({}, x).ravel().tolist() == [0, 40]
    assert plain.apply({}, x).ravel().tolist() == [0, 30]
    assert plain.body["res2a"] == sequential(two=Scale(2.0), three=Scale(3.0), relu=ReLU())


def test_without_shortcuts_reaches_blocks_in_chains_and_in_blocks():
    inner = Residual(Layers(fc=Dense(2)), shortcut=Layers(projection=Dense(2)))
    outer = Residual(Layers(inner=inner, relu=ReLU()))
    network = Network(
        Layers(a=sequential(block=outer)),
        Layers(b=Residual(Layers(h=Dense(2)))),
        Layers(c=Dense(2)),
    )
    plain = without_shortcuts(network)
    assert paths(plain) == (
        *("a", "a/block", "a/block/inner", "a/block/inner/fc", "a/block/relu", "b", "b/h", "c"),
    )
    assert plain.tail["a"].layers["block"] == Sequential(
        Layers(inner=sequential(fc=Dense(2)), relu=ReLU())
    )


@pytest.mark.slow
def test_the_plain_network_starts_bit_equal_and_loses_the_projections():
    block = Residual(Layers(fc=Dense(4)), shortcut=Layers(projection=Dense(4)))
    network = Network(Layers(), Layers(res2a=block, res2b=block), Layers(last=Dense(2)))
    plain = without_shortcuts(network)
    shape = (1, 1, 4)
    whole = leaves_by_path(initialize(network, 3, shape)["params"])
    left = leaves_by_path(initialize(plain, 3, shape)["params"])
    assert set(whole) - set(left) == {
        *("res2a/projection/kernel", "res2a/projection/bias"),
        *("res2b/projection/kernel", "res2b/projection/bias"),
    }
    for path, leaf in left.items():
        assert jnp.array_equal(leaf, whole[path]), path


def test_a_network_without_residuals_is_refused():
    with pytest.raises(EditError, match="the network has no Residual whose shortcut could be"):
        without_shortcuts(lenet5())


def test_the_gradient_fades_with_depth_in_the_plain_network_alone():
    """Thirty layers of slope 0.5: 0.5^30 at the input, and 1.5^30 with the shortcuts."""
    halves = Layers({f"b{n}": Residual(Layers(half=Scale(0.5))) for n in range(30)})
    network = Network(Layers(), halves, Layers())

    def slope(network):
        return float(
            jax.grad(lambda x: network.apply({}, x).sum())(jnp.ones((1, 1, 1, 1)))[0, 0, 0, 0]
        )

    assert slope(without_shortcuts(network)) == pytest.approx(0.5**30)
    assert slope(network) == pytest.approx(1.5**30, rel=1e-4)
