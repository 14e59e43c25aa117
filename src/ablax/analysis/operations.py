"""What a few steps that belong together are called: convolution 3x3/2, max pool, softmax, ..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ablax.analysis.flow import ROOTS, Step, Value

Family = Literal[
    "convolution",
    "dense",
    "product",
    "pool",
    "response normalization",
    "normalization",
    "softmax",
    "nonlinearity",
    "elementwise",
    "reduction",
    "rearrangement",
    "block",
    "unread",
]

PRODUCTS = frozenset({"conv_general_dilated", "dot_general"})
# Numbers go to another place and stay what they are.
MOVES = frozenset(
    {
        *("transpose", "concatenate", "pad", "slice", "split", "gather", "rev", "dynamic_slice"),
        *("dynamic_update_slice", "select_and_gather_add", "scatter", "squeeze", "tile", "iota"),
        *("platform_index", "copy", "reshape"),
    }
)
_COMPARISONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})
_ARITHMETIC = {"add": "add", "add_any": "add", "sub": "subtract", "mul": "multiply", "max": "max"}


@dataclass(frozen=True)
class Operation:
    """What a layer does.

    Attributes:
        name: For a reader, such as `"convolution 3x3/2"`.
        family: The kind of law by which it is counted.
        window: Height and width of the window (of the channels, for a response normalization).
        stride: Its steps.
        padding: Rows and columns added in total, above and below together.
        groups: Of a convolution.
        features: Output channels of a convolution or a dense layer.
    """

    name: str
    family: Family
    window: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    groups: int = 1
    features: int = 0


def operation(steps: Sequence[Step], outside: Sequence[Value]) -> Operation:
    """Name what a few steps do together.

    Args:
        steps: Those of one layer, in order; at most one product among them.
        outside: The activations that they read and have not written.

    Returns:
        The operation.
    """
    for step in steps:
        if step.equation.primitive == "conv_general_dilated":
            return _convolution(step)
        if step.equation.primitive == "dot_general":
            return _product(step)
    names = {step.equation.primitive for step in steps}
    if names <= MOVES | {"neg"}:
        return _move(names)
    window = next((s for s in steps if s.equation.primitive.startswith("reduce_window")), None)
    if window is not None:
        return _windows(window, names)
    if "exp" in names and {"reduce_sum", "reduce_max"} & names:
        return Operation("softmax", "softmax")
    if names & ROOTS:
        return Operation(_normalization(steps), "normalization")
    return _reduction(steps) or _elementwise(steps, names, outside)


def _convolution(step: Step) -> Operation:
    params = step.equation.params
    _, channels, *places = params["dimension_numbers"].rhs_spec
    kernel = step.equation.inputs[1].shape
    window = tuple(kernel[axis] for axis in places)
    groups, gaps = params["feature_group_count"], tuple(params["lhs_dilation"])
    features = kernel[params["dimension_numbers"].rhs_spec[0]]
    stride = tuple(params["window_strides"])
    name = "convolution"
    if any(gap > 1 for gap in gaps):
        name, stride = "transposed convolution", gaps
    if groups > 1 and kernel[channels] == 1:
        name = "depthwise" if name == "convolution" else "transposed depthwise"
    name += _placed(window, stride)
    if groups > 1 and kernel[channels] > 1:
        name += f", {groups} groups"
    if any(gap > 1 for gap in params["rhs_dilation"]):
        name += f", dilation {_sizes(tuple(params['rhs_dilation']))}"
    padding = tuple(int(low + high) for low, high in params["padding"])
    return Operation(name, "convolution", window, stride, padding, groups, features)


def _product(step: Step) -> Operation:
    if {value.kind for value in step.reads} != {"activation", "parameter"}:
        return Operation("matrix product", "product")
    place = [value.kind for value in step.reads].index("parameter")
    (contracted, batched) = step.equation.params["dimension_numbers"]
    weights = step.equation.inputs[place].shape
    summed = {*contracted[place], *batched[place]}
    features = math.prod(size for axis, size in enumerate(weights) if axis not in summed)
    return Operation("dense", "dense", features=features)


def _windows(step: Step, names: set[str]) -> Operation:
    params = step.equation.params
    window, stride = tuple(params["window_dimensions"]), tuple(params["window_strides"])
    padding = tuple(int(low + high) for low, high in params["padding"])
    if len(window) > 1 and all(size == 1 for size in window[:-1]) and names & (ROOTS | {"div"}):
        return Operation("response normalization", "response normalization", window[-1:])
    # the axes of images and channels, where the window has one place
    axes = [axis for axis in range(len(window)) if 0 < axis < len(window) - 1] or [
        *range(len(window))
    ]
    window, stride, padding = (
        tuple(sizes[axis] for axis in axes) for sizes in (window, stride, padding)
    )
    kind = step.equation.primitive.removeprefix("reduce_window").strip("_")
    if kind == "max":
        kind = "min" if "neg" in names else "max"
    name = {"max": "max pool", "min": "min pool", "sum": "average pool"}.get(kind, "pool")
    if name == "average pool" and not names & {"mul", "div"}:
        name = "sum pool"
    return Operation(name + _placed(window, stride), "pool", window, stride, padding)


def _normalization(steps: Sequence[Step]) -> str:
    """Batch normalization that uses kept statistics reduces nothing."""
    sums = [step for step in steps if step.equation.primitive == "reduce_sum"]
    rooted = any(s.equation.primitive in ROOTS and s.reads[0].kind == "activation" for s in steps)
    if not sums and rooted:
        return "root or power"
    if not sums or all(0 in step.equation.params["axes"] for step in sums):
        return "batch normalization"
    return "normalization"


def _reduction(steps: Sequence[Step]) -> Operation | None:
    """The sum, mean or greatest of whole axes."""
    found = [s for s in steps if s.equation.primitive.startswith(("reduce_", "arg", "cum"))]
    if not found:
        return None
    step = found[0]
    name, axes = step.equation.primitive, step.equation.params.get("axes", ())
    shape = step.equation.inputs[0].shape
    maps = len(shape) > 2 and tuple(axes) == tuple(range(1, len(shape) - 1))
    window = tuple(shape[axis] for axis in axes)
    divided = {"div", "mul"} & {s.equation.primitive for s in steps}
    if maps and name == "reduce_sum" and divided:
        zero = (0,) * len(window)
        return Operation("global average pool", "pool", window, (1,) * len(window), zero)
    if maps and name == "reduce_max":
        zero = (0,) * len(window)
        return Operation("global max pool", "pool", window, (1,) * len(window), zero)
    mean = name == "reduce_sum" and divided
    return Operation("mean" if mean else name.replace("_", " "), "reduction")


def _elementwise(steps: Sequence[Step], names: set[str], outside: Sequence[Value]) -> Operation:
    names = names - MOVES
    if len({value.origin for value in outside}) > 1:
        name = (
            _ARITHMETIC.get(next(iter(names)), "elementwise") if len(names) == 1 else "elementwise"
        )
        return Operation(name, "elementwise")
    if names <= {"add", "sub", "mul", "div", "neg"}:
        if any(value.rooted for step in steps for value in step.reads):
            return Operation("batch normalization", "normalization")
        return Operation("scale and offset", "elementwise")
    if "select_n" in names and not names & _COMPARISONS:
        return Operation("mask", "elementwise")  # chosen elsewhere, as by dropout
    limits = {value.literal for s in steps for value in s.reads if value.literal is not None}
    if names == {"max"} and limits == {0}:
        return Operation("ReLU", "nonlinearity")
    if names <= {"max", "min", "clamp"} and limits == {0, 6}:
        return Operation("ReLU6", "nonlinearity")
    known = {"logistic": "sigmoid", "tanh": "tanh", "erf": "GELU", "exp": "exponential"}
    if len(names) == 1:
        (name,) = names
        return Operation(known.get(name, name.replace("_", " ")), "nonlinearity")
    return Operation("nonlinearity", "nonlinearity")


def _move(names: set[str]) -> Operation:
    for name in ("concatenate", "split", "transpose", "pad", "gather", "slice"):
        if name in names:
            return Operation(name, "rearrangement")
    return Operation("negate" if names == {"neg"} else "rearrangement", "rearrangement")


def _placed(window: tuple[int, ...], stride: tuple[int, ...]) -> str:
    """Such as ` 3x3/2`."""
    moved = "" if all(step == 1 for step in stride) else f"/{_sizes(stride)}"
    return f" {'x'.join(map(str, window))}{moved}" if window else ""


def _sizes(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
