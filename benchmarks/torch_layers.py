"""The layers of `layers.py` in PyTorch, channels_last, eager: `python torch_layers.py LAYER PART`.

It waits for lines on its standard input and answers each with the seconds of one round.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from other_python import serve
from torch import Tensor
from torch.nn import functional

REPEATS = 10


def images(*shape: int) -> Tensor:
    """Normal numbers (N H W C), seen as channels_last."""
    return torch.randn(shape).permute(0, 3, 1, 2)


def kernel(height: int, width: int, inputs: int, features: int) -> Tensor:
    """Weights of a convolution."""
    weights = torch.randn(features, inputs, height, width)
    return weights.to(memory_format=torch.channels_last)


def convolution(groups: int = 1, stride: int = 1) -> Callable[..., Tensor]:
    """A convolution with as many positions as "SAME" has."""

    def apply(x: Tensor, weights: Tensor) -> Tensor:
        padding = weights.shape[2] // 2
        return functional.conv2d(x, weights, padding=padding, groups=groups, stride=stride)

    return apply


def channel_shuffle(x: Tensor) -> Tensor:
    """Groups of channels interleaved."""
    return functional.channel_shuffle(x, 4)


def shift(x: Tensor) -> Tensor:
    """Each ninth of the channels moved by one pixel: nine copies into zeros."""
    moved = torch.zeros_like(x)
    part = x.shape[1] // 9
    height, width = x.shape[2:]
    for number in range(9):
        down, right = 1 - number // 3, 1 - number % 3
        own = slice(number * part, (number + 1) * part if number < 8 else x.shape[1])
        target = (
            slice(max(down, 0), height + min(down, 0)),
            slice(max(right, 0), width + min(right, 0)),
        )
        source = (
            slice(max(-down, 0), height - max(down, 0)),
            slice(max(-right, 0), width - max(right, 0)),
        )
        moved[:, own, *target] = x[:, own, *source]
    return moved


def batch_normalization(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """With the statistics of the batch, and a ReLU behind it."""
    channels = x.shape[1]
    kept = torch.zeros(channels), torch.ones(channels)
    return functional.relu(functional.batch_norm(x, *kept, scale, bias, training=True))


def response(x: Tensor) -> Tensor:
    """AlexNet's response normalization; PyTorch divides alpha by the number of channels summed."""
    return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


CASES: dict[str, tuple[Callable[..., Tensor], Callable[[], tuple[Tensor, ...]]]] = {
    "convolution, 3x3, 16 -> 16, 32x32, 128": (
        convolution(),
        lambda: (images(128, 32, 32, 16), kernel(3, 3, 16, 16)),
    ),
    "convolution, 3x3, 64 -> 64, 8x8, 128": (
        convolution(),
        lambda: (images(128, 8, 8, 64), kernel(3, 3, 64, 64)),
    ),
    "convolution, 5x5, 24 -> 64, 16x16, 64": (
        convolution(),
        lambda: (images(64, 16, 16, 24), kernel(5, 5, 24, 64)),
    ),
    "convolution, 3x3/2, 32 -> 64, 16x16, 128": (
        convolution(stride=2),
        lambda: (images(128, 16, 16, 32), kernel(3, 3, 32, 64)),
    ),
    "convolution, 1x1, 64 -> 128, 16x16, 64": (
        convolution(),
        lambda: (images(64, 16, 16, 64), kernel(1, 1, 64, 128)),
    ),
    "convolution, 2 groups, 3x3, 96 -> 96, 8x8, 64": (
        convolution(groups=2),
        lambda: (images(64, 8, 8, 96), kernel(3, 3, 48, 96)),
    ),
    "convolution, depthwise, 3x3, 32, 32x32, 64": (
        convolution(groups=32),
        lambda: (images(64, 32, 32, 32), kernel(3, 3, 1, 32)),
    ),
    "convolution, depthwise, 3x3/2, 64, 16x16, 64": (
        convolution(groups=64, stride=2),
        lambda: (images(64, 16, 16, 64), kernel(3, 3, 1, 64)),
    ),
    "convolution, 8 groups, 3x3, 32 -> 32, 16x16, 16": (
        convolution(groups=8),
        lambda: (images(16, 16, 16, 32), kernel(3, 3, 4, 32)),
    ),
    "convolution, 32 groups, 3x3, 128 -> 128, 8x8, 16": (
        convolution(groups=32),
        lambda: (images(16, 8, 8, 128), kernel(3, 3, 4, 128)),
    ),
    "convolution, 4 groups, 1x1, 64 -> 64, 16x16, 32": (
        convolution(groups=4),
        lambda: (images(32, 16, 16, 64), kernel(1, 1, 16, 64)),
    ),
    "max pool, 3x3/2, 32x32x32, 128": (
        lambda x: functional.max_pool2d(x, 3, 2),
        lambda: (images(128, 32, 32, 32),),
    ),
    "max pool, 2x2/2, 32x32x32, 128": (
        lambda x: functional.max_pool2d(x, 2),
        lambda: (images(128, 32, 32, 32),),
    ),
    "average pool, 3x3/2, 32x32x32, 128": (
        lambda x: functional.avg_pool2d(x, 3, 2),
        lambda: (images(128, 32, 32, 32),),
    ),
    "local response normalization, 16x16x24, 128": (
        response,
        lambda: (images(128, 16, 16, 24),),
    ),
    "batch normalization and ReLU, 16x16x64, 128": (
        batch_normalization,
        lambda: (images(128, 16, 16, 64), torch.ones(64), torch.zeros(64)),
    ),
    "channel shuffle, 4 groups, 16x16x64, 128": (
        channel_shuffle,
        lambda: (images(128, 16, 16, 64),),
    ),
    "shift, 3x3, 16x16x72, 128": (
        shift,
        lambda: (images(128, 16, 16, 72),),
    ),
}
"""Layer -> function, arguments; the keys are those of `layers.cases`."""


def rounds(layer: str, part: str) -> Callable[[], float]:
    """Seconds of the value, or of the gradient of half the sum of squares in all arguments."""
    torch.manual_seed(0)
    function, make = CASES[layer]
    arguments = make()

    def once() -> None:
        if part == "forward":
            with torch.no_grad():
                function(*arguments)
            return
        leaves = [argument.detach().requires_grad_() for argument in arguments]
        torch.autograd.grad(0.5 * function(*leaves).square().sum(), leaves)

    def timed() -> float:
        started = time.perf_counter()
        for _ in range(REPEATS):
            once()
        return (time.perf_counter() - started) / REPEATS

    return timed


if __name__ == "__main__":
    serve(rounds(sys.argv[1], sys.argv[2]))
