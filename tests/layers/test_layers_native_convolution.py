"""The convolution that is oneDNN's: against XLA's, and the laws of a trilinear form."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ablax.layers import convolution, pooling
from ablax.layers.convolution import _kernel_gradient, convolve
from ablax.layers.windows import place
from ablax.layers.xla_convolution import plain

pytestmark = pytest.mark.usefixtures("native")

# channels, features, groups: below a vector, whole vectors, a rest, groups, channels alone
CHANNELS = (
    *((1, 1, 1), (3, 5, 1), (16, 16, 1), (17, 24, 1), (20, 50, 1), (130, 40, 1)),
    *((32, 16, 2), (64, 40, 8), (6, 12, 6), (5, 5, 5), (24, 24, 24)),
)
# height, width, window, stride, padding, dilation
PLACES = {
    "3x3": (7, 9, (3, 3), 1, "SAME", 1),
    "wider than a tile": (3, 33, (3, 3), 1, "SAME", 1),
    "one row": (1, 5, (1, 3), 1, ((0, 0), (1, 1)), 1),
    "tiny maps": (2, 2, (3, 3), 1, "SAME", 1),
    "one result": (3, 3, (3, 3), 1, "VALID", 1),
    "stride 2": (9, 8, (3, 3), 2, "SAME", 1),
    "a stride longer than the window": (9, 9, (2, 2), 3, "VALID", 1),
    "uneven strides, dilated": (11, 10, (3, 2), (3, 1), ((0, 2), (3, 1)), (1, 2)),
    "padding only": (2, 3, (3, 3), 2, ((5, 4), (6, 3)), 2),
}
QUICK = list(zip(PLACES, itertools.cycle(CHANNELS), strict=False))


def pieces(where, channels, features, groups, images=3):
    height, width, window, *slide = where
    random = np.random.default_rng(0)
    shape = (images, height, width, channels)
    x = jnp.asarray(random.normal(size=shape), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(*window, channels // groups, features)), jnp.float32)
    windows = place("test", shape, window, *slide)
    y = jnp.asarray(random.normal(size=(images, *windows.output, features)), jnp.float32)
    return x, kernel, y, windows


def close(ours, theirs):
    scale = float(jnp.abs(theirs).max()) or 1.0
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=5e-6)


def equals_xla(name, sizes):
    x, kernel, gradient, windows = pieces(PLACES[name], *sizes)
    y, back = jax.vjp(lambda x, kernel: convolve(x, kernel, windows), x, kernel)
    expected, expected_back = jax.vjp(lambda x, kernel: plain(x, kernel, windows), x, kernel)
    close(y, expected)
    for ours, theirs in zip(back(gradient), expected_back(gradient), strict=True):
        close(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sizes"), QUICK)
def test_value_and_gradients_equal_xlas(name, sizes):
    equals_xla(name, sizes)


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("sizes", CHANNELS)
def test_value_and_gradients_equal_xlas_for_all_sizes_everywhere(name, sizes):
    if (name, sizes) not in QUICK:
        equals_xla(name, sizes)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(20, 50, 1), (130, 40, 1), (24, 24, 24), (64, 40, 8)])
def test_a_batch_cut_into_many_parts_gives_the_same_sums_as_one_image_after_the_other(sizes):
    x, kernel, gradient, windows = pieces((40, 40, (3, 3), 1, "SAME"), *sizes, images=5)
    y, back = jax.vjp(lambda x, kernel: convolve(x, kernel, windows), x, kernel)
    dx, dkernel = back(gradient)
    alone = []
    for image in range(len(x)):
        one = slice(image, image + 1)
        y1, back1 = jax.vjp(lambda x, kernel: convolve(x, kernel, windows), x[one], kernel)
        dx1, dkernel1 = back1(gradient[one])
        np.testing.assert_array_equal(y[one], y1)
        np.testing.assert_array_equal(dx[one], dx1)
        alone.append(dkernel1)
    close(dkernel, sum(alone))


def test_a_kernel_so_large_that_cores_share_its_gradient_equals_xlas():
    x, kernel, gradient, windows = pieces((5, 6, (3, 3), 1, "SAME"), 130, 136, 1)
    assert kernel.size > 2**17
    ours, theirs = (
        jax.vjp(lambda kernel, form=form: form(x, kernel, windows), kernel)[1](gradient)[0]
        for form in (convolve, plain)
    )
    close(ours, theirs)


@pytest.mark.parametrize("sizes", [(3, 5, 1), (6, 12, 6), (5, 5, 5)])
def test_the_three_are_transposes_of_each_other(sizes):
    x, kernel, gradient, windows = pieces(PLACES["uneven strides, dilated"], *sizes)
    y, back = jax.vjp(lambda x, kernel: convolve(x, kernel, windows), x, kernel)
    dx, dkernel = back(gradient)
    # <y', x * k> = <x', x> = <k', k>
    forms = [jnp.vdot(gradient, y), jnp.vdot(dx, x), jnp.vdot(dkernel, kernel)]
    np.testing.assert_allclose(forms, [forms[0]] * 3, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3, 5, 1), (4, 4, 2), (5, 5, 5)])
def test_derivatives_forward_backward_and_of_second_order_are_those_of_the_differences(sizes):
    x, kernel, _, windows = pieces((4, 5, (3, 2), (2, 1), "SAME"), *sizes, images=2)

    def form(x, kernel):
        return convolve(jnp.asarray(x), jnp.asarray(kernel), windows)

    check_grads(form, (x, kernel), 2, rtol=2e-2, atol=2e-2)


@pytest.mark.slow
def test_it_is_mapped_over_either_argument_or_both():
    x, kernel, _, windows = pieces(PLACES["3x3"], 6, 12, 6)
    xs, kernels = jnp.stack([x, 2 * x + 1]), jnp.stack([kernel, 1 - kernel])
    gradient = jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel, windows) ** 2), (0, 1))
    for axes in ((0, None), (None, 0), (0, 0)):
        given = xs if axes[0] == 0 else x, kernels if axes[1] == 0 else kernel
        mapped = jax.vmap(gradient, axes)(*given)
        for number in range(2):
            one = xs[number] if axes[0] == 0 else x, kernels[number] if axes[1] == 0 else kernel
            for ours, theirs in zip(mapped, gradient(*one), strict=True):
                np.testing.assert_array_equal(ours[number], theirs)


def test_the_same_arguments_give_the_same_bits():
    x, kernel, gradient, windows = pieces((32, 32, (3, 3), 1, "SAME"), 16, 24, 1, images=16)
    back = jax.jit(lambda g: jax.vjp(lambda k: convolve(x, k, windows), kernel)[1](g)[0])
    first = back(gradient)
    for _ in range(20):
        np.testing.assert_array_equal(back(gradient), first)


def test_infinities_and_nans_reach_what_sees_them_alone():
    x, kernel, _, windows = pieces(PLACES["3x3"], 3, 5, 1)
    y = convolve(x.at[0, 3, 4, 1].set(jnp.nan), kernel, windows)
    seen = np.zeros(y.shape, bool)
    seen[0, 2:5, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y), seen)


def test_no_images_give_no_results_and_a_gradient_of_zeros():
    x, kernel, _, windows = pieces(PLACES["3x3"], 3, 5, 1)
    y, back = jax.vjp(lambda kernel: convolve(x[:0], kernel, windows), kernel)
    assert y.shape == (0, 7, 9, 5)
    assert not back(y)[0].any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sizes"), QUICK)
def test_bfloat16_is_summed_in_float32_and_rounded_once(name, sizes):
    *arrays, windows = pieces(PLACES[name], *sizes)
    halves = [array.astype(jnp.bfloat16) for array in arrays]

    def three(x, kernel, gradient):
        y, back = jax.vjp(lambda x, kernel: convolve(x, kernel, windows), x, kernel)
        return y, *back(gradient)

    exact = three(*(half.astype(jnp.float32) for half in halves))
    for ours, theirs in zip(three(*halves), exact, strict=True):
        assert ours.dtype == jnp.bfloat16
        found = np.asarray(ours, np.float32)
        # the order of the sums; what several features give to one channel is added up in bfloat16
        room = (1 / 128 if sizes == (6, 12, 6) else 1e-5) * float(jnp.abs(theirs).max())
        np.testing.assert_array_less(np.abs(found - theirs), np.abs(theirs) / 256 + room + 1e-30)


def test_a_layer_takes_them_for_float32_and_bfloat16():
    x, kernel, _, _ = pieces(PLACES["3x3"], 4, 4, 1)
    text = jax.jit(jax.grad(lambda k: jnp.sum(convolution(x, k) ** 2))).lower(kernel).as_text()
    assert "ablax_convolution" in text
    assert "ablax_kernel_gradient" in text
    assert "ablax_image_gradient" not in text
    for numbers, served in (("bfloat16", True), ("float16", False)):
        half = x.astype(numbers), kernel.astype(numbers)
        text = jax.jit(convolution).lower(*half).as_text()
        assert (f"ablax_convolution_{numbers}" in text) is served
        assert ("ablax" in text) is served


def test_on_an_accelerator_nothing_of_ours_is_called():
    x, kernel, _, _ = pieces(PLACES["3x3"], 6, 6, 6)
    gradient = jax.jit(jax.grad(lambda k: jnp.sum(convolution(x, k, groups=6) ** 2)))
    for platform in ("cuda", "tpu"):
        text = gradient.trace(kernel).lower(lowering_platforms=(platform,)).as_text()
        assert "ablax" not in text
        assert text.count("stablehlo.convolution") == 2


def called(shape, kernel_shape, **options):
    """Which loops the gradient in images and kernel calls."""
    x, kernel = jnp.ones(shape), jnp.ones(kernel_shape)
    loss = jax.grad(lambda x, kernel: jnp.sum(convolution(x, kernel, **options) ** 2), (0, 1))
    text = jax.jit(loss).lower(x, kernel).as_text()
    return {name for name in ("convolution", "image", "kernel") if f"@ablax_{name}" in text}


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "expected"),
    [
        ((1, 8, 8, 16), (3, 3, 16, 32), {}, {"convolution", "image", "kernel"}),
        ((1, 8, 8, 16), (1, 1, 16, 32), {}, {"kernel"}),
        ((1, 8, 8, 512), (1, 1, 512, 512), {}, set()),
        ((1, 8, 8, 16), (1, 1, 4, 32), {"groups": 4}, {"convolution", "image", "kernel"}),
        ((1, 3, 3, 16), (3, 3, 16, 32), {"padding": "VALID"}, {"kernel"}),
    ],
)
def test_where_a_product_of_matrices_is_as_fast_no_loop_is_called(shape, kernel, options, expected):
    assert called(shape, kernel, **options) == expected


GUARDED = """
import ctypes, mmap, sys
import jax, jax.numpy as jnp, numpy as np
from ablax.layers.convolution import convolve
from ablax.layers.windows import place

features, page = int(sys.argv[1]), mmap.PAGESIZE
pages = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
assert not ctypes.CDLL(None).mprotect(ctypes.c_void_p(start), page, 0)  # nobody may read it
y = np.frombuffer(pages, np.float32, features, page).reshape(1, 1, 1, features)
gradient = jax.device_put(y)  # where it lies: aligned as XLA wants it
assert gradient.unsafe_buffer_pointer() == start + page
x, windows = jnp.ones((1, 1, 1, 2)), place("test", (1, 1, 1, 2), (1, 1), 1, "VALID")
kernel = jnp.ones((1, 1, 2, features))
back = jax.jit(lambda y: jax.vjp(lambda k: convolve(x, k, windows), kernel)[1](y))
assert "ablax_kernel_gradient" in back.lower(gradient).as_text()
print(jax.block_until_ready(back(gradient))[0].shape)
"""


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 5, 11, 17, 20, 31, 33])
def test_the_gradient_of_a_kernel_reads_nothing_before_the_first_feature(features):
    command = [sys.executable, "-c", GUARDED, str(features)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.strip() == f"(1, 1, 2, {features})", done.stderr[-2000:]


FITTING = {
    "x": (2, 5, 5, 4),
    "kernel": (3, 3, 2, 6),
    "y": (2, 5, 5, 6),
    "stride": (1, 1),
    "padding": (1, 1),
    "dilation": (1, 1),
}


LOOPS = {
    "ablax_convolution": ("x", "kernel", "y"),
    "ablax_image_gradient": ("y", "kernel", "x"),
    "ablax_kernel_gradient": ("x", "y", "kernel"),
}


def by_hand(target, dtype=jnp.float32, **changed):
    """A call of a loop with these shapes and numbers, which no layer would make."""
    given = FITTING | changed
    one, other, out = LOOPS[target]
    told = {name: np.asarray(given[name], np.int64) for name in ("stride", "padding", "dilation")}
    call = jax.ffi.ffi_call(f"{target}_float32", jax.ShapeDtypeStruct(given[out], jnp.float32))
    return call(jnp.ones(given[one], dtype), jnp.ones(given[other]), **told)


WRONG = {
    "no features": {"kernel": (3, 3, 2, 0)},
    "an empty batch": {"x": (0, 5, 5, 4)},
    "another batch": {"y": (3, 5, 5, 6)},
    "groups that do not divide the channels": {"kernel": (3, 3, 3, 6)},
    "groups that do not divide the features": {"kernel": (3, 3, 2, 5), "y": (2, 5, 5, 5)},
    "other features": {"y": (2, 5, 5, 8)},
    "no stride": {"stride": (1, 0)},
    "a stride for one axis": {"stride": (1,)},
    "a stride back": {"stride": (-2, 1)},
    "no dilation": {"dilation": (0, 1)},
    "padding beyond all numbers": {"padding": (2**62, 0)},
    "a stride beyond all numbers": {"stride": (2**62, 2**62), "y": (2, 1, 1, 6)},
    "pixels that are cut off": {"padding": (-1, 0), "y": (2, 3, 5, 6)},
    "too few results": {"y": (2, 3, 5, 6)},
    "a tap that sees padding alone": {"x": (2, 1, 5, 4), "y": (2, 1, 5, 6)},
}


@pytest.mark.parametrize("name", WRONG)
def test_shapes_that_do_not_fit_are_an_error_of_the_call_and_no_crash(name):
    for target, (_, _, out) in LOOPS.items():
        if 0 in WRONG[name].get(out, ()):
            continue  # no call is made for nothing
        with pytest.raises(jax.errors.JaxRuntimeError, match="these shapes do not fit together"):
            by_hand(target, **WRONG[name])


def test_other_ranks_and_types_are_errors_of_the_call():
    for changed in ({"dtype": jnp.bfloat16}, {"x": (5, 5, 4)}):
        with pytest.raises(jax.errors.JaxRuntimeError, match="Wrong buffer"):
            by_hand("ablax_convolution", **changed)


def test_windows_larger_than_the_image_and_a_long_stride_are_no_error():
    y = by_hand("ablax_convolution", y=(2, 1, 1, 6), stride=(2**14, 2**14), padding=(0, 0))
    np.testing.assert_array_equal(y, np.full((2, 1, 1, 6), 18.0))
    y = by_hand("ablax_convolution", x=(2, 2, 2, 4), y=(2, 2, 2, 6))
    np.testing.assert_array_equal(y, np.full((2, 2, 2, 6), 8.0))


@pytest.mark.parametrize(
    "options",
    [{"stride": 2**15}, {"padding": 2**15, "stride": 2**13}, {"padding": 8, "dilation": 8}],
)
def test_where_pixels_are_far_away_or_a_tap_sees_none_it_is_not_called(options):
    assert called((1, 8, 8, 4), (3, 3, 4, 4), **options) == set()


SHORT = """
import resource
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
one = np.ones(2, np.int64)
told = {"stride": one, "dilation": one, "padding": 0 * one}
out = jax.ShapeDtypeStruct((1, 1, 4096, 4096), jnp.float32)
from ablax.native import why_not
assert not why_not()
call = jax.jit(lambda x, y: jax.ffi.ffi_call("ablax_kernel_gradient_float32", out)(x, y, **told))
x, y = jnp.ones((4, 1, 1, 4096)), jnp.ones((4, 1, 1, 4096))
call(x, y).block_until_ready()
pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages + 100 * 2**20, most))
try:
    call(x, y).block_until_ready()
except (ValueError, jax.errors.JaxRuntimeError) as error:
    print(error.args[0].splitlines()[0])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(float(call(x, y)[0, 0, 5, 7]))
"""


@pytest.mark.slow
def test_too_little_memory_is_an_error_of_the_call():
    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory in use cannot be read")
    command = [sys.executable, "-c", SHORT]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    first, *others = done.stdout.splitlines() or [done.stderr[-2000:]]
    assert first.endswith("ablax: there is not enough memory for this"), done.stderr[-2000:]
    assert others == ["4.0"]  # and the next call has it again


def test_much_working_memory_is_given_back():
    """The gradient of one feature is padded to a whole vector: sixteen times as much memory."""

    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory in use cannot be read")
    x, y = jnp.ones((1, 1, 2**21, 1)), jnp.ones((1, 1, 2**21, 1))
    windows = place("test", x.shape, (1, 1), 1, "VALID")
    out = jax.core.ShapedArray((1, 1, 1, 1), jnp.dtype(jnp.float32))
    before = resident()
    for _ in range(2):
        _kernel_gradient.bind(x, y, windows=windows, out=out).block_until_ready()
    assert resident() - before < 24  # of 32 MB and more


def test_taps_that_do_not_fit_are_an_error_of_the_call():
    x, _, _, windows = pieces(PLACES["3x3"], 3, 5, 1)
    taken = jnp.zeros((3, 4, 4, 3), jnp.uint8)
    for call in (pooling._tangent, pooling._gradient):
        out = jax.core.ShapedArray((2, 7, 7, 7), jnp.dtype(jnp.float32))
        with pytest.raises(jax.errors.JaxRuntimeError, match="these shapes do not fit together"):
            call.bind(x, taken, windows=windows, out=out)


def test_a_channel_that_several_features_see_alone_is_a_loop_over_channels():
    x, kernel, gradient, windows = pieces(PLACES["uneven strides, dilated"], 6, 18, 6)
    back = jax.jit(lambda x, k: jax.vjp(lambda x, k: convolve(x, k, windows), x, k)[1](gradient))
    text = back.lower(x, kernel).as_text()
    assert "tensor<3x11x10x18xf32>" in text  # each channel three times
    assert text.count("@ablax_image_gradient") == text.count("@ablax_kernel_gradient") == 1
    expected = jax.vjp(lambda x, k: plain(x, k, windows), x, kernel)[1](gradient)
    for ours, theirs in zip(back(x, kernel), expected, strict=True):
        close(ours, theirs)
