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
from ablax.layers.gate import Gate, squeeze_excite
from ablax.layers.normalization import (
    BatchNormalization,
    LocalResponseNormalization,
    local_response_normalization,
)
from ablax.layers.parallel import Parallel
from ablax.layers.pooling import (
    AveragePool,
    GlobalAveragePool,
    MaxPool,
    average_pool,
    global_average_pool,
    max_pool,
)
from ablax.layers.rearrangement import concatenate
from ablax.layers.repeat import Repeat, fold, fold_variables
from ablax.layers.residual import PadChannels, Residual, Subsample
from ablax.layers.windows import FieldError, ShapeError, output_size

__all__ = [
    "AveragePool",
    "BatchNormalization",
    "Convolution",
    "Dense",
    "Dropout",
    "FieldError",
    "Gate",
    "GlobalAveragePool",
    "LeakyReLU",
    "LocalResponseNormalization",
    "MaxPool",
    "PReLU",
    "PadChannels",
    "Parallel",
    "ReLU",
    "ReLU6",
    "Repeat",
    "Residual",
    "ShapeError",
    "ShiftedSigmoid",
    "Sigmoid",
    "Subsample",
    "Tanh",
    "Vectorize",
    "average_pool",
    "concatenate",
    "convolution",
    "dropout",
    "fold",
    "fold_variables",
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
    "squeeze_excite",
    "tanh",
]
