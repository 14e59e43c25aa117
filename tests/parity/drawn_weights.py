"""Weights drawn from numpy, seeded by the tensor's name: the same here and beside PyTorch."""

import zlib

import numpy as np


def drawn(name, shape, gain):
    """A tensor of PyTorch's layout that keeps signals of ordinary size in a deep network.

    Kernels are normal with variance gain / fan-in, factors and variances uniform from 0.5 to 1.5,
    biases and means normal with deviation 0.1. All are float32.

    Args:
        name: PyTorch's name of the tensor, which is the seed.
        shape: PyTorch's shape.
        gain: Of the kernels.
    """
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) >= 2:
        fan_in = np.prod(shape[1:])
        values = generator.normal(0, np.sqrt(gain / fan_in), shape)
    elif name.endswith((".bias", ".running_mean")):
        values = generator.normal(0, 0.1, shape)
    else:
        values = generator.uniform(0.5, 1.5, shape)
    return values.astype(np.float32)


def images(image_shape):
    """One image of noise, (1, H, W, C)."""
    return np.random.default_rng(0).normal(0, 1, (1, *image_shape)).astype(np.float32)


def cotangent(classes):
    """The weights of the scores whose weighted sum is differentiated."""
    return np.random.default_rng(1).normal(0, 1, (1, classes)).astype(np.float32)
