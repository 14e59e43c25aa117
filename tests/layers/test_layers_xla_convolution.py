"""Convolution and its transposes as a CPU computes them without oneDNN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import ShapedArray

from ablax.analysis.jax_versions import double_precision
from ablax.layers import xla_convolution as xla
from ablax.layers.windows import place

# images, kernel, stride, padding, dilation
DENSE = {
    "3x3": ((4, 6, 5, 8), (3, 3, 8, 6), 1, "SAME", 1),
    "one channel": ((4, 6, 5, 1), (3, 3, 1, 8), 1, "SAME", 1),
    "stride 2": ((2, 7, 8, 8), (3, 3, 8, 8), 2, "SAME", 1),
    "dilated, uneven padding": ((2, 7, 9, 5), (2, 3, 5, 5), 1, ((3, 1), (0, 4)), (2, 3)),
    "stride (3, 1), dilated": ((5, 9, 9, 4), (3, 2, 4, 4), (3, 1), ((0, 3), (2, 0)), (2, 1)),
    "a stride longer than the window": ((2, 9, 9, 3), (2, 2, 3, 3), 3, "VALID", 1),
    "a window larger than the image": ((2, 2, 2, 3), (3, 3, 3, 4), 1, "SAME", 1),
    "padding only": ((2, 2, 3, 4), (3, 3, 4, 4), 2, ((5, 4), (6, 3)), 2),
}
PRODUCTS = {
    "1x1": ((2, 4, 5, 6), (1, 1, 6, 4), 1, "SAME", 1),
    "1x1, stride 2, padded": ((2, 4, 5, 6), (1, 1, 6, 4), 2, 1, 1),
    "one result": ((2, 5, 5, 4), (5, 5, 4, 6), 1, "VALID", 1),
    "three results": ((2, 1, 5, 4), (1, 3, 4, 6), 1, "VALID", 1),
}
ALONE = {
    "alone": ((3, 7, 6, 6), (3, 3, 1, 6), 1, "SAME", 1),
    "alone, stride (2, 1), dilated": ((2, 9, 6, 4), (3, 2, 1, 4), (2, 1), "SAME", (1, 2)),
    "alone, 2 features a channel": ((2, 7, 6, 3), (3, 3, 1, 6), 2, ((2, 0), (1, 1)), 1),
    "alone, padding only": ((2, 2, 3, 4), (3, 3, 1, 4), 2, ((5, 4), (6, 3)), 2),
}
GROUPED = {
    "3 groups": ((2, 7, 6, 6), (3, 3, 2, 9), 1, "SAME", 1),
    "20 groups in 5 blocks": ((2, 5, 6, 80), (3, 2, 4, 80), (1, 2), 1, 1),
    "4 groups, 1x1": ((2, 7, 6, 64), (1, 1, 16, 64), 2, 1, 1),
    "alone, a large window": ((1, 10, 10, 4), (9, 9, 1, 4), 1, "SAME", 1),
}
CASES = {**DENSE, **PRODUCTS, **ALONE, **GROUPED}
FEW = ("stride 2", "one result", "alone", "3 groups")


def pieces(name):
    shape, kernel_shape, *slide = CASES[name]
    windows = place("test", shape, kernel_shape[:2], *slide)
    random = np.random.default_rng(0)
    sizes = (shape, kernel_shape, (shape[0], *windows.output, kernel_shape[3]))
    return *(random.normal(size=size) for size in sizes), windows


def equal_plain(name):
    with double_precision():
        *arrays, windows = pieces(name)
        x, kernel, y = map(jnp.asarray, arrays)
        images, weights = (ShapedArray(each.shape, each.dtype) for each in (x, kernel))

        @jax.jit
        def both(x, kernel, y):
            return (
                (xla.value(x, kernel, windows), xla.plain(x, kernel, windows)),
                (
                    xla.image_gradient(y, kernel, windows, images),
                    xla.plain_image_gradient(y, kernel, windows, images),
                ),
                (
                    xla.kernel_gradient(x, y, windows, weights),
                    xla.plain_kernel_gradient(x, y, windows, weights),
                ),
            )

        for ours, theirs in both(x, kernel, y):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in FEW])
def test_value_and_gradients_equal_those_of_the_primitive(name):
    equal_plain(name)


@pytest.mark.parametrize("name", FEW)
def test_each_way_of_writing_them_equals_the_primitive(name):
    equal_plain(name)


@pytest.mark.parametrize("name", ["3x3", "stride 2", "a window larger than the image"])
def test_dense_gradients_are_forward_convolutions_of_turned_arrays(name):
    """Of axes in the order that XLA's CPU compiler has a fast loop for, which a barrier keeps."""
    x, kernel, y, windows = (
        jnp.float32(piece) if isinstance(piece, np.ndarray) else piece for piece in pieces(name)
    )
    for function, given, like in (
        (xla.image_gradient, (y, kernel), x),
        (xla.kernel_gradient, (x, y), kernel),
    ):
        out = ShapedArray(like.shape, like.dtype)
        lowered = jax.jit(lambda *a, f=function, out=out: f(*a, windows, out)).lower(*given)
        (line,) = (each for each in lowered.as_text().splitlines() if "convolution(" in each)
        assert "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line
        assert "optimization_barrier" in lowered.as_text()


def test_neighboring_groups_are_merged_into_blocks():
    x, kernel, _, windows = pieces("20 groups in 5 blocks")
    assert xla.number_of_blocks(80, 80, 20) == 5
    text = jax.jit(xla.value, static_argnums=2).lower(x, kernel, windows).as_text()
    assert text.count("feature_group_count = 1 ") == text.count("stablehlo.convolution(") == 1
