"""Where a convolution and a pool may stand: wherever `lax.conv` may, with the same result."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ablax.layers import convolution, max_pool
from ablax.layers.windows import place
from ablax.layers.xla_convolution import plain
from ablax.native import library

X = jnp.sin(jnp.arange(2 * 6 * 6 * 4, dtype=jnp.float32)).reshape(2, 6, 6, 4)
KERNEL = jnp.cos(jnp.arange(3 * 3 * 2 * 4, dtype=jnp.float32)).reshape(3, 3, 2, 4)


def ours(x, kernel):
    return jnp.sum(jnp.tanh(max_pool(convolution(x, kernel, groups=2), 2)) ** 2)


def theirs(x, kernel):
    y = plain(x, kernel, place("test", x.shape, (3, 3), 1, "SAME"))
    y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jnp.sum(jnp.tanh(y) ** 2)


def gradients(loss):
    return jax.grad(loss, (0, 1))


def close(one, other):
    for each, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.asarray(each), np.asarray(expected), rtol=1e-4, atol=1e-5)


EXPECTED = jax.jit(gradients(theirs))(X, KERNEL)


def test_without_jit_every_operation_runs_by_itself():
    with jax.disable_jit():
        found = gradients(ours)(X, KERNEL)
    close(found, EXPECTED)


def test_nothing_is_compiled_by_cpp_nor_looked_for_while_a_function_is_traced(monkeypatch):
    def refuse():
        raise AssertionError("looked for the library")

    monkeypatch.setattr(library, "_loaded", refuse)
    jax.clear_caches()
    jaxpr = jax.make_jaxpr(gradients(ours))(X, KERNEL)
    assert "ablax_convolution" in str(jaxpr)
    assert "conv_general_dilated" in str(jaxpr)
    jax.clear_caches()


@pytest.mark.parametrize("platforms", [("cpu",), ("cuda",), ("tpu",), ("cpu", "cuda", "tpu")])
def test_an_exported_program_holds_xlas_convolution_and_no_loop_of_this_machine(platforms):
    exported = export.export(jax.jit(gradients(ours)), platforms=platforms)(X, KERNEL)
    text = exported.mlir_module()
    assert "@ablax" not in text
    assert "custom_call" not in text
    assert len(platforms) > 1 or text.count("stablehlo.convolution(") == 3
    if "cpu" in platforms:
        close(exported.call(X, KERNEL), EXPECTED)


@pytest.mark.parametrize("check", [True, False])
def test_it_may_stand_in_a_shard_map_and_under_the_gradient_of_one(check):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    shards = {"mesh": mesh, "in_specs": (P("data"), P()), "check_vma": check}

    def total(loss):
        return jax.shard_map(
            lambda x, kernel: lax.psum(loss(x, kernel), "data"), out_specs=P(), **shards
        )

    close(jax.jit(gradients(total(ours)))(X, KERNEL), EXPECTED)
    inside = jax.shard_map(
        lambda x, kernel: jax.grad(ours)(x, kernel), out_specs=P("data"), **shards
    )
    close(jax.jit(inside)(X, KERNEL), EXPECTED[0])


def test_axes_may_be_sharded_explicitly():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        x = jax.device_put(X, NamedSharding(mesh, P("data")))
        kernel = jax.device_put(KERNEL, NamedSharding(mesh, P()))
        found = jax.jit(gradients(ours))(x, kernel)
        for each, given in zip(found, (x, kernel), strict=True):
            assert jax.typeof(each).sharding.spec == jax.typeof(given).sharding.spec
        close(found, EXPECTED)


def test_types_of_results_and_gradients_hold_the_axes_of_what_was_given():
    mesh = AbstractMesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.sharding.use_abstract_mesh(mesh):
        batch = jax.ShapeDtypeStruct(
            (8, 6, 6, 4), jnp.float32, sharding=NamedSharding(mesh, P("data"))
        )
        kernel = jax.ShapeDtypeStruct(KERNEL.shape, jnp.float32, sharding=NamedSharding(mesh, P()))
        found = jax.eval_shape(gradients(ours), batch, kernel)
        expected = jax.eval_shape(gradients(theirs), batch, kernel)
        assert [each.sharding.spec for each in found] == [each.sharding.spec for each in expected]


@pytest.mark.parametrize(
    ("shape", "kernel", "groups"),
    [
        ((0, 6, 6, 4), (3, 3, 4, 5), 1),
        ((0, 6, 6, 4), (3, 3, 1, 4), 4),
        ((2, 6, 6, 4), (3, 3, 4, 0), 1),
        ((2, 6, 6, 0), (3, 3, 0, 5), 1),
        ((0, 6, 6, 4), (1, 1, 4, 5), 1),
    ],
)
def test_no_images_no_channels_and_no_features_are_no_error(shape, kernel, groups):
    def all_of_it(x, weights):
        y, back = jax.vjp(lambda *a: convolution(*a, groups=groups), x, weights)
        return y, *back(y)

    y, dx, dweights = jax.jit(all_of_it)(jnp.ones(shape), jnp.ones(kernel))
    assert y.shape == (shape[0], 6, 6, kernel[3])
    assert not jnp.any(y)
    assert (dx.shape, dweights.shape) == (shape, kernel)
    assert not jnp.any(dx)
    assert not jnp.any(dweights)


def test_a_pool_of_no_images_or_channels_is_empty():
    for shape in ((0, 4, 4, 3), (2, 4, 4, 0)):
        gradient = jax.grad(lambda x: jnp.sum(max_pool(x, 2)))(jnp.ones(shape))
        assert gradient.shape == shape


DEVICES = """
import sys
sys.path.insert(0, {folder!r})
import jax, numpy as np
from jax import export, lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from test_layers_as_plain import EXPECTED, KERNEL, X, close, gradients, ours, theirs

assert jax.device_count() == 2
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
for check in (True, False):
    total = jax.shard_map(lambda x, k: lax.psum(ours(x, k), "data"), mesh=mesh,
                          in_specs=(P("data"), P()), out_specs=P(), check_vma=check)
    close(jax.jit(gradients(total))(X, KERNEL), EXPECTED)
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        x = jax.device_put(X, NamedSharding(mesh, P("data")))
        k = jax.device_put(KERNEL, NamedSharding(mesh, P()))
        found = jax.jit(gradients(ours))(x, k)
        assert found[0].sharding.is_equivalent_to(x.sharding, 4), found[0].sharding
        close(found, EXPECTED)
        text = jax.jit(gradients(ours)).lower(x, k).compile().as_text()
        assert "all-reduce" in text and "all-gather" not in text

batch = jax.ShapeDtypeStruct(export.symbolic_shape("n, 6, 6, 4"), X.dtype)
exported = export.export(jax.jit(gradients(ours)))(batch, KERNEL)
close(exported.call(X, KERNEL), EXPECTED)
assert exported.call(X[:1], KERNEL)[0].shape == (1, 6, 6, 4)
print("equal")
"""


@pytest.mark.slow
def test_on_two_devices_gradients_are_those_of_one_and_a_batch_of_any_size_is_exported():
    flags = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", DEVICES.format(folder=str(Path(__file__).parent))],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "XLA_FLAGS": flags},
    )
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
