"""The exclusive gate between a shortcut and what the layers add."""

import jax
import jax.numpy as jnp
import pytest

from ablax.core import Layers, sequential
from ablax.errors import AblaxError
from ablax.layers import Dense, MaxPool, ReLU, Sigmoid
from ablax.layers.blocks import Highway
from ablax.layers.dense import Bias, Scale
from ablax.layers.windows import ShapeError


def test_highway_by_hand_in_value_and_gradient():
    """A gate g(s) = s, a residual 3 x and a shortcut s = 2 x: (1 - s) s + 3 s x."""
    block = Highway(
        residual=Layers(three=Scale(3.0)),
        gate=Layers(itself=sequential()),
        shortcut=Layers(two=Scale(2.0)),
    )
    x = jnp.array([[1.0, -0.5]])
    # (1 - 2 x) 2 x + 2 x 3 x = 2 x + 2 x^2, of slope 2 + 4 x
    assert block.apply({}, x).tolist() == [[4, -0.5]]
    assert jax.grad(lambda x: block.apply({}, x).sum())(x).tolist() == [[6, 0]]


@pytest.mark.parametrize(("bias", "way"), [(-1e4, 2.0), (1e4, 3.0)])
def test_a_gate_that_is_shut_leaves_the_shortcut_and_an_open_one_the_residual(bias, way):
    gate = Layers(offset=Bias(bias), sigmoid=Sigmoid())
    block = Highway(Layers(three=Scale(3.0)), gate, shortcut=Layers(two=Scale(2.0)))
    assert block.apply({}, jnp.array([[1.0, -0.5]])).tolist() == [[way, -0.5 * way]]


def test_what_stands_after_sees_the_sum():
    block = Highway(Layers(h=Scale(1.0)), Layers(g=Scale(0.5)), after=Layers(relu=ReLU()))
    assert block.apply({}, jnp.array([[1.0, -0.5]])).tolist() == [[1, 0]]


@pytest.mark.parametrize("part", ["gate", "shortcut", "after"])
def test_a_name_in_two_parts_is_refused(part):
    parts = {"gate": Layers(gate=Sigmoid()), part: Layers(relu=ReLU())}
    with pytest.raises(AblaxError, match="both sides have relu: rename one"):
        Highway(Layers(relu=ReLU()), **parts)


def test_a_gate_of_another_shape_is_refused_with_all_three():
    block = Highway(Layers(fc=Dense(4)), Layers(gate=Dense(1)))
    with pytest.raises(ShapeError, match=r"\(1, 4\), its shortcut \(1, 4\) and its gate \(1, 1\)"):
        block.init(jax.random.key(0), jnp.ones((1, 4)))
    halved = Highway(Layers(pool=MaxPool(2)), Layers(gate=Sigmoid()))
    with pytest.raises(ShapeError, match=r"its residual has shape \(1, 2, 2, 4\)"):
        halved.apply({}, jnp.ones((1, 4, 4, 4)))
