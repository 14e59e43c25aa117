"""ONNX's own tests of its operators, as an oracle: inputs, attributes and outputs, case by case.

The `onnx` package makes them. `TABLE` says which layer or function of ours an operator is, or, by
`NoCounterpartError`, why a case has none.
"""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax import layers
from ablax.losses import softmax_cross_entropy

MODULES = (
    *("abs", "add", "averagepool", "batch_normalization", "celu", "clip", "col2im", "concat"),
    *("conv", "convinteger", "convtranspose", "deformconv", "depthtospace", "dropout", "elu"),
    *("flatten", "gelu", "gemm", "globalaveragepool", "globalmaxpool", "groupnormalization", "gru"),
    *("hardmax", "hardsigmoid", "hardswish", "instance_normalization", "layernormalization"),
    *("leakyrelu", "logsoftmax", "lppool", "lrn", "lstm", "matmul", "max", "maxpool", "maxunpool"),
    *("mean", "meanvariancenormalization", "min", "mish", "mul", "negativeloglikelihoodloss"),
    *("pad", "prelu", "qlinearconv", "relu", "resize", "rnn", "selu", "sigmoid", "softmax"),
    *("softmax_cross_entropy_loss", "softplus", "softsign", "spacetodepth", "split", "sum"),
    *("tanh", "thresholdedrelu", "upsample"),
    *("batchnorm", "instancenorm", "softmaxcrossentropy"),  # in older versions
)


LEAST = 200
"""So many cases have a counterpart, in every version of onnx that is tested with."""


class NoCounterpartError(Exception):
    """Why no layer of ours computes a case."""


def need(holds: bool, reason: str) -> None:
    if not holds:
        raise NoCounterpartError(reason)


Inputs = list[Any]
Attributes = dict[str, Any]
Pairs = tuple[tuple[int, int], tuple[int, int]]
TABLE: dict[str, Callable[[Inputs, Attributes], Any]] = {}


def operator(*names: str) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return register


def last(x: Any) -> Any:
    """Channels last: (N C ...) -> (N ... C)."""
    return np.moveaxis(x, 1, -1)


def second(y: Any) -> Any:
    """Channels second again."""
    return jnp.moveaxis(y, -1, 1)


def flat(x: Any) -> Any:
    """An axis of height 1 for signals: (N C W) -> (N C 1 W)."""
    return np.expand_dims(x, 2) if x.ndim == 3 else x


def window(x: Any, reach: tuple[int, ...], a: Attributes) -> dict[str, Any]:
    """Window, stride, padding and dilation of images, or of signals of height 1."""
    missing = 4 - x.ndim
    size = (1,) * missing + x.shape[2:]
    reach = (1,) * missing + tuple(reach)
    stride = (1,) * missing + tuple(a.get("strides", (1,) * (2 - missing)))
    gap = (1,) * missing + tuple(a.get("dilations", (1,) * (2 - missing)))
    given = a.get("pads", (0,) * 2 * (2 - missing))
    half = len(given) // 2
    sides = [(0, 0)] * missing + list(zip(given[:half], given[half:], strict=True))
    auto = a.get("auto_pad", b"NOTSET").decode()
    if auto.startswith("SAME"):
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, s, k, d in zip(size, stride, reach, gap, strict=True)
        ]
        halves = [(total // 2, total - total // 2) for total in totals]
        sides = halves if auto == "SAME_UPPER" else [(high, low) for low, high in halves]
    return {"window": reach, "stride": stride, "padding": tuple(sides), "dilation": gap}


@operator("Conv", "ConvInteger")
def conv(inputs: Inputs, a: Attributes) -> Any:
    x, w, *rest = inputs
    if "ConvInteger" in a["op"]:
        zeros, rest = [*rest, np.zeros(1, np.int32), np.zeros(1, np.int32)], []
        x = x.astype(np.int32) - zeros[0]
        w = w.astype(np.int32) - zeros[1].reshape(-1, *(1,) * (w.ndim - 1))
    need(x.ndim <= 4 or not set(a) - {"op", "kernel_shape", "pads", "strides"}, "3d, with more")
    if x.ndim == 5:
        y = layers.video_convolution(last(x), np.moveaxis(w, (0, 1), (-1, -2)), padding="VALID")
    else:
        where = window(x, w.shape[2:], a)
        where.pop("window")
        kernel = flat(w).transpose(2, 3, 1, 0)
        y = layers.convolution(last(flat(x)), kernel, **where, groups=a.get("group", 1))
    y = second(y if not rest else y + rest[0])
    return y[:, :, 0] if x.ndim == 3 else y


@operator("ConvTranspose")
def conv_transpose(inputs: Inputs, a: Attributes) -> Any:
    """The derivative of a convolution by its images."""
    y, w, *rest = inputs
    need(y.ndim <= 4, "3d, with more")
    missing = 4 - y.ndim
    k = (1,) * missing + w.shape[2:]
    s = (1,) * missing + tuple(a.get("strides", (1,) * (2 - missing)))
    d = (1,) * missing + tuple(a.get("dilations", (1,) * (2 - missing)))
    more = (0,) * missing + tuple(a.get("output_padding", (0,) * (2 - missing)))
    places = (1,) * missing + y.shape[2:]
    full = [
        (n - 1) * st + (r - 1) * g + 1 + m
        for n, st, r, g, m in zip(places, s, k, d, more, strict=True)
    ]
    auto = a.get("auto_pad", b"NOTSET").decode()
    if "output_shape" in a or auto.startswith("SAME"):
        size = tuple(a.get("output_shape", [n * st for n, st in zip(places, s, strict=True)]))[-2:]
        totals = [f - n for f, n in zip(full, size, strict=True)]
        sides = [(t // 2, t - t // 2) for t in totals]
        if auto != "SAME_UPPER":
            sides = [(high, low) for low, high in sides]
    else:
        given = a.get("pads", (0,) * 2 * (2 - missing))
        half = len(given) // 2
        sides = [(0, 0)] * missing + list(zip(given[:half], given[half:], strict=True))
        size = tuple(f - low - high for f, (low, high) in zip(full, sides, strict=True))
    need(min(map(min, sides)) >= 0, "negative padding")
    group = a.get("group", 1)
    kernel = flat(w).transpose(2, 3, 1, 0)
    images = jax.ShapeDtypeStruct((y.shape[0], *size, w.shape[1] * group), jnp.float32)

    def forward(x: Any) -> Any:
        return layers.convolution(
            x, kernel, stride=s, padding=tuple(sides), dilation=d, groups=group
        )

    (x,) = jax.vjp(forward, jnp.zeros(images.shape))[1](jnp.asarray(last(flat(y))))
    x = second(x if not rest else x + rest[0])
    return x[:, :, 0] if y.ndim == 3 else x


@operator("AveragePool", "MaxPool")
def pool(inputs: Inputs, a: Attributes) -> Any:
    (x,) = inputs
    need(x.ndim <= 4, "a pool over volumes")
    need(a["outputs"] == 1, "where the maxima are")
    where = window(x, a["kernel_shape"], a)
    need(set(where.pop("dilation")) == {1}, "a pool with holes")
    where["ceil_mode"] = bool(a.get("ceil_mode", 0))
    if a["op"] == "AveragePool":
        where["count_include_pad"] = bool(a.get("count_include_pad", 0))
        y = layers.average_pool(last(flat(x)), **where)
    else:
        y = layers.max_pool(last(flat(x)), **where)
    return second(y)[:, :, 0] if x.ndim == 3 else second(y)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(inputs: Inputs, a: Attributes) -> Any:
    average = a["op"] == "GlobalAveragePool"
    call = layers.global_average_pool if average else layers.global_max_pool
    return call(last(inputs[0]))[:, :, None, None]


@operator("BatchNormalization")
def batch_normalization(inputs: Inputs, a: Attributes) -> Any:
    x, scale, bias, mean, var = inputs
    layer = layers.BatchNormalization(a.get("momentum", 0.9), a.get("epsilon", 1e-5))
    statistics = {"mean": mean, "var": var}
    variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": statistics}
    if not a.get("training_mode"):
        return second(layer.apply(variables, last(x)))
    y, after = layer.apply(variables, last(x), mutable=["batch_stats"])
    return second(y), after["batch_stats"]["mean"], after["batch_stats"]["var"]


@operator("MeanVarianceNormalization")
def mean_variance(inputs: Inputs, a: Attributes) -> Any:
    need(tuple(a.get("axes", (0, 2, 3))) == (0, 2, 3), "other axes")
    layer = layers.BatchNormalization(epsilon=1e-9, use_scale=False, use_bias=False)
    x = last(inputs[0])
    zeros = np.zeros(x.shape[-1], np.float32)
    given = {"batch_stats": {"mean": zeros, "var": zeros}}
    return second(layer.apply(given, x, mutable=["batch_stats"])[0])


@operator("LRN")
def response(inputs: Inputs, a: Attributes) -> Any:
    size = a["size"]
    alpha = a.get("alpha", 1e-4) / size
    fields = size, alpha, a.get("beta", 0.75), a.get("bias", 1.0)
    return second(layers.local_response_normalization(last(inputs[0]), *fields))


@operator("InstanceNormalization", "GroupNormalization")
def groups(inputs: Inputs, a: Attributes) -> Any:
    x, scale, bias = inputs
    number = a.get("num_groups", x.shape[1])
    return second(layers.group_normalization(last(x), number, scale, bias, a.get("epsilon", 1e-5)))


@operator("LayerNormalization")
def layer_normalization(inputs: Inputs, a: Attributes) -> Any:
    """One group of rows as long as the normalized axes; the other outputs are not ours."""
    x, scale, *bias = inputs
    axis = a.get("axis", -1) % x.ndim
    rows = x.reshape(math.prod(x.shape[:axis]), -1)
    vectors = [each.reshape(-1) for each in (scale, *bias)]
    y = layers.group_normalization(rows, 1, *vectors, epsilon=a.get("epsilon", 1e-5))
    return (y.reshape(x.shape),)


@operator("Gemm")
def gemm(inputs: Inputs, a: Attributes) -> Any:
    x, kernel, *bias = inputs
    x, kernel = x.T if a.get("transA") else x, kernel.T if a.get("transB") else kernel
    need(all(each.size == kernel.shape[1] for each in bias), "a bias that is no vector")
    params = {"kernel": a.get("alpha", 1.0) * kernel}
    if bias:
        params["bias"] = a.get("beta", 1.0) * bias[0].reshape(-1)
    layer = layers.Dense(kernel.shape[1], use_bias=bool(bias))
    return layer.apply({"params": params}, x.astype(np.float32))


@operator("MatMul")
def matmul(inputs: Inputs, a: Attributes) -> Any:
    x, kernel = inputs
    need(kernel.ndim == 2, "a product of two batches")
    return layers.Dense(kernel.shape[1], use_bias=False).apply({"params": {"kernel": kernel}}, x)


@operator("Softmax")
def softmax(inputs: Inputs, a: Attributes) -> Any:
    axis = a.get("axis", -1)
    return jnp.moveaxis(layers.softmax(np.moveaxis(inputs[0], axis, -1)), -1, axis)


@operator("LogSoftmax")
def log_softmax(inputs: Inputs, a: Attributes) -> Any:
    """The average of a single pixel."""
    axis = a.get("axis", -1)
    x = np.moveaxis(inputs[0], axis, -1)
    y = layers.pixel_average(x.reshape(-1, 1, 1, x.shape[-1])).reshape(x.shape)
    return jnp.moveaxis(y, -1, axis)


for name, call in {
    "Abs": layers.absolute,
    "Relu": layers.relu,
    "Sigmoid": layers.sigmoid,
    "Tanh": layers.tanh,
}.items():
    TABLE[name] = lambda inputs, _, call=call: call(inputs[0])
for name, call in {
    "Add": layers.add,
    "Max": layers.maximum,
    "Mean": layers.average,
    "Mul": layers.multiply,
    "Sum": layers.add,
}.items():

    def merged(inputs: Inputs, _: Attributes, call: Any = call) -> Any:
        need(len({each.shape for each in inputs}) == 1, "maps of several shapes")
        return call(*inputs)

    TABLE[name] = merged


@operator("LeakyRelu")
def leaky_relu(inputs: Inputs, a: Attributes) -> Any:
    return layers.leaky_relu(inputs[0], a.get("alpha", 0.01))


@operator("PRelu")
def prelu(inputs: Inputs, a: Attributes) -> Any:
    x, slope = inputs
    if slope.shape == x.shape:  # as many channels as numbers
        return layers.prelu(x.reshape(1, -1), slope.reshape(-1)).reshape(x.shape)
    return layers.prelu(x, np.broadcast_to(slope, x.shape[-1:]))


@operator("Clip")
def clip(inputs: Inputs, a: Attributes) -> Any:
    need([np.size(each) and float(each) for each in inputs[1:]] == [0.0, 6.0], "no such layer")
    return layers.relu6(inputs[0])


@operator("Dropout")
def dropout(inputs: Inputs, a: Attributes) -> Any:
    x, *more = inputs
    rate = float(more[0]) if more else a.get("ratio", 0.5)
    training = len(more) > 1 and bool(more[1])
    need(a["outputs"] == 1, "a mask as a result")
    need(not training or rate == 0, "another generator of random numbers")
    return layers.Dropout(rate).apply({}, x)


@operator("Flatten")
def flatten(inputs: Inputs, a: Attributes) -> Any:
    (x,) = inputs
    need(x.ndim == 4 and a.get("axis", 1) % 4 == 1, "other axes than those of an image")
    return layers.Flatten().apply({}, x)


@operator("DepthToSpace")
def depth_to_space(inputs: Inputs, a: Attributes) -> Any:
    need(a.get("mode", b"DCR") == b"DCR", "channels in the other order")
    return second(layers.channel_to_space(last(inputs[0]), a["blocksize"]))


@operator("SpaceToDepth")
def space_to_depth(inputs: Inputs, a: Attributes) -> Any:
    need(a.get("mode", b"DCR") == b"DCR", "channels in the other order")
    return second(layers.space_to_depth(last(inputs[0]), a["blocksize"]))


@operator("Concat")
def concat(inputs: Inputs, a: Attributes) -> Any:
    return layers.concatenate(*inputs, axis=a["axis"] % inputs[0].ndim)


@operator("Split")
def split(inputs: Inputs, a: Attributes) -> Any:
    x, *lengths = inputs
    axis, parts = a.get("axis", 0), a["outputs"]
    longest = -(-x.shape[axis] // parts)
    equal = [longest] * (parts - 1) + [x.shape[axis] - longest * (parts - 1)]
    return layers.split(x, lengths[0].tolist() if lengths else equal, axis)


@operator("Resize", "Upsample")
def resize(inputs: Inputs, a: Attributes) -> Any:
    x, *rest = inputs
    scales = next((each for each in rest if each.size and each.dtype == np.float32), None)
    sizes = next((each for each in rest if each.dtype == np.int64), None)
    need(x.ndim == 4, "other axes than those of an image")
    axes = [axis % 4 for axis in a.get("axes", range(4))]
    policy = a.get("keep_aspect_ratio_policy", b"stretch")
    need(policy == b"stretch", "a size that keeps the aspect ratio")
    factor = dict.fromkeys(range(4), 1.0)
    if sizes is not None:
        factor |= {at: n / x.shape[at] for at, n in zip(axes, sizes.tolist(), strict=True)}
    else:
        factor |= dict(zip(axes, scales.tolist(), strict=True))
    need(factor[0] == factor[1] == 1, "other axes than those of an image")
    size = [math.floor(factor[at] * x.shape[at] + 1e-6) for at in (2, 3)]
    exact = all(
        abs(n - factor[at] * x.shape[at]) < 1e-4 for n, at in zip(size, (2, 3), strict=True)
    )
    need(exact, "a scale that is not the ratio of the sizes")
    mode = a.get("mode", b"nearest")
    old = a["op"] == "Upsample"
    where = b"asymmetric" if old else a.get("coordinate_transformation_mode", b"half_pixel")
    if mode == b"nearest":
        rounding = b"floor" if old else a.get("nearest_mode", b"round_prefer_floor")
        blocks = all(n % x.shape[at] == 0 for n, at in zip(size, (2, 3), strict=True))
        ties = any(
            (2 * o + 1) * x.shape[at] % (2 * n) == 0
            for n, at in zip(size, (2, 3), strict=True)
            for o in range(n)
        )
        ours = (where, rounding) == (b"half_pixel", b"round_prefer_ceil") or (
            (where, rounding) == (b"half_pixel", b"round_prefer_floor") and not ties
        )
        ours = ours or ((where, rounding) == (b"asymmetric", b"floor") and blocks)
        need(ours, "another nearest pixel")
        y = layers.resize_nearest(last(x), size=size)
    else:
        need(mode in (b"linear", b"bilinear"), "cubic interpolation")
        need(not a.get("antialias"), "smoothed first")
        need(where == b"half_pixel", "other places of the pixels")
        y = layers.resize_bilinear(last(x), size=size)
    return second(y)


@operator("LSTM", "RNN")
def over_time(inputs: Inputs, a: Attributes) -> Any:
    need(a.get("direction", b"forward") == b"forward", "backward in time")
    x, w, r, *rest = inputs
    need(len(rest) < 2, "peepholes, or lengths")
    batch_first = a.get("layout", 0) == 1
    x = x if batch_first else x.swapaxes(0, 1)
    gates = 4 if a["op"] == "LSTM" else 1
    order = [0, 2, 3, 1] if gates == 4 else [0]  # input, output, forget, candidate

    def ours(rows: Any) -> Any:
        runs = np.split(rows, gates, axis=0)
        return np.concatenate([runs[at] for at in order], axis=0).T

    bias = sum(np.split(rest[0][0], 2)) if rest else np.zeros(w.shape[1], np.float32)
    call = layers.lstm if gates == 4 else layers.recurrent
    y = call(x, ours(w[0]), ours(r[0]), ours(bias))
    y = y[0] if gates == 4 else y
    if a["names"][0] == "":
        return (y[:, None, -1] if batch_first else y[None, :, -1],)
    every = y[:, :, None] if batch_first else y.swapaxes(0, 1)[:, None]
    return every, y[:, None, -1] if batch_first else y[None, :, -1]


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(inputs: Inputs, a: Attributes) -> Any:
    scores, labels, *weights = inputs
    need(not weights, "weights of classes")
    need("ignore_index" not in a, "labels that are left out")
    x = last(scores)
    each = softmax_cross_entropy(
        jnp.asarray(x.reshape(-1, x.shape[-1])), jnp.asarray(labels.reshape(-1), jnp.int32)
    )
    how = a.get("reduction", b"mean")
    if how == b"none":
        return (each.reshape(labels.shape),)
    return (each.mean() if how == b"mean" else each.sum(),)


NONE = {
    "activation that the lectures lack": (
        *("Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu", "Softplus"),
        *("Softsign", "ThresholdedRelu", "Hardmax"),
    ),
    "no such layer": (
        *("Col2Im", "DeformConv", "GRU", "LpPool", "MaxUnpool", "Min", "Pad", "QLinearConv"),
        "NegativeLogLikelihoodLoss",
    ),
}
for reason, names in NONE.items():

    def refused(inputs: Inputs, a: Attributes, reason: str = reason) -> Any:
        raise NoCounterpartError(reason)

    TABLE |= dict.fromkeys(names, refused)


def cases() -> list[Any]:
    """ONNX's cases of the operators of `MODULES`, but not those written out in other operators."""
    found = importlib.import_module("onnx.backend.test.case.node")
    with warnings.catch_warnings(action="ignore"):  # theirs, of what NumPy gives up
        there = {each.name for each in pkgutil.iter_modules(found.__path__)}
        for module in sorted(there.intersection(MODULES)):
            importlib.import_module(f"onnx.backend.test.case.node.{module}")
    return [case for case in found._NodeTestCases if "_expanded" not in case.name]


def outcome(case: Any) -> str:
    """ "passes", or why there is no counterpart; a wrong value fails."""
    (node,) = case.model.graph.node
    value = importlib.import_module("onnx.helper").get_attribute_value
    attributes = {each.name: value(each) for each in node.attribute}
    attributes |= {"op": node.op_type, "outputs": len(node.output), "names": list(node.output)}
    for inputs, outputs in case.data_sets:
        try:
            found = jax.jit(functools.partial(TABLE[node.op_type], list(inputs), attributes))()
        except NoCounterpartError as reason:
            return str(reason)
        found = found if isinstance(found, tuple) else (found,)
        for y, expected in zip(found, outputs, strict=False):
            assert y.shape == expected.shape, case.name
            given, right = (np.asarray(each, np.float64) for each in (y, expected))
            bound = {"rtol": case.rtol, "atol": max(case.atol, 1e-6)}
            np.testing.assert_allclose(given, right, **bound, err_msg=case.name)
    return "passes"


@pytest.mark.slow
def test_layers_give_what_onnx_expects_of_its_operators():
    """`pytest -s` shows how many, and why the others have no counterpart."""
    onnx = pytest.importorskip("onnx")  # slow to import, and of the dev extra
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        found = Counter(outcome(case) for case in cases())
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
    print(f"\n{found.total()} cases of onnx {onnx.__version__}")
    for reason, count in found.most_common():
        print(f"{count:5d} {reason}")
    assert found["passes"] >= LEAST
