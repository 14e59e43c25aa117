"""Convolution of video: the window slides over frames, rows and columns."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.initializers import HE_NORMAL, ZEROS, Initializer
from ablax.layers.windows import FieldError, ShapeError, output_size, positive, takes, whole

Triple = tuple[int, int, int]


@takes("N D H W C")
def video_convolution(
    x: Float[Array, "N D H W C"],
    kernel: Float[Array, "d h w i F"],
    *,
    stride: int | Triple = 1,
    padding: str | int | Triple = "SAME",
) -> Float[Array, "N D2 H2 W2 F"]:
    """Slide a kernel over the frames, rows and columns of videos and sum the products.

    y[n, t, r, c, f] = sum over e, a, b, i of
        kernel[e, a, b, i, f] x[n, S t + e - P, S r + a - P, S c + b - P, i]

    with stride S and padding P along each axis; the kernel is not flipped. Along each axis
    D2 = (D - d + 2 P) / S + 1, rounded down. The sum is computed in the type of `x`.

    Args:
        x: Videos of D frames.
        kernel: Weights.
        stride: Steps in time, down and to the right.
        padding: "SAME", "VALID", an integer for all sides, or (time, vertical, horizontal).

    Returns:
        One video a feature.

    Raises:
        FieldError: A stride or padding that no convolution can have.
        ShapeError: The kernel is larger than the padded video, or does not fit the channels.

    References:
        L0, "Desiderata for networks for vision": 3D for video data.

    Example:
        >>> x = jnp.ones((1, 8, 16, 16, 3))
        >>> video_convolution(x, jnp.ones((3, 5, 5, 3, 2)), padding="VALID").shape
        (1, 6, 12, 12, 2)
    """
    if kernel.ndim != 5 or kernel.shape[3] != x.shape[4]:
        raise ShapeError(
            f"video_convolution was given {x.shape} and a kernel of shape {kernel.shape}: expected "
            f"(d h w i F) with i = {x.shape[4]} channels"
        )
    strides, sides = _triple("stride", stride), _sides(padding)
    if isinstance(sides, list):
        length = zip(x.shape[1:4], kernel.shape[:3], strides, sides, strict=True)
        if min(output_size(*along) for along in length) < 1:
            raise ShapeError(
                f"video_convolution was given {x.shape}: a window of {kernel.shape[:3]} with "
                f"padding {padding!r} is larger than the padded video; enlarge the one or shrink "
                "the other"
            )
    axes = ("NDHWC", "DHWIO", "NDHWC")
    return lax.conv_general_dilated(
        x, kernel.astype(x.dtype), strides, sides, dimension_numbers=axes
    )


class VideoConvolution(nn.Module):
    """The module of `video_convolution`, with a bias: d h w C F + F parameters.

    Attributes:
        features: Number of features F.
        window: Frames, rows and columns of the window.
        stride: Steps in time, down and to the right.
        padding: As in `video_convolution`.
        use_bias: Whether to add a bias to each feature.
        kernel_init: How the kernel starts.
        bias_init: How the bias starts.

    Example:
        >>> import jax
        >>> layer = VideoConvolution(features=4, window=(3, 5, 5), stride=(1, 2, 2))
        >>> x = jnp.ones((1, 8, 16, 16, 3))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 8, 4)
    """

    features: int
    window: int | Triple
    stride: int | Triple = 1
    padding: str | int | Triple = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS

    def __post_init__(self) -> None:
        positive("features", self.features)
        _triple("window", self.window)
        _triple("stride", self.stride)
        _sides(self.padding)
        super().__post_init__()

    @takes("N D H W C")
    @nn.compact
    def __call__(self, x: Float[Array, "N D H W C"]) -> Float[Array, "N D2 H2 W2 F"]:
        """Apply `video_convolution`, and add the bias."""
        shape = (*_triple("window", self.window), x.shape[4], self.features)
        if self.has_variable("params", "kernel"):
            kept = self.get_variable("params", "kernel").shape
            if kept != shape:
                raise ShapeError(
                    f"VideoConvolution was given {x.shape}: its kernel, of shape {kept}, takes "
                    f"{kept[3]} channels; initialize it again or feed it those"
                )
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = video_convolution(x, kernel, stride=self.stride, padding=self.padding)
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
            y = y + bias.astype(y.dtype)
        return y


def _triple(name: str, value: object, smallest: int = 1) -> Triple:
    """The same number three times, or the three numbers given."""
    three = value if isinstance(value, tuple) else (value, value, value)
    if len(three) != 3 or not all(whole(number) and number >= smallest for number in three):
        raise FieldError(
            f"{name}={value!r}: expected an integer of at least {smallest}, or three of them: "
            "time, vertical, horizontal"
        )
    return three[0], three[1], three[2]


def _sides(padding: object) -> str | list[tuple[int, int]]:
    """The padding as lax takes it."""
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise FieldError(f'padding={padding!r}: expected "SAME", "VALID" or integers')
        return padding if padding == "SAME" else [(0, 0)] * 3
    return [(side, side) for side in _triple("padding", padding, smallest=0)]
