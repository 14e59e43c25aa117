"""The kernel's gradient as a matrix product: both ways, against XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.jax_versions import double_precision
from ablax.layers import xla_convolution as widened
from ablax.layers.windows import place
from ablax.layers.xla_convolution import plain

# images, kernel, stride, padding, dilation
ROWS = {
    "3x3": ((4, 6, 5, 8), (3, 3, 8, 8), 1, "SAME", 1),
    "a batch of three": ((3, 6, 5, 8), (3, 3, 8, 6), 1, "SAME", 1),
    "5x2": ((1, 8, 6, 6), (5, 2, 6, 4), 1, "VALID", 1),
    "dilated, uneven padding": ((2, 7, 9, 5), (2, 3, 5, 5), 1, ((3, 1), (0, 4)), (2, 3)),
}
RESULTS = {
    "3x3, few features": ((4, 6, 5, 16), (3, 3, 16, 2), 1, "SAME", 1),
    "4x2, dilated": ((3, 9, 7, 9), (4, 2, 9, 1), 1, ((2, 0), (3, 1)), (2, 1)),
}
TAPS = {
    "one channel": ((4, 6, 5, 1), (3, 3, 1, 8), 1, "SAME", 1),
    "7x1": ((2, 9, 4, 6), (7, 1, 6, 8), 1, "SAME", 1),
    "stride 2": ((2, 7, 8, 8), (3, 3, 8, 8), 2, "SAME", 1),
    "stride (3, 1), dilated": ((5, 9, 9, 4), (3, 2, 4, 4), (3, 1), ((0, 3), (2, 0)), (2, 1)),
    "a stride longer than the window": ((2, 9, 9, 3), (2, 2, 3, 3), 3, "VALID", 1),
}


def gradient(form, shape, kernel_shape, *windows):
    placed = place("test", shape, kernel_shape[:2], *windows)
    random = np.random.default_rng(0)
    with double_precision():
        x, kernel = (jnp.asarray(random.normal(size=size)) for size in (shape, kernel_shape))

        @jax.jit
        def both(x, kernel):
            y, back = jax.vjp(lambda kernel: form(x, kernel, placed), kernel)
            return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]

        return both(x, kernel)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*ROWS, *RESULTS, *TAPS])
def test_value_and_gradient_equal_those_of_the_primitive(case):
    case = {**ROWS, **RESULTS, **TAPS}[case]
    for ours, theirs in zip(
        gradient(widened.widened_along_kernel, *case), gradient(plain, *case), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("cases", "ways"), [(ROWS, "rows"), (RESULTS, "results"), (TAPS, "taps")])
def test_the_way_that_lays_out_fewer_numbers_is_taken(cases, ways, monkeypatch):
    taken = []

    def told(way, own):
        def form(*arguments):
            taken.append(way)
            return own(*arguments)

        return form

    names = {"_by_columns_and_rows": "rows", "_by_results": "results", "by_taps": "taps"}
    for name, way in names.items():
        monkeypatch.setattr(widened, name, told(way, getattr(widened, name)))
    for case in cases.values():
        gradient(widened.widened_along_kernel, *case)
    assert set(taken) == {ways}


def test_the_gradient_is_one_product_of_images_and_gradient():
    shape, kernel_shape, *windows = ROWS["3x3"]
    placed = place("test", shape, kernel_shape[:2], *windows)
    x, kernel = jnp.ones(shape), jnp.ones(kernel_shape)

    def back(y):
        return jax.linear_transpose(lambda k: widened.widened_along_kernel(x, k, placed), kernel)(y)

    text = jax.jit(back).lower(plain(x, kernel, placed)).as_text()
    assert text.count("stablehlo.dot_general") == 1
    assert "stablehlo.convolution" not in text
    assert "tensor<4x24x24xf32>" in text  # of each part of the batch: three columns, three rows
    assert "stablehlo.concatenate" not in text
