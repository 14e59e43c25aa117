"""Types of numbers: one rule for all layers and functions, and a table that leaves none out."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax import layers
from ablax.core import Layers, Network, features, initialize, output_gradients
from ablax.layers import (
    LSTM,
    Absolute,
    AdaptiveAveragePool,
    Auxiliary,
    AveragePool,
    BatchNormalization,
    Bias,
    Bilinear,
    Cell,
    ChannelShuffle,
    ChannelSplit,
    ChannelToSpace,
    Codes,
    CodeScores,
    Convolution,
    Dense,
    DenseCell,
    DenselyConnected,
    Dropout,
    DtypeError,
    DualPath,
    Ensemble,
    Flatten,
    Gate,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNormalization,
    Highway,
    LastMoment,
    LeakyReLU,
    LocalContrastNormalization,
    LocallyConnected,
    LocalResponseNormalization,
    MaxPool,
    MinPool,
    MultiScale,
    Nearest,
    PadChannels,
    Parallel,
    PixelAverage,
    PixelMixture,
    PixelVote,
    PReLU,
    Recurrent,
    ReLU,
    ReLU6,
    Repeat,
    Residual,
    ScaledTanh,
    SelectChannels,
    Shift,
    ShiftedSigmoid,
    Sigmoid,
    Softmax,
    SpaceToDepth,
    SpatialPyramidPool,
    SpatialWeights,
    Subsample,
    Tanh,
    Threshold,
    Tied,
    TimeWindows,
    VideoConvolution,
    convolution,
    max_pool,
    min_pool,
)
from ablax.layers.windows import promoted
from ablax.losses import squared_error
from ablax.model import Model, preprocessing_of

IMAGES, TIME, VIDEO, ROWS = (2, 4, 4, 4), (2, 3, 4), (1, 3, 4, 4, 2), (2, 4)
KEY = jax.random.key(3)
CODES = ((1.0, -1.0, 0.5, 2.0), (0.0, 1.0, 1.0, 1.0))


class Entry(NamedTuple):
    """What is called, the shape it takes, and what decides the type of its result."""

    call: Any
    shape: tuple[int, ...] = IMAGES
    learns: bool = False
    """It has parameters, or a function is given them: float32, to which lower floats rise."""
    keeps: bool = False
    """Integers stay integers: it selects, moves or compares them."""


INT, FLOAT = np.int64, np.float32
CONV = Layers(conv=Convolution(4, 3))
LAYERS: dict[str, Entry] = {
    "Absolute": Entry(Absolute()),
    "AdaptiveAveragePool": Entry(AdaptiveAveragePool(INT(2))),
    "Auxiliary": Entry(Auxiliary(Layers(fc=Dense(2))), keeps=True),
    "AveragePool": Entry(AveragePool([2, INT(2)], INT(1), [1, 0])),
    "BatchNormalization": Entry(BatchNormalization(FLOAT(0.5), FLOAT(0.25)), learns=True),
    "Bias": Entry(Bias([FLOAT(0.5)] * 4)),
    "Bilinear": Entry(Bilinear(factor=[INT(2), 1])),
    "Cell": Entry(Cell(INT(1), same=CONV), learns=True),
    "ChannelShuffle": Entry(ChannelShuffle(INT(2)), keeps=True),
    "ChannelSplit": Entry(ChannelSplit(INT(1), INT(2)), keeps=True),
    "ChannelToSpace": Entry(ChannelToSpace(INT(2)), keeps=True),
    "CodeScores": Entry(CodeScores(Codes(CODES)), ROWS),
    "Convolution": Entry(
        Convolution(INT(4), [INT(3), 3], [INT(1), 1], [[1, 0], [0, 1]]), learns=True
    ),
    "Dense": Entry(Dense(INT(3)), learns=True),
    "DenseCell": Entry(DenseCell(INT(1), same=CONV), learns=True),
    "DenselyConnected": Entry(DenselyConnected(CONV), learns=True),
    "Dropout": Entry(Dropout(FLOAT(0.5))),
    "DualPath": Entry(DualPath(INT(2), CONV), learns=True),
    "Ensemble": Entry(Ensemble(Layers(a=Dense(3), b=Dense(3))), ROWS, learns=True),
    "Flatten": Entry(Flatten(), keeps=True),
    "Gate": Entry(Gate(Layers(fc=Dense(4))), learns=True),
    "GlobalAveragePool": Entry(GlobalAveragePool()),
    "GlobalMaxPool": Entry(GlobalMaxPool(), keeps=True),
    "GroupNormalization": Entry(GroupNormalization(INT(2), FLOAT(0.5)), learns=True),
    "Highway": Entry(Highway(CONV, Layers(g=Dense(4), s=Sigmoid())), learns=True),
    "LSTM": Entry(LSTM(INT(3)), TIME, learns=True),
    "LastMoment": Entry(LastMoment(), TIME, keeps=True),
    "LeakyReLU": Entry(LeakyReLU(FLOAT(0.25))),
    "LocalContrastNormalization": Entry(LocalContrastNormalization(INT(3), FLOAT(1), FLOAT(0.5))),
    "LocalResponseNormalization": Entry(
        LocalResponseNormalization(INT(3), FLOAT(1), FLOAT(0.5), FLOAT(1))
    ),
    "LocallyConnected": Entry(LocallyConnected(INT(2), [3, INT(3)], INT(2)), learns=True),
    "MaxPool": Entry(MaxPool([INT(3), 3], INT(1), INT(1)), keeps=True),
    "MinPool": Entry(MinPool(INT(3), [2, INT(1)], [1, INT(1)]), keeps=True),
    "MultiScale": Entry(MultiScale(Layers(a=Cell(1, same=CONV))), learns=True),
    "Nearest": Entry(Nearest(size=[INT(3), 5]), keeps=True),
    "PReLU": Entry(PReLU(), learns=True),
    "PadChannels": Entry(PadChannels(INT(6)), keeps=True),
    "Parallel": Entry(Parallel(Layers(a=Convolution(4, 1), b=MaxPool(3, 1, 1))), learns=True),
    "PixelAverage": Entry(PixelAverage()),
    "PixelMixture": Entry(PixelMixture(), learns=True),
    "PixelVote": Entry(PixelVote()),
    "ReLU": Entry(ReLU(), keeps=True),
    "ReLU6": Entry(ReLU6()),
    "Recurrent": Entry(Recurrent(INT(3)), TIME, learns=True),
    "Repeat": Entry(Repeat(Layers(fc=Dense(4)), INT(2)), learns=True),
    "Residual": Entry(Residual(Layers(pool=MaxPool(3, 1, 1)))),
    "ScaledTanh": Entry(ScaledTanh()),
    "SelectChannels": Entry(SelectChannels([INT(2), 0]), keeps=True),
    "Shift": Entry(Shift(INT(1), INT(1)), keeps=True),
    "ShiftedSigmoid": Entry(ShiftedSigmoid(FLOAT(0.25), FLOAT(2))),
    "Sigmoid": Entry(Sigmoid()),
    "Scale": Entry(layers.Scale(FLOAT(0.5))),
    "Softmax": Entry(Softmax()),
    "SpaceToDepth": Entry(SpaceToDepth(INT(2)), keeps=True),
    "SpatialPyramidPool": Entry(SpatialPyramidPool([2, INT(1)]), keeps=True),
    "SpatialWeights": Entry(SpatialWeights(), learns=True),
    "Subsample": Entry(Subsample([INT(2), 1]), keeps=True),
    "Tanh": Entry(Tanh()),
    "Threshold": Entry(Threshold(FLOAT(2.5)), keeps=True),
    "Tied": Entry(Tied(Layers(fc=Dense(4)), INT(2)), learns=True),
    "TimeWindows": Entry(TimeWindows(INT(2)), TIME, keeps=True),
    "VideoConvolution": Entry(
        VideoConvolution(INT(2), [3, INT(3), 3], INT(1), INT(1)), VIDEO, learns=True
    ),
}


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32) / 4


def of(name: str, *after: Any, **fields: Any) -> Callable[[Any], Any]:
    return lambda x: getattr(layers, name)(x, *after, **fields)


def both(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(layers, name)(x, x)


FUNCTIONS: dict[str, Entry] = {
    "absolute": Entry(of("absolute")),
    "adaptive_average_pool": Entry(of("adaptive_average_pool", INT(3))),
    "add": Entry(both("add")),
    "average": Entry(both("average")),
    "average_pool": Entry(of("average_pool", [INT(3), 2], padding=INT(1), count_include_pad=True)),
    "channel_shuffle": Entry(of("channel_shuffle", INT(2)), keeps=True),
    "channel_to_space": Entry(of("channel_to_space", INT(2)), keeps=True),
    "code_scores": Entry(of("code_scores", np.asarray(CODES, np.float32)), ROWS),
    "concatenate": Entry(both("concatenate"), keeps=True),
    "convolution": Entry(of("convolution", weights(3, 3, 4, 2), stride=[INT(2), 1]), learns=True),
    "convolution_by_product": Entry(
        of("convolution_by_product", weights(3, 3, 2, 2), groups=INT(2)), learns=True
    ),
    "convolution_matrix": Entry(of("convolution_matrix", [INT(4), 4, 4]), (3, 3, 4, 2)),
    "cross_correlation": Entry(of("cross_correlation", weights(2)), (6,), learns=True),
    "discrete_convolution": Entry(
        of("discrete_convolution", weights(2, 2), "full"), (3, 4), learns=True
    ),
    "divide_by_local_deviation": Entry(
        of("divide_by_local_deviation", INT(3), FLOAT(1), FLOAT(0.5))
    ),
    "dropout": Entry(lambda x: layers.dropout(KEY, x, FLOAT(0.5))),
    "ensemble": Entry(both("ensemble"), ROWS),
    "filter_matrix": Entry(of("filter_matrix"), (3, 3, 4, 2)),
    "global_average_pool": Entry(of("global_average_pool")),
    "global_max_pool": Entry(of("global_max_pool"), keeps=True),
    "group_normalization": Entry(
        of("group_normalization", INT(2), weights(4), weights(4)), learns=True
    ),
    "input_matrix": Entry(of("input_matrix", [INT(2), 3])),
    "leaky_relu": Entry(of("leaky_relu", FLOAT(0.25))),
    "local_contrast_normalization": Entry(
        of("local_contrast_normalization", INT(3), FLOAT(1), FLOAT(0.5))
    ),
    "local_response_normalization": Entry(of("local_response_normalization", INT(3), FLOAT(1))),
    "locally_connected": Entry(
        of("locally_connected", weights(2, 2, 3, 3, 4, 2), stride=INT(2)), learns=True
    ),
    "lstm": Entry(
        lambda x: layers.lstm(x, weights(4, 8), weights(2, 8), weights(8))[0], TIME, learns=True
    ),
    "max_pool": Entry(of("max_pool", INT(3), [1, INT(2)], [INT(1), 1]), keeps=True),
    "maximum": Entry(both("maximum"), keeps=True),
    "min_pool": Entry(of("min_pool", [INT(3), 3], INT(1), INT(1)), keeps=True),
    "moving_average": Entry(of("moving_average", INT(3)), (6,)),
    "multiply": Entry(both("multiply")),
    "pixel_average": Entry(of("pixel_average")),
    "pixel_mixture": Entry(of("pixel_mixture", weights(4, 4)), learns=True),
    "pixel_vote": Entry(of("pixel_vote")),
    "prelu": Entry(of("prelu", weights(4)), learns=True),
    "recurrent": Entry(
        of("recurrent", weights(4, 2), weights(2, 2), weights(2)), TIME, learns=True
    ),
    "relu": Entry(of("relu"), keeps=True),
    "relu6": Entry(of("relu6")),
    "resize_bilinear": Entry(of("resize_bilinear", size=[INT(3), 6])),
    "resize_nearest": Entry(of("resize_nearest", size=[INT(3), 6]), keeps=True),
    "scaled_tanh": Entry(of("scaled_tanh")),
    "select_channels": Entry(of("select_channels", [INT(2), 0, 2]), keeps=True),
    "shift": Entry(of("shift", INT(1)), keeps=True),
    "shifted_sigmoid": Entry(of("shifted_sigmoid", FLOAT(0.25), FLOAT(2))),
    "sigmoid": Entry(of("sigmoid")),
    "softmax": Entry(of("softmax")),
    "space_to_depth": Entry(of("space_to_depth", INT(2)), keeps=True),
    "spatial_pyramid_pool": Entry(of("spatial_pyramid_pool", [2, INT(1)]), keeps=True),
    "spatial_weights": Entry(of("spatial_weights", weights(4, 4)), learns=True),
    "split": Entry(lambda x: layers.split(x, [INT(3), 0, 1])[0], keeps=True),
    "stack": Entry(both("stack"), ROWS),
    "subtract_local_mean": Entry(of("subtract_local_mean", INT(3), FLOAT(1))),
    "tanh": Entry(of("tanh")),
    "threshold": Entry(of("threshold", FLOAT(2.5)), keeps=True),
    "time_windows": Entry(of("time_windows", INT(2)), TIME, keeps=True),
    "video_convolution": Entry(of("video_convolution", weights(3, 3, 3, 2, 1)), VIDEO, learns=True),
}
NO_ARRAYS = {
    *("ensemble_of", "filter_bank", "fold", "fold_variables", "jarrett_stage", "output_size"),
    *("squeeze_excite", "without_shortcuts"),
}
ENTRIES = {**LAYERS, **FUNCTIONS}
TYPES = ("uint8", "int32", "bool", "float16", "bfloat16", "float32")


def is_layer(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, nn.Module)


def test_the_table_leaves_no_layer_and_no_function_out():
    exported = {name: thing for name, thing in vars(layers).items() if name[0] != "_"}
    assert {name for name, thing in exported.items() if is_layer(thing)} == set(LAYERS)
    functions = {name for name, thing in exported.items() if inspect.isfunction(thing)}
    assert functions == FUNCTIONS.keys() | NO_ARRAYS


def numbers(entry: Entry) -> np.ndarray:
    """Integers that all types hold, and the sums of their squares too."""
    return np.random.default_rng(0).integers(0, 12, entry.shape)


def initial(entry: Entry, x: Any) -> Any:
    """The variables of a layer, for numbers or what stands for them; a function has none."""
    if not isinstance(entry.call, nn.Module):
        return {}
    return entry.call.init({"params": KEY, "dropout": KEY}, x, *second(entry))


def second(entry: Entry) -> tuple[Any, ...]:
    return (None,) if isinstance(entry.call, Cell) else ()


def applied(entry: Entry, variables: Any, x: Any) -> Any:
    if not isinstance(entry.call, nn.Module):
        return entry.call(x)
    return entry.call.apply(variables, x, *second(entry), rngs={"dropout": KEY})


def type_of(entry: Entry, given: str) -> str:
    """By the rule: what numbers and float32 parameters promote to, float32 for integers."""
    whole = given in ("uint8", "int32", "bool")
    if entry.keeps and whole:
        return "uint8" if given == "bool" else given
    return "float32" if whole or entry.learns else given


@pytest.mark.parametrize("name", ENTRIES)
def test_every_layer_gives_the_type_that_the_rule_says_and_refuses_complex_numbers(name):
    entry = ENTRIES[name]
    for given in TYPES:
        x = jax.ShapeDtypeStruct(entry.shape, jnp.dtype(given))
        variables = jax.eval_shape(functools.partial(initial, entry), x)
        y = jax.eval_shape(functools.partial(applied, entry), variables, x)
        assert y.dtype == type_of(entry, given), given
    wide = numbers(entry).astype(np.float64)  # without x64 JAX has no such type
    assert jax.eval_shape(lambda v: applied(entry, v, wide), variables).dtype == jnp.float32
    with pytest.raises(DtypeError, match="numbers of type complex64: expected integers or floats"):
        jax.eval_shape(lambda v: applied(entry, v, wide.astype(np.complex64)), variables)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "uint16"])
@pytest.mark.parametrize("shape", [(1, 5, 6, 2), (2, 3, 3, 1)])
def test_pools_of_integers_are_right_up_to_the_ends_of_their_range_and_at_the_padding(kind, shape):
    ends = np.iinfo(kind)
    x = np.random.default_rng(0).integers(ends.min, ends.max, shape, kind, endpoint=True)
    x[0, 0, 0], x[0, -1, -1] = ends.min, ends.max
    for pool, ours, fill in ((np.max, max_pool, ends.min), (np.min, min_pool, ends.max)):
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        y = ours(x, 3, 1, padding=1)
        assert y.dtype == kind
        np.testing.assert_array_equal(y, pool(windows, axis=(-2, -1)))


def test_weights_of_lower_precision_decide_for_integers_as_in_flax():
    x = np.full((1, 2, 2, 1), 200, np.uint8)
    half = jnp.full((1, 1, 1, 1), 0.5, jnp.bfloat16)
    for given, weight, kind in (
        (x, half, "bfloat16"),
        (x.astype(np.int32), half, "bfloat16"),
        (x.astype(np.float32), half, "float32"),
        (x.astype(np.float16), half.astype(jnp.float32), "float32"),
        (x.astype(np.float16), half, "float32"),
    ):
        y = convolution(given, weight)
        assert (y.dtype, y[0, 0, 0, 0]) == (kind, 100)
        assert (
            y.dtype
            == nn.Dense(1, use_bias=False).apply({"params": {"kernel": weight[0, 0]}}, given).dtype
        )


def test_numbers_of_other_types_are_refused_by_name():
    remedy = {
        jnp.float8_e4m3fn: r"astype\(jnp.float32\)",
        jnp.complex64: "real part or their modulus",
    }
    for kind, what in remedy.items():
        with pytest.raises(DtypeError, match=f"ReLU was given numbers of type .*; .*{what}"):
            ReLU().apply({}, jnp.ones(3, kind))
    with pytest.raises(DtypeError, match="convolution was given numbers of type complex128"):
        convolution(np.ones((1, 2, 2, 1), complex), weights(1, 1, 1, 1))
    with pytest.raises(DtypeError, match="a layer was given numbers of type complex64"):
        promoted(jnp.ones(2), jnp.ones(2, jnp.complex64))


@pytest.fixture(scope="module")
def small():
    network = Network(
        Layers(pool=MaxPool(2), conv=Convolution(3, 3)),
        Layers(block=Residual(Layers(conv=Convolution(3, 3)), after=Layers(relu=ReLU()))),
        Layers(average=GlobalAveragePool(), scores=Dense(4)),
    )
    return network, initialize(network, 0, (6, 6, 3))


def test_networks_take_images_of_bytes_from_numpy(small):
    network, variables = small
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), np.uint8)
    wide = jnp.asarray(images, jnp.float32)
    np.testing.assert_array_equal(network.apply(variables, images), network.apply(variables, wide))
    at = ["conv", "block", "scores"]
    for name, found in features(network, variables, images, at).items():
        right = features(network, variables, wide, [name])[name]
        np.testing.assert_allclose(found, right, rtol=1e-6)
    model = Model("small", network, variables, preprocessing_of((6, 6, 3)), (), "untrained")
    np.testing.assert_allclose(model.apply(images), model.apply(wide), rtol=1e-6)
    assert model.scores(images.astype(np.int32)).shape == (2, 4)


def test_gradients_by_outputs_take_images_of_bytes(small):
    network, variables = small
    images = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3), np.uint8)
    found = [
        output_gradients(network, variables, x, lambda scores: scores.sum(), ["pool", "conv"])
        for x in (images, jnp.asarray(images, jnp.float32))
    ]
    for name, slope in found[0].items():
        np.testing.assert_allclose(slope, found[1][name], rtol=1e-6)


def test_a_loop_takes_what_its_layers_rise_to():
    for loop in (Repeat(Layers(fc=Dense(4)), 2), Tied(Layers(fc=Dense(4)), 2)):
        x = jnp.ones(ROWS, jnp.float16)
        variables = jax.eval_shape(loop.init, KEY, x)
        low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), variables)
        for given, kind in ((variables, jnp.float32), (low, jnp.float32)):
            assert jax.eval_shape(loop.apply, given, x).dtype == kind
        assert jax.eval_shape(loop.apply, low, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_a_sum_of_bytes_does_not_wrap():
    x = np.full((1, 1, 1, 1), 200, np.uint8)
    assert Residual(Layers(pool=MaxPool(1))).apply({}, x) == 400
    assert squared_error(jnp.uint8([[3]]), jnp.uint8([[5]])) == 2


FIELDS = {
    f"{name}.{field}": getattr(entry.call, field)
    for name, entry in LAYERS.items()
    for field in inspect.signature(type(entry.call)).parameters
    if field not in ("parent", "name")
}


def test_layers_hold_numbers_of_python_alone_so_that_equal_ones_are_equal():
    def all_of(value):
        return (
            [each for part in value for each in all_of(part)] if type(value) is tuple else [value]
        )

    kinds = {type(each) for value in FIELDS.values() for each in all_of(value)}
    assert not {kind for kind in kinds if issubclass(kind, (np.generic, list))}
    assert {int, float} <= kinds
    lists, tuples = Convolution(np.int64(4), [3, np.int32(5)]), Convolution(4, (3, 5))
    assert (lists, hash(lists), repr(lists)) == (tuples, hash(tuples), repr(tuples))


@pytest.fixture
def cheaply():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def function_of(name: str) -> str:
    """The function that a module of this name would be the module of."""
    return re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", name).lower()


OWN = [name for name in ENTRIES if name in FUNCTIONS or function_of(name) not in FUNCTIONS]
"""All but the modules of a function."""


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_every_layer_gives_the_value_of_the_same_numbers_in_float32(cheaply, name):
    entry = ENTRIES[name]
    x, random = numbers(entry), np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: random.uniform(0.2, 1, leaf.shape).astype(leaf.dtype),
        jax.eval_shape(lambda: initial(entry, x.astype(np.float32))),
    )
    with jax.enable_x64(True):
        given = [*(kind for kind in TYPES if kind != "bool"), "float64"]
        made = jax.jit(lambda v: {kind: applied(entry, v, x.astype(kind)) for kind in given})
        found = made(variables)
    right = np.asarray(found.pop("float64"))
    assert right.dtype == np.float64
    for kind, y in found.items():
        rounding = float(jnp.finfo(y.dtype).eps) if "float" in str(y.dtype) else 0
        bound = 4 * rounding * np.abs(right).max()
        np.testing.assert_allclose(np.asarray(y, np.float64), right, atol=bound, err_msg=kind)
