"""Convolution of video."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from ablax.layers.convolution import VideoConvolution, convolution, video_convolution
from ablax.layers.windows import FieldError, ShapeError


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_video_convolution_equals_scipys_correlation_summed_over_channels():
    x, kernel = draw(2, 4, 5, 6, 2), draw(2, 3, 2, 2, 3, seed=1)
    y = video_convolution(x, kernel, padding="VALID")
    for n, f in np.ndindex(2, 3):
        expected = sum(
            scipy.signal.correlate(x[n, ..., i], kernel[..., i, f], "valid", "direct")
            for i in range(2)
        )
        np.testing.assert_allclose(y[n, ..., f], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stride", "padding"), [(2, 1), (3, "SAME"), ((1, 2, 1), (0, 2, 1))])
def test_video_convolution_of_a_video_of_one_frame_is_the_convolution_of_the_frame(stride, padding):
    x, kernel = draw(1, 1, 6, 7, 2), draw(1, 3, 3, 2, 3, seed=1)
    flat = stride[1:] if isinstance(stride, tuple) else stride
    sides = padding[1:] if isinstance(padding, tuple) else padding
    if padding == 1:
        padding = (0, 1, 1)
    y = video_convolution(x, kernel, stride=stride, padding=padding)
    expected = convolution(x[:, 0], kernel[0], stride=flat, padding=sides)
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_video_convolution_finds_a_movement_that_no_single_frame_shows():
    to_the_right = np.eye(3, 5, dtype=np.float32).reshape(3, 1, 5, 1)
    videos = jnp.asarray(np.stack([to_the_right, to_the_right[::-1]]))
    kernel = jnp.asarray(to_the_right[:, :, :3, :, None])
    y = video_convolution(videos, kernel, padding="VALID")
    assert y.max(axis=(1, 2, 3, 4)).tolist() == [3, 1]


def test_video_convolution_module_counts_its_parameters_and_places():
    layer = VideoConvolution(features=4, window=(3, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2))
    y, variables = jax.eval_shape(
        layer.init_with_output, jax.random.key(0), jnp.ones((2, 8, 16, 16, 3))
    )
    assert y.shape == (2, 6, 8, 8, 4)
    sizes = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert sizes == 3 * 5 * 5 * 3 * 4 + 4


def test_video_convolution_module_adds_its_bias_to_the_function():
    x, kernel = draw(1, 2, 3, 3, 1), draw(2, 2, 2, 1, 2, seed=1)
    layer = VideoConvolution(features=2, window=2, padding="VALID")
    y = layer.apply({"params": {"kernel": kernel, "bias": jnp.array([1.0, -2.0])}}, x)
    expected = video_convolution(x, kernel, padding="VALID") + jnp.array([1.0, -2.0])
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VideoConvolution(2, (3, 3)), r"window=\(3, 3\): .* three of them"),
        (lambda: VideoConvolution(2, 3, stride=0), "stride=0"),
        (lambda: VideoConvolution(2, 3, padding="same"), "padding='same'"),
        (lambda: VideoConvolution(2, 3, padding=-1), "padding=-1"),
        (lambda: VideoConvolution(0, 3), "features=0"),
    ],
)
def test_a_field_no_video_convolution_can_have_is_refused(make, message):
    with pytest.raises(FieldError, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4, 4, 3), r"expected \(N D H W C\)"),
        ((1, 2, 4, 4, 3), "larger than the padded video"),
    ],
)
def test_a_video_that_does_not_fit_is_refused(shape, message):
    layer = VideoConvolution(2, 3, padding="VALID")
    with pytest.raises(ShapeError, match=message):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.ones(shape))


def test_a_video_of_other_channels_is_refused():
    kept = {"params": {"kernel": jnp.ones((1, 1, 1, 3, 2)), "bias": jnp.ones(2)}}
    with pytest.raises(ShapeError, match="initialize it again"):
        VideoConvolution(2, 1).apply(kept, jnp.ones((1, 2, 2, 2, 4)))
    with pytest.raises(ShapeError, match="i = 4 channels"):
        video_convolution(jnp.ones((1, 2, 2, 2, 4)), jnp.ones((1, 1, 1, 3, 2)))
