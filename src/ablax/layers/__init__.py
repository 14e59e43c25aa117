"""Layers: a pure function where there is one, and a thin Linen module with the same name."""

from ablax.layers.activation import (
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    ShiftedSigmoid,
    Sigmoid,
    Tanh,
    leaky_relu,
    prelu,
    relu,
    relu6,
    shifted_sigmoid,
    sigmoid,
    tanh,
)
from ablax.layers.convolution import Convolution, convolution
from ablax.layers.dense import Dense, Vectorize
from ablax.layers.dropout import Dropout, dropout
from ablax.layers.normalization import (
    BatchNormalization,
    LocalResponseNormalization,
    local_response_normalization,
)
from ablax.layers.pooling import (
    AveragePool,
    GlobalAveragePool,
    MaxPool,
    average_pool,
    global_average_pool,
    max_pool,
)
from ablax.layers.windows import FieldError, ShapeError, output_size

__all__ = [
    "AveragePool",
    "BatchNormalization",
    "Convolution",
    "Dense",
    "Dropout",
    "FieldError",
    "GlobalAveragePool",
    "LeakyReLU",
    "LocalResponseNormalization",
    "MaxPool",
    "PReLU",
    "ReLU",
    "ReLU6",
    "ShapeError",
    "ShiftedSigmoid",
    "Sigmoid",
    "Tanh",
    "Vectorize",
    "average_pool",
    "convolution",
    "dropout",
    "global_average_pool",
    "leaky_relu",
    "local_response_normalization",
    "max_pool",
    "output_size",
    "prelu",
    "relu",
    "relu6",
    "shifted_sigmoid",
    "sigmoid",
    "tanh",
]
