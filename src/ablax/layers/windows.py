"""What layers share: where a sliding window fits, and which fields and numbers they take."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple, ParamSpec, TypeGuard, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

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


class DtypeError(AblaxError):
    """A layer was given numbers of a type that it cannot take, such as complex ones."""


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
    given = as_python(value)
    two = given if isinstance(given, tuple) else (given, given)
    if len(two) != 2 or not all(whole(number) and number >= smallest for number in two):
        raise FieldError(
            f"{name}={value!r}: expected an integer of at least {smallest}, or a pair of them"
        )
    return two[0], two[1]


def whole(value: object) -> bool:
    """Whether a value is an integer, and not the `True` that Python counts among them."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def as_python(value: Any) -> Any:
    """A field or an argument in Python's own numbers, so that equal layers compare and hash alike.

    Example:
        >>> as_python([np.int64(3), np.float32(0.5)])
        (3, 0.5)
    """
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(as_python, value)) if type(value) in (list, tuple) else value


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
    given, padding = padding, as_python(padding)
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
        f'{name}={given!r}: expected "SAME", "VALID", an integer, (vertical, horizontal) '
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
    padding = as_python(padding)
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


# Types of numbers: one rule for all layers.
#
# The result of a layer has the type that its input and its parameters promote to, as Flax's has,
# or float32 where these are all integers. Constants, such as the factor of a `Scale`, and running
# statistics have no say. Layers that only select, move or compare numbers leave integers as they
# are. Numbers that are not real are refused.


def takes(
    axes: str, *, integers: bool = False, argument: int = 0
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make an argument an array of real numbers, or refuse it before anything else looks at it.

    `axes` are those of the first argument, that after `self` in a method, such as "N H W C"; "..."
    in front allows any number of axes more. NumPy's arrays become JAX's, and integers float32,
    unless the function takes `integers` as they are: it selects, moves or compares them, or leaves
    it to `promoted`. Among the other arguments NumPy's numbers become Python's, and lists tuples.

    Args:
        argument: Another one than the first is the array; of `*maps` all are.
    """
    names = axes.split()
    least = len([name for name in names if name != "..."])

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = list(inspect.signature(function).parameters.values())
        method = parameters[0].name == "self"
        place = argument + method
        name = parameters[place].name
        several = parameters[place].kind is inspect.Parameter.VAR_POSITIONAL

        @functools.wraps(function)
        def taking(*args: P.args, **kwargs: P.kwargs) -> R:
            who = type(args[0]).__name__ if method else function.__name__

            def taken(value: Any) -> Any:
                shape = getattr(value, "shape", None)
                if not isinstance(shape, tuple):
                    return value
                if len(shape) < least or (len(shape) > least and names[0] != "..."):
                    raise ShapeError(
                        f"{who} was given an array of shape {shape}: expected ({axes})"
                    )
                return _real(who, value, integers)

            given: Any = [
                taken(value) if at == place or (several and at > place) else _ours(value)
                for at, value in enumerate(args)
            ]
            named: Any = {
                key: taken(value) if key == name else _ours(value) for key, value in kwargs.items()
            }
            return function(*given, **named)

        return taking

    return decorate


def _ours(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, np.ndarray) else as_python(value)


def _real(who: str, value: Any, integers: bool) -> Array:
    """An array of JAX's, whose integers may become float32, or a refusal of what is not real."""
    kind = value.dtype
    letter = getattr(kind, "kind", "")  # a random key has none; what NumPy lacks has V
    if letter not in tuple("biuf") and kind != jnp.bfloat16:
        remedy = (
            "take their real part or their modulus"
            if jnp.issubdtype(kind, jnp.complexfloating)
            else "convert them with `astype(jnp.float32)`"
        )
        raise DtypeError(
            f"{who} was given numbers of type {kind}: expected integers or floats of at least 16 "
            f"bits; {remedy} first"
        )
    array = value if isinstance(value, Array) else jnp.asarray(value)
    if letter in tuple("biu") and not integers:
        return array.astype(jnp.float32)
    return array.astype(jnp.uint8) if letter == "b" else array


def promoted(*arrays: Array, integers: bool = False) -> tuple[Array, ...]:
    """Arrays in the type they promote to, float32 where all are integers, unless these may stay.

    Example:
        >>> half, single = promoted(jnp.ones(2, jnp.float16), jnp.ones(2))
        >>> half.dtype, promoted(jnp.ones(2, jnp.uint8))[0].dtype
        (dtype('float32'), dtype('float32'))
    """
    real = [_real("a layer", array, integers=True) for array in arrays]
    kind = common(*(array.dtype for array in real))
    if kind.kind in "iu" and not integers:
        kind = np.dtype(np.float32)
    return tuple(array.astype(kind) for array in real)


def widened(x: Array) -> Array:
    """An array in float32 at least, in which sums are taken."""
    return x.astype(common(x.dtype, jnp.float32))


def common(*kinds: Any) -> np.dtype:
    """What types promote to, also where JAX is told to promote nothing by itself."""
    with jax.numpy_dtype_promotion("standard"):
        return jax.dtypes.canonicalize_dtype(functools.reduce(jnp.promote_types, kinds))


def checked(**checks: Callable[[str, Any], object]) -> Callable[[Layer], Layer]:
    """A decorator of layers: refuse a field that no layer can have, when the layer is made.

    A check, such as `positive`, is given the field's name and its value. Before that NumPy's
    numbers become Python's, and lists tuples (`as_python`).
    """

    def decorate(layer: Layer) -> Layer:
        finish = layer.__post_init__  # type: ignore[attr-defined]

        def refuse(self: Any) -> None:
            vars(self).update({name: as_python(value) for name, value in vars(self).items()})
            for name, check in checks.items():
                check(name, getattr(self, name))
            finish(self)

        layer.__post_init__ = refuse  # type: ignore[attr-defined]
        return layer

    return decorate
