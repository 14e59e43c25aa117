from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.extend.core import Primitive
from jax.extend.source_info_util import new_name_stack

from ablax.analysis import cost, data_flow, macs, receptive_fields
from ablax.analysis.jaxpr import Rules, equations, interpret, layer_names

SQUARE = jax.ShapeDtypeStruct((2, 2), jnp.float32)


def square(a):
    with jax.named_scope("square"):
        return a @ a


def names(fn, *args, **options):
    return [e.primitive for e in equations(fn, *args, **options)]


def products(fn, *args):
    """Scope and trips of every matrix product."""
    return [(e.scope, e.trips) for e in equations(fn, *args) if e.primitive == "dot_general"]


def dressed(kind):
    """`square` behind the call that `kind` names."""
    custom_jvp = jax.custom_jvp(square)
    custom_jvp.defjvp(lambda p, t: (square(*p), t[0] @ p[0]))
    custom_vjp = jax.custom_vjp(square)
    custom_vjp.defvjp(lambda a: (square(a), a), lambda a, cotangent: (cotangent @ a,))
    custom_vmap = jax.custom_batching.custom_vmap(square)
    custom_vmap.def_vmap(lambda size, batched, a: (jax.vmap(square)(a), True))
    return {
        "jit": jax.jit(square),
        "jit in jit": jax.jit(lambda a: jax.jit(square)(a)),
        "remat": jax.checkpoint(square),
        "custom_jvp": custom_jvp,
        "custom_vjp": custom_vjp,
        "custom_vmap": custom_vmap,
    }[kind]


DIFFERENTIABLE = ["jit", "jit in jit", "remat", "custom_jvp", "custom_vjp"]


def test_equation_holds_primitive_parameters_shapes_and_scope():
    wide = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    (equation,) = equations(lambda a, b: a @ b, SQUARE, wide)
    assert equation.primitive == "dot_general"
    (contracted, batched) = equation.params["dimension_numbers"]
    assert [list(axes) for axes in contracted] == [[1], [0]]
    assert [list(axes) for axes in batched] == [[], []]
    assert [aval.shape for aval in equation.inputs] == [(2, 2), (2, 5)]
    assert [(aval.shape, aval.dtype) for aval in equation.outputs] == [((2, 5), jnp.float32)]
    assert (equation.scope, equation.trips) == ((), 1)


def test_equations_come_in_the_order_of_execution():
    assert names(lambda a: jnp.sin(jnp.cos(a @ a)), SQUARE) == ["dot_general", "cos", "sin"]


def test_equations_take_shapes_in_pytrees():
    # 10^12 numbers: whoever computes here runs out of memory.
    huge = {"w": jax.ShapeDtypeStruct((10**6, 10**6), jnp.float32)}
    assert names(lambda tree: jnp.sin(tree["w"]), huge) == ["sin"]


@pytest.mark.parametrize("kind", [*DIFFERENTIABLE, "custom_vmap"])
def test_equations_look_into_a_call(kind):
    def fn(a):
        with jax.named_scope("layer"):
            return dressed(kind)(a)

    assert products(fn, SQUARE) == [(("layer", "square"), 1)]


@pytest.mark.parametrize("kind", DIFFERENTIABLE)
def test_equations_of_a_gradient_keep_the_scope_of_the_layer(kind):
    def loss(a):
        with jax.named_scope("layer"):
            return dressed(kind)(a).sum()

    scopes = [scope for scope, _ in products(jax.grad(loss), SQUARE)]
    assert len(scopes) >= 2
    assert {scope[:1] for scope in scopes} == {("layer",)}
    assert {scope[1:] for scope in scopes} <= {("square",), ()}


def test_equations_of_a_gradient_inside_a_scope_name_each_layer_once():
    def loss(a):
        with jax.named_scope("net"), jax.named_scope("layer"):
            return dressed("custom_jvp")(a).sum()

    def step(a):
        with jax.named_scope("step"):
            return jax.grad(loss)(a)

    scopes = {scope for scope, _ in products(jax.jit(step), SQUARE)}
    assert scopes == {("step", "net", "layer", "square"), ("step", "net", "layer")}


def test_equations_recomputed_for_a_gradient_keep_the_scope_of_the_layer():
    def loss(a):
        with jax.named_scope("layer"):
            return jax.checkpoint(lambda a: jnp.sin(square(a)))(a).sum()

    scopes = [scope for scope, _ in products(jax.grad(loss), SQUARE)]
    # forward, recomputed, and two of the gradient
    assert scopes == [("layer", "square")] * 4


def test_layer_names_drop_every_repeat_that_holds_a_mark():
    stack = new_name_stack("step").transform("transpose").extend("step")
    stack = stack.extend("conv").transform("jvp").extend("conv")
    assert layer_names(stack) == ("step", "conv")


def test_equations_keep_a_layer_inside_another_of_the_same_name():
    def loss(a):
        with jax.named_scope("block"), jax.named_scope("block"):
            return (a @ a).sum()

    assert {scope for scope, _ in products(jax.grad(loss), SQUARE)} == {("block", "block")}


def test_equations_split_a_scope_written_with_slashes():
    def fn(a):
        with jax.named_scope("net/layer"):
            return a @ a

    assert products(fn, SQUARE) == [(("net", "layer"), 1)]


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, _=None):
        return nn.Conv(2, (3, 3), name="conv")(x), None


class Net(nn.Module):
    lift: str = ""

    @nn.compact
    def __call__(self, x):
        params = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        block = {
            "": Block,
            "jit": nn.jit(Block),
            "remat": nn.remat(Block),
            "scan": nn.scan(Block, **params, length=3),
        }[self.lift]
        return nn.relu(block(name="conv1")(x, None)[0])


@pytest.mark.parametrize(("lift", "trips"), [("", 1), ("jit", 1), ("remat", 1), ("scan", 3)])
def test_equations_know_the_modules_of_flax(lift, trips):
    x = jax.ShapeDtypeStruct((1, 5, 5, 2), jnp.float32)
    net = Net(lift)
    variables = jax.eval_shape(net.init, jax.random.key(0), x)
    layers = {e.primitive: (e.scope, e.trips) for e in equations(net.apply, variables, x)}
    assert layers["conv_general_dilated"] == (("Net", "conv1", "conv"), trips)
    assert layers["max"] == (("Net",), 1)  # relu is a custom_jvp around a jit

    def loss(variables, x):
        return jax.vmap(net.apply, (None, 0))(variables, x[None]).sum()

    backward = list(equations(jax.grad(loss), variables, x))
    scopes = {e.scope for e in backward if e.primitive == "conv_general_dilated"}
    assert scopes == {("Net", "conv1", "conv")}


def test_scan_multiplies_the_trips_of_its_body():
    def inner(a):
        return lax.scan(lambda b, _: (square(b), None), a, length=5)[0]

    def outer(a):
        return lax.scan(lambda b, _: (inner(b), None), a @ a, length=3)[0]

    assert products(outer, SQUARE) == [((), 1), (("square",), 15)]


def test_while_has_unknown_trips_in_condition_and_body():
    def fn(a):
        once = jnp.sin(a)
        looped = lax.while_loop(lambda b: (b @ b).sum() < 1, square, once)
        return looped @ looped

    assert products(fn, SQUARE) == [((), None), (("square",), None), ((), 1)]


def test_scan_inside_while_has_unknown_trips():
    def body(a):
        return lax.scan(lambda b, _: (square(b), None), a, length=5)[0]

    def fn(a):
        return lax.while_loop(lambda b: b.sum() < 1, body, a)

    assert products(fn, SQUARE) == [(("square",), None)]


def test_cond_gives_every_branch_without_a_weight():
    def fn(a):
        return lax.switch(jnp.int32(1), [jnp.sin, jnp.cos, jnp.tanh], a)

    assert [n for n in names(fn, SQUARE) if n in ("sin", "cos", "tanh")] == ["sin", "cos", "tanh"]


def test_cond_gives_the_branch_of_most_weight():
    def three(a):
        return jnp.sin(jnp.sin(jnp.sin(a)))

    def loop(a):
        return lax.scan(lambda b, _: (jnp.cos(b), None), a, length=5)[0]

    def fn(i, a):
        return lax.switch(i, [jnp.tanh, three, loop], a)

    index = jax.ShapeDtypeStruct((), jnp.int32)

    def found(weight):
        return [n for n in names(fn, index, SQUARE, weight=weight) if n in ("tanh", "sin", "cos")]

    assert found(lambda e: e.primitive == "tanh") == ["tanh"]
    assert found(lambda e: 1) == ["sin"] * 3
    assert found(lambda e: e.trips) == ["cos"]
    assert found(lambda e: 0) == ["tanh"]  # the first of equals


def test_platform_choice_gives_the_default_branch():
    def fn(a):
        return lax.platform_dependent(a, cpu=jnp.sin, cuda=jnp.cos, default=jnp.tanh)

    for weight in (None, lambda e: e.primitive == "sin"):
        found = names(jax.jit(fn), SQUARE, weight=weight)
        assert [n for n in found if n in ("sin", "cos", "tanh")] == ["tanh"]


def test_platform_choice_gives_the_default_branch_of_a_gradient_in_a_scan():
    @jax.custom_jvp
    def product(a, b):
        return lax.platform_dependent(
            a, b, cpu=lambda a, b: (a[:, :, None] * b).sum(1), default=lambda a, b: a @ b
        )

    @product.defjvp
    def _(primals, tangents):
        (a, b), (da, db) = primals, tangents
        return product(a, b), product(da, b) + product(a, db)

    def loss(w, x):
        body = jax.named_scope("layer")(lambda c, _: (product(c, w), None))
        return lax.scan(body, x, length=4)[0].sum()

    # the forward product, and its gradient by input and by weights
    assert products(jax.grad(loss), SQUARE, SQUARE) == [(("layer",), 4)] * 3


OPAQUE = Primitive("opaque_convolution")
OPAQUE.def_abstract_eval(lambda x, kernel: x)


def same_convolution(x, kernel):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_every_analysis_reads_a_platform_choice_as_its_default():
    def network(convolution):
        def fn(kernel, x):
            with jax.named_scope("conv1"):
                x = convolution(x, kernel)
            with jax.named_scope("relu1"):
                x = jax.nn.relu(x)
            with jax.named_scope("loop"):
                return lax.scan(lambda y, k: (convolution(y, k), None), x, kernel[None])[0]

        return fn

    @jax.jit
    def chosen(x, kernel):
        return lax.platform_dependent(x, kernel, cpu=OPAQUE.bind, default=same_convolution)

    args = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((3, 3, 2, 2), (1, 6, 6, 2))]
    for analysis in (cost, data_flow, macs):
        assert analysis(network(chosen), *args) == analysis(network(same_convolution), *args)
    fields = [receptive_fields(network(each), *args) for each in (chosen, same_convolution)]
    seen = [[(row.layer, row.size, row.stride, row.bounded) for row in rows] for rows in fields]
    assert seen[0] == seen[1]
    assert [row.size for row in fields[0]] == [(5, 5), (3, 3), (3, 3), (5, 5)]


def test_platform_choice_without_default_gives_every_branch():
    def fn(a):
        return lax.platform_dependent(a, cpu=jnp.sin, tpu=jnp.cos)

    assert [n for n in names(fn, SQUARE) if n in ("sin", "cos")] == ["sin", "cos"]


def test_reduction_is_a_leaf():
    def fn(a):
        return lax.reduce(a, jnp.float32(0), lambda x, y: x * y + x, (0,))

    assert names(fn, SQUARE) == ["reduce"]


class Lengths(Rules[int]):
    """The number of leaf equations on the longest way to an array; a loop counts once."""

    def constant(self, value):
        return 0

    def leaf(self, equation, operands):
        return [1 + max(operands, default=0)] * len(equation.outputs)

    def choice(self, branches, index, operands):
        return [max(each) for each in zip(*(branch(operands) for branch in branches), strict=True)]

    def scan(self, equation, body, carry, arrays):
        last, stacked = body(carry, arrays)
        return [*last, *stacked]

    def loop(self, equation, condition, body, carry):
        return body(carry)


def test_a_walk_carries_whatever_its_rules_make_of_the_equations():
    def fn(i, a):
        with jax.named_scope("called"):
            b = jax.jit(lambda a: jnp.sin(jnp.cos(a)))(a)
        c = lax.switch(i, [jnp.sin, lambda b: jnp.sin(jnp.sin(jnp.sin(b)))], b)
        d, rows = lax.scan(lambda c, row: (jnp.tanh(c), jnp.exp(jnp.exp(row))), c, a)
        e = lax.while_loop(lambda e: e.sum() < 1, lambda e: jnp.sin(jnp.cos(e)), d)
        return b, c, d, rows, e

    jaxpr = jax.make_jaxpr(fn)(jnp.int32(0), jnp.zeros(2))
    lengths = interpret(jaxpr, Lengths(), [0, 0])
    assert lengths[:1] + lengths[2:] == [2, lengths[1] + 1, 2, lengths[1] + 3]
    assert lengths[1] >= 5  # and the clamp of the index
