"""Where a sliding window fits: the size arithmetic that convolution and pooling share."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple, ParamSpec, TypeGuard, TypeVar

from ablax.errors import AblaxError

Pair = tuple[int, int]
Padding = str | int | Pair | tuple[Pair, Pair]

P = ParamSpec("P")
R = TypeVar("R")
Layer = TypeVar("Layer", bound=type)


class ShapeError(AblaxError):
    """A layer was given an array whose shape it cannot take."""


class FieldError(AblaxError):
    """A layer was asked for with a field that no layer can have, such as a negative stride."""


class Windows(NamedTuple):
    """Everything about a sliding window but the array it slides over: down, and to the right.

    `zip(*windows)` gives the five down, and the five to the right.
    """

    window: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    """Rows above and below, columns left and right."""
    dilation: Pair
    output: Pair


def pair(name: str, value: object, smallest: int = 1) -> Pair:
    """The same number twice, or the two numbers given.

    Raises:
        FieldError: The value is not one or two integers of at least `smallest`.

    Example:
        >>> pair("stride", 2)
        (2, 2)
    """
    two = value if isinstance(value, tuple) else (value, value)
    if len(two) != 2 or not all(whole(number) and number >= smallest for number in two):
        raise FieldError(
            f"{name}={value!r}: expected an integer of at least {smallest}, or a pair of them"
        )
    return two[0], two[1]


def whole(value: object) -> bool:
    """Whether a value is an integer, and not the `True` that Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def positive(name: str, value: object) -> None:
    """Refuse anything but an integer of at least one."""
    if not whole(value) or value < 1:  # type: ignore[operator]
        raise FieldError(f"{name}={value!r}: expected an integer of at least 1")


def odd(name: str, value: int) -> None:
    """Refuse anything but an odd positive integer."""
    positive(name, value)
    if value % 2 == 0:
        raise FieldError(f"{name}={value!r}: expected an odd number, so that it has a middle")


def finite(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number, and no `bool`."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def above_zero(name: str, value: object) -> None:
    """Refuse anything but a finite number above 0."""
    if not finite(value) or value <= 0:
        raise FieldError(f"{name}={value!r}: expected a positive number")


def not_negative(name: str, value: object) -> None:
    """Refuse anything but a finite number of at least 0."""
    if not finite(value) or value < 0:
        raise FieldError(f"{name}={value!r}: expected a finite number of at least 0")


def check_padding(name: str, padding: object) -> None:
    """Refuse what is not a padding."""
    if isinstance(padding, str):
        if padding in ("SAME", "VALID"):
            return
    elif isinstance(padding, tuple) and all(isinstance(side, tuple) for side in padding):
        if len(padding) == 2:
            for sides in padding:
                pair(name, sides, smallest=0)
            return
    elif isinstance(padding, (int, tuple)):
        pair(name, padding, smallest=0)
        return
    raise FieldError(
        f'{name}={padding!r}: expected "SAME", "VALID", an integer, (vertical, horizontal) '
        "or ((above, below), (left, right))"
    )


def check_ceil_mode(ceil_mode: object) -> None:
    """Refuse what does not say whether sizes are rounded up."""
    if not isinstance(ceil_mode, bool):
        raise FieldError(f"ceil_mode={ceil_mode!r}: expected True or False")


def explicit_padding(padding: Padding, size: Pair, reach: Pair, stride: Pair) -> tuple[Pair, Pair]:
    """The padding of an image in rows and columns: ((above, below), (left, right)).

    "SAME" keeps ceil(size / stride) positions and puts the odd row below and the odd column to
    the right, as TensorFlow does. `reach` are the rows and columns a window spans with its holes.

    Example:
        >>> explicit_padding("SAME", size=(7, 8), reach=(3, 3), stride=(2, 2))
        ((1, 1), (0, 1))
    """
    check_padding("padding", padding)
    if padding == "VALID":
        return (0, 0), (0, 0)
    if isinstance(padding, str):
        sides = []
        for length, span, step in zip(size, reach, stride, strict=True):
            total = max((-(-length // step) - 1) * step + span - length, 0)
            sides.append((total // 2, total - total // 2))
        return sides[0], sides[1]
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    down, right = padding
    above, below = down if isinstance(down, tuple) else (down, down)
    left, beside = right if isinstance(right, tuple) else (right, right)
    return (above, below), (left, beside)


def output_size(
    size: int,
    window: int,
    stride: int = 1,
    padding: int | Pair = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    strict: bool = False,
) -> int:
    """How many positions a window has along one axis.

    W2 = (W1 - F + 2P) / S + 1, with P on both ends, or (low, high), and F the rows that a dilated
    window spans: (window - 1) dilation + 1. Zero or less when the window is larger than the padded
    axis. A rest of the division is dropped, as the papers do; with `ceil_mode` a last window hangs
    over the end, as Caffe's `PoolingLayer` does, if it starts inside the image or the low padding;
    `strict` refuses a rest.

    Raises:
        ShapeError: `strict`, and the window is larger than the padded axis or leaves a rest.

    Example:
        >>> [output_size(7, 3, 1), output_size(7, 3, 2), output_size(7, 3, 1, padding=1)]
        [5, 3, 7]
        >>> [output_size(7, 3, 3), output_size(7, 3, 3, ceil_mode=True)]
        [2, 3]
    """
    low, high = padding if isinstance(padding, tuple) else (padding, padding)
    free = size + low + high - ((window - 1) * dilation + 1)
    if strict and free < 0:
        raise ShapeError(
            f"a window of {window} spans {(window - 1) * dilation + 1} and is larger than {size} "
            f"with padding {low}+{high}; expected one that fits"
        )
    if strict and free % stride:
        raise ShapeError(
            f"a window of {window} with stride {stride} and padding {low}+{high} does not fit "
            f"{size} exactly: ({size} - {(window - 1) * dilation + 1} + {low + high}) / {stride} "
            "is no whole number; change the stride or the padding, or drop strict"
        )
    if not ceil_mode or free < 0:
        return free // stride + 1
    positions = -(-free // stride) + 1
    return positions - 1 if (positions - 1) * stride >= size + low else positions


def place(
    layer: str,
    shape: tuple[int, ...],
    window: int | Pair,
    stride: int | Pair,
    padding: Padding,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    strict: bool = False,
) -> Windows:
    """Put a window on an image of shape (N, H, W, C), for a layer that refusals name.

    With `ceil_mode` the padding returned reaches the last window.

    Raises:
        FieldError: A value no window can have.
        ShapeError: The window does not fit.
    """
    windows, strides = pair("window", window), pair("stride", stride)
    dilations = pair("dilation", dilation)
    check_ceil_mode(ceil_mode)
    size = shape[1], shape[2]
    reach = tuple((taps - 1) * gap + 1 for taps, gap in zip(windows, dilations, strict=True))
    sides = explicit_padding(padding, size, (reach[0], reach[1]), strides)
    output, reached = [], []
    for axis in (0, 1):
        low, high = sides[axis]
        step = strides[axis]
        length = size[axis], windows[axis], step, sides[axis], dilations[axis], ceil_mode
        positions = output_size(*length)
        if positions < 1:
            least = tuple(max(span - sum(side), 1) for span, side in zip(reach, sides, strict=True))
            raise ShapeError(
                f"{layer} was given {shape}: a window of {_times(windows)} with padding {sides} "
                f"spans {_times(reach)} and is larger than the padded image; expected "
                f"at least {_times(least)}: enlarge the image or shrink the window"
            )
        try:
            output_size(*length, strict=strict)
        except ShapeError as error:
            raise ShapeError(f"{layer} was given {shape}: {error}") from None
        if ceil_mode:
            high = max(high, (positions - 1) * step + reach[axis] - size[axis] - low)
        output.append(positions)
        reached.append((low, high))
    return Windows(windows, strides, (reached[0], reached[1]), dilations, (output[0], output[1]))


def _times(numbers: tuple[int, ...]) -> str:
    return "x".join(str(number) for number in numbers)


def takes(axes: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Refuse an array of another rank, with words, before anything else looks at it.

    `axes` are those of the first argument, that after `self` in a method, such as "N H W C"; "..."
    in front allows any number of axes more.
    """
    names = axes.split()
    least = len([name for name in names if name != "..."])

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = list(inspect.signature(function).parameters)
        place = 1 if parameters[0] == "self" else 0

        @functools.wraps(function)
        def taking(*args: P.args, **kwargs: P.kwargs) -> R:
            value = args[place] if len(args) > place else kwargs.get(parameters[place])
            shape = getattr(value, "shape", None)
            if isinstance(shape, tuple) and (
                len(shape) < least or (len(shape) > least and names[0] != "...")
            ):
                who = type(args[0]).__name__ if place else function.__name__
                raise ShapeError(f"{who} was given an array of shape {shape}: expected ({axes})")
            return function(*args, **kwargs)

        return taking

    return decorate


def checked(**checks: Callable[[str, Any], object]) -> Callable[[Layer], Layer]:
    """A decorator of layers: refuse a field that no layer can have, when the layer is made.

    A check, such as `positive`, is given the field's name and its value.
    """

    def decorate(layer: Layer) -> Layer:
        finish = layer.__post_init__  # type: ignore[attr-defined]

        def refuse(self: Any) -> None:
            for name, check in checks.items():
                check(name, getattr(self, name))
            finish(self)

        layer.__post_init__ = refuse  # type: ignore[attr-defined]
        return layer

    return decorate
