"""Layers over time: filters of finite and infinite impulse response, and the LSTM."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ablax.core import sequential
from ablax.layers import Dense, FieldError, ReLU, ShapeError
from ablax.layers.initializers import ORTHOGONAL
from ablax.layers.loops import (
    LSTM,
    LastMoment,
    Memory,
    Recurrent,
    TimeWindows,
    identity,
    lstm,
    recurrent,
    time_windows,
)

ORDER = 5
"""Units, or moments, of the filters: orders of up to 4."""


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def drawn(layer, x):
    """Its variables with numbers of our own, which cost less than the initial ones."""
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: 0.5 * numbers(*leaf.shape, seed=leaf.size), shapes)


def sized(coefficients):
    """With zeros behind, so that all orders share one compiled program."""
    return np.pad(coefficients, (0, ORDER - len(coefficients)))


@jax.jit
def finite(x, b):
    layers = sequential(windows=TimeWindows(ORDER), dense=Dense(1, use_bias=False))
    return layers.apply({"params": {"dense": {"kernel": b[:, None]}}}, x)


@jax.jit
def infinite(x, a, b):
    companion = jnp.eye(ORDER, k=1).at[:, 0].set(jnp.append(-a[1:], 0))
    own = {
        "kernel": jnp.zeros((1, ORDER)).at[0, 0].set(1),
        "recurrent_kernel": companion,
        "bias": jnp.zeros(ORDER),
    }
    layers = sequential(rnn=Recurrent(ORDER, identity), dense=Dense(1, use_bias=False))
    return layers.apply({"params": {"rnn": own, "dense": {"kernel": b[:, None]}}}, x)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(b=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=ORDER), seed=st.integers(0, 99))
def test_a_dense_layer_over_a_window_is_a_finite_impulse_response_filter(b, seed):
    x = numbers(2, 12, 1, seed=seed)
    expected = signal.lfilter(b, [1.0], np.asarray(x), axis=1)
    np.testing.assert_allclose(finite(x, jnp.asarray(sized(b))), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    b=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=ORDER),
    poles=st.lists(st.floats(-0.9, 0.9), max_size=2),
    pairs=st.lists(st.complex_numbers(max_magnitude=0.9), max_size=1),
    seed=st.integers(0, 99),
)
def test_a_linear_recurrent_layer_is_an_infinite_impulse_response_filter(b, poles, pairs, seed):
    x = numbers(2, 12, 1, seed=seed)
    a = np.poly([*poles, *pairs, *np.conj(pairs)]).real
    a = np.atleast_1d(a)
    expected = signal.lfilter(b, a, np.asarray(x), axis=1)
    ours = infinite(x, jnp.asarray(sized(a)), jnp.asarray(sized(b)))
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_recurrent_by_hand_in_value_and_gradient():
    x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)

    def last(g, h, v):
        return recurrent(x, *(jnp.full((1, 1), w) for w in (h, g)), v[None], identity)[0, 2, 0]

    value, gradient = jax.jit(jax.value_and_grad(last, (0, 1, 2)))(0.5, 2.0, jnp.float32(1))
    # y = 3, 6.5, 10.25 for y(t) = y(t-1) / 2 + 2 x(t) + 1
    assert value == 10.25
    assert [float(slope) for slope in gradient] == [6.5 + 0.5 * 3, 3 + 1 + 0.25, 1.75]


def recurrent_by_loops(x, h, g, v):
    y = np.zeros((x.shape[0], x.shape[1] + 1, g.shape[0]))
    for n in range(x.shape[0]):
        for t in range(x.shape[1]):
            y[n, t + 1] = np.tanh(g.T @ y[n, t] + h.T @ x[n, t] + v)
    return y[:, 1:]


def lstm_by_loops(x, h, g, v):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    features = g.shape[0]
    y = np.zeros((x.shape[0], x.shape[1], features))
    for n in range(x.shape[0]):
        output, cell = np.zeros(features), np.zeros(features)
        for t in range(x.shape[1]):
            write, keep, new, read = np.split(g.T @ output + h.T @ x[n, t] + v, 4)
            cell = sigmoid(keep) * cell + sigmoid(write) * np.tanh(new)
            output = sigmoid(read) * np.tanh(cell)
            y[n, t] = output
    return y


@pytest.mark.parametrize(
    ("layer", "loops", "columns"),
    [(Recurrent(4), recurrent_by_loops, 4), (LSTM(4), lstm_by_loops, 16)],
)
def test_layers_over_time_equal_loops(layer, loops, columns):
    x = numbers(2, 6, 3)
    weights = numbers(3, columns, seed=1), numbers(4, columns, seed=2), numbers(columns, seed=3)
    names = "kernel", "recurrent_kernel", "bias"
    ours = jax.jit(layer.apply)({"params": dict(zip(names, weights, strict=True))}, x)
    np.testing.assert_allclose(ours, loops(*map(np.asarray, (x, *weights))), rtol=1e-4, atol=1e-5)


def test_lstm_equals_pytorchs_figures():
    # torch.nn.LSTM(1, 1) of PyTorch 2.13 with weight_ih, weight_hh and bias as below.
    x = jnp.array([1.0, -2.0, 0.5]).reshape(1, 3, 1)
    kernel = jnp.array([[0.5, -1.0, 2.0, 0.3]])
    own = jnp.array([[1.0, 0.2, -0.7, -0.4]])
    y, memory = lstm(x, kernel, own, jnp.array([0.1, 0.6, -0.2, 0.9]))
    np.testing.assert_allclose(y[0, :, 0], [0.41888404, 0.10025163, 0.32786617], rtol=1e-5)
    np.testing.assert_allclose(memory.output[0, 0], y[0, -1, 0])


@pytest.mark.slow
def test_gradients_over_time_equal_those_of_the_unrolled_loop():
    x, weights = numbers(2, 4, 2), [numbers(2, 12), numbers(3, 12, seed=1), numbers(12, seed=2)]

    def unrolled(x, kernel, own, bias):
        output, cell, outputs = jnp.zeros((2, 3)), jnp.zeros((2, 3)), []
        for now in x.swapaxes(0, 1):
            z = output @ own + now @ kernel + bias
            write, keep, new, read = (z[:, 3 * gate : 3 * gate + 3] for gate in range(4))
            cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(write) * jnp.tanh(new)
            output = jax.nn.sigmoid(read) * jnp.tanh(cell)
            outputs.append(output)
        return jnp.stack(outputs, 1)

    def gradient(form):
        def loss(*arguments):
            return jnp.sum(form(*arguments) * numbers(2, 4, 3, seed=3))

        return jax.jit(jax.grad(loss, (0, 1, 2, 3)))(x, *weights)

    for ours, theirs in zip(
        gradient(lambda *arguments: lstm(*arguments)[0]), gradient(unrolled), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_cell_of_an_lstm_passes_gradient_on_as_the_product_of_its_forget_gates():
    x = numbers(1, 7, 2)
    kernel, bias = numbers(2, 4, seed=1), numbers(4, seed=2)

    @jax.jit
    def last(cell):
        before = Memory(jnp.zeros((1, 1)), cell)
        return lstm(x, kernel, jnp.zeros((1, 4)), bias, before)[1].cell[0, 0]

    gates = jax.nn.sigmoid(x[0] @ kernel[:, 1] + bias[1])
    np.testing.assert_allclose(jax.grad(last)(jnp.ones((1, 1)))[0, 0], gates.prod(), rtol=1e-5)


@pytest.mark.slow
def test_layers_over_time_go_on_where_they_stopped():
    x = numbers(2, 6, 3)
    own = numbers(3, 4, seed=1), numbers(4, 4, seed=2), numbers(4, seed=3)

    @jax.jit
    def plain(x):
        first = recurrent(x[:, :2], *own)
        second = recurrent(x[:, 2:], *own, initial=first[:, -1])
        return first, second, recurrent(x, *own)

    first, second, straight = plain(x)
    np.testing.assert_allclose(np.concatenate([first, second], 1), straight, rtol=1e-5, atol=1e-6)
    gates = numbers(3, 8, seed=1), numbers(2, 8, seed=2), numbers(8, seed=3)

    @jax.jit
    def gated(x):
        first, memory = lstm(x[:, :2], *gates)
        second, end = lstm(x[:, 2:], *gates, initial=memory)
        return first, second, end, *lstm(x, *gates)

    first, second, end, straight, after = gated(x)
    np.testing.assert_allclose(np.concatenate([first, second], 1), straight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(end.cell, after.cell, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [Recurrent(2), LSTM(2), TimeWindows(3)])
def test_no_output_depends_on_a_later_input(layer):
    x = numbers(1, 5, 2)
    variables = drawn(layer, x)
    jacobian = jax.jit(jax.jacrev(lambda x: layer.apply(variables, x)[0].sum(-1)))(x)[:, 0]
    felt = np.abs(jacobian).sum(-1) > 0
    reach = 3 if isinstance(layer, TimeWindows) else 5
    np.testing.assert_array_equal(felt, np.tril(np.ones((5, 5))) > np.tri(5, k=-reach))


def test_layers_over_time_have_the_parameters_they_say():
    x = jnp.ones((1, 2, 3))
    layers = sequential(rnn=Recurrent(4), lstm=LSTM(5), last=LastMoment(), relu=ReLU())
    y, variables = jax.eval_shape(layers.init_with_output, jax.random.key(0), x)
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for name, tree in variables["params"].items()
    }
    assert sizes == {"rnn": 3 * 4 + 4**2 + 4, "lstm": 4 * (4 * 5 + 5**2 + 5)}
    assert y.shape == (1, 5)


def test_a_linear_recurrent_layer_keeps_the_length_of_its_state_at_the_start():
    own = ORTHOGONAL(jax.random.key(1), (4, 12))[:, 4:8]
    assert Recurrent(4).recurrent_init == ORTHOGONAL
    apply = jax.jit(functools.partial(recurrent, nonlinearity=identity))
    y = apply(jnp.zeros((1, 50, 2)), jnp.ones((2, 4)), own, jnp.zeros(4), initial=numbers(1, 4))
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), np.linalg.norm(numbers(1, 4)), rtol=1e-4)


def test_layers_over_time_keep_the_type_they_are_given():
    x = numbers(1, 3, 2).astype(jnp.bfloat16)
    for layer in (Recurrent(2), LSTM(2), TimeWindows(2)):
        narrow = jax.tree.map(lambda leaf: leaf.astype(x.dtype), drawn(layer, x))
        assert jax.eval_shape(layer.apply, narrow, x).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Recurrent(0), FieldError, "features=0"),
        (lambda: LSTM(True), FieldError, "features=True"),
        (lambda: TimeWindows(0), FieldError, "window=0"),
        (lambda: time_windows(jnp.ones((2, 3)), 2), ShapeError, r"expected \(N T C\)"),
        (
            lambda: LSTM(2).apply({"params": {"kernel": jnp.ones((3, 8))}}, jnp.ones((1, 4, 2))),
            ShapeError,
            r"\(1, 4, 2\), .* shape \(2, 8\): its kernel has shape \(3, 8\)",
        ),
    ],
)
def test_layers_over_time_refuse_what_does_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()
