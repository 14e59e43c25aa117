"""Layers: a pure function where there is one, and a thin Linen module with the same name."""

from ablax.layers.activation import (
    Absolute,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    ShiftedSigmoid,
    Sigmoid,
    Tanh,
    Threshold,
    absolute,
    leaky_relu,
    prelu,
    relu,
    relu6,
    scaled_tanh,
    shifted_sigmoid,
    sigmoid,
    tanh,
    threshold,
)
from ablax.layers.adaptive_pool import AdaptiveAveragePool, adaptive_average_pool
from ablax.layers.auxiliary import Auxiliary
from ablax.layers.codes import (
    Codes,
    CodeScores,
    code_scores,
)
from ablax.layers.contrast import (
    LocalContrastNormalization,
    divide_by_local_deviation,
    local_contrast_normalization,
    subtract_local_mean,
)
from ablax.layers.convolution import Convolution, convolution
from ablax.layers.convolution_matrix import (
    convolution_by_product,
    convolution_matrix,
    filter_matrix,
    input_matrix,
)
from ablax.layers.dense import Dense, Vectorize
from ablax.layers.densely_connected import DenselyConnected
from ablax.layers.discrete_convolution import (
    cross_correlation,
    discrete_convolution,
    moving_average,
)
from ablax.layers.dropout import Dropout, dropout
from ablax.layers.dual_path import DualPath
from ablax.layers.element import (
    Offset,
    Scale,
    add,
    average,
    maximum,
    multiply,
)
from ablax.layers.ensemble import Ensemble, ensemble_of
from ablax.layers.gate import Gate, squeeze_excite
from ablax.layers.group_normalization import GroupNormalization, group_normalization
from ablax.layers.highway import Highway
from ablax.layers.jarrett import filter_bank, jarrett_stage
from ablax.layers.local import LocallyConnected, locally_connected
from ablax.layers.multi_scale import Cell, DenseCell, MultiScale
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
    MinPool,
    average_pool,
    global_average_pool,
    max_pool,
    min_pool,
)
from ablax.layers.pyramid import (
    GlobalMaxPool,
    SpatialPyramidPool,
    global_max_pool,
    spatial_pyramid_pool,
)
from ablax.layers.rearrangement import (
    ChannelShuffle,
    ChannelToSpace,
    Part,
    SpaceToChannel,
    channel_shuffle,
    channel_to_space,
    concatenate,
    space_to_channel,
    split,
)
from ablax.layers.recurrent import (
    LSTM,
    LastMoment,
    Memory,
    Recurrent,
    TimeWindows,
    lstm,
    recurrent,
    time_windows,
)
from ablax.layers.repeat import (
    Repeat,
    fold,
    fold_variables,
)
from ablax.layers.resampling import (
    Bilinear,
    Nearest,
    resize_bilinear,
    resize_nearest,
)
from ablax.layers.residual import (
    PadChannels,
    Residual,
    Subsample,
    without_shortcuts,
)
from ablax.layers.scores import ensemble, stack
from ablax.layers.selection import SelectChannels, select_channels
from ablax.layers.shift import Shift, shift
from ablax.layers.softmax import Softmax, softmax
from ablax.layers.spatial_weights import SpatialWeights, spatial_weights
from ablax.layers.tied import Tied
from ablax.layers.video import VideoConvolution, video_convolution
from ablax.layers.voting import (
    PixelAverage,
    PixelMixture,
    PixelVote,
    pixel_average,
    pixel_mixture,
    pixel_vote,
)
from ablax.layers.windows import (
    FieldError,
    ShapeError,
    output_size,
)

__all__ = [
    "LSTM",
    "Absolute",
    "AdaptiveAveragePool",
    "Auxiliary",
    "AveragePool",
    "BatchNormalization",
    "Bilinear",
    "Cell",
    "ChannelShuffle",
    "ChannelToSpace",
    "CodeScores",
    "Codes",
    "Convolution",
    "Dense",
    "DenseCell",
    "DenselyConnected",
    "Dropout",
    "DualPath",
    "Ensemble",
    "FieldError",
    "Gate",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "Highway",
    "LastMoment",
    "LeakyReLU",
    "LocalContrastNormalization",
    "LocalResponseNormalization",
    "LocallyConnected",
    "MaxPool",
    "Memory",
    "MinPool",
    "MultiScale",
    "Nearest",
    "Offset",
    "PReLU",
    "PadChannels",
    "Parallel",
    "Part",
    "PixelAverage",
    "PixelMixture",
    "PixelVote",
    "ReLU",
    "ReLU6",
    "Recurrent",
    "Repeat",
    "Residual",
    "Scale",
    "ScaledTanh",
    "SelectChannels",
    "ShapeError",
    "Shift",
    "ShiftedSigmoid",
    "Sigmoid",
    "Softmax",
    "SpaceToChannel",
    "SpatialPyramidPool",
    "SpatialWeights",
    "Subsample",
    "Tanh",
    "Threshold",
    "Tied",
    "TimeWindows",
    "Vectorize",
    "VideoConvolution",
    "absolute",
    "adaptive_average_pool",
    "add",
    "average",
    "average_pool",
    "channel_shuffle",
    "channel_to_space",
    "code_scores",
    "concatenate",
    "convolution",
    "convolution_by_product",
    "convolution_matrix",
    "cross_correlation",
    "discrete_convolution",
    "divide_by_local_deviation",
    "dropout",
    "ensemble",
    "ensemble_of",
    "filter_bank",
    "filter_matrix",
    "fold",
    "fold_variables",
    "global_average_pool",
    "global_max_pool",
    "group_normalization",
    "input_matrix",
    "jarrett_stage",
    "leaky_relu",
    "local_contrast_normalization",
    "local_response_normalization",
    "locally_connected",
    "lstm",
    "max_pool",
    "maximum",
    "min_pool",
    "moving_average",
    "multiply",
    "output_size",
    "pixel_average",
    "pixel_mixture",
    "pixel_vote",
    "prelu",
    "recurrent",
    "relu",
    "relu6",
    "resize_bilinear",
    "resize_nearest",
    "scaled_tanh",
    "select_channels",
    "shift",
    "shifted_sigmoid",
    "sigmoid",
    "softmax",
    "space_to_channel",
    "spatial_pyramid_pool",
    "spatial_weights",
    "split",
    "squeeze_excite",
    "stack",
    "subtract_local_mean",
    "tanh",
    "threshold",
    "time_windows",
    "video_convolution",
    "without_shortcuts",
]
