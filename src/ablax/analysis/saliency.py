"""Which pixels a score depends on: gradients, deconvolution, guided back-propagation, occlusion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.analysis.jax_versions import results_of
from ablax.analysis.jaxpr import FREE, Equation, Round, Rules, Run, follow, interpret

# ------------------------------------------------------------------------------------------
# Pictures of what excites a unit: the deconvolutional network of Zeiler and Fergus.
#
# Three pictures differ in one thing only, how a signal passes back through a ReLU y = max(x, 0):
#
# - gradient: where x > 0 (the saliency of Simonyan, Vedaldi and Zisserman).
# - deconvolution: where the signal is positive, whatever x was.
# - guided: where both are (Springenberg et al.).
#
# So `with_rectifier_rule` gives the same function with another derivative of its ReLUs, and the
# rest is left to `jax.vjp`: a convolution's is its transpose, a max pool's goes to the places where
# the maxima were (the switches), a bias has none, batch normalization in a test scales.

Rule = Literal["deconvolution", "guided", "gradient"]
"""How a signal passes back through a ReLU."""


def backward_pictures(
    fn: Callable[[Array], Array],
    images: Float[Array, "N H W C"],
    signal: Callable[[Array], Array],
    rule: Rule = "deconvolution",
) -> Float[Array, "N H W C"]:
    """A signal at the features of the images, sent back to their pixels.

    The signal, such as `strongest(3)`, makes of the features (N, ..., units) what is sent back. The
    images set the switches of the max pools. Layers without a ReLU pass it on by their exact
    derivative: also local response normalization and softmax, of which the paper does not speak.

    Raises:
        ValueError: No such rule, or a signal of another shape than the features.

    References:
        Zeiler, Fergus 2013, Visualizing and understanding convolutional networks (arXiv 1311.2901),
        section 2.1; Springenberg, Dosovitskiy, Brox, Riedmiller 2014, Striving for simplicity: the
        all convolutional net (arXiv 1412.6806); Simonyan, Vedaldi, Zisserman 2013,
        Deep inside convolutional networks (arXiv 1312.6034), section 3.

    Example:
        >>> import jax
        >>> images = jnp.array([[[[2.0], [-1.0]]]])
        >>> fn = lambda x: jax.nn.relu(-x)
        >>> [backward_pictures(fn, images, jnp.ones_like, rule).ravel().tolist()
        ...  for rule in ("gradient", "deconvolution", "guided")]
        [[-0.0, -1.0], [-1.0, -1.0], [-0.0, -1.0]]
    """
    features, back = jax.vjp(with_rectifier_rule(fn, rule), images)
    sent = signal(features)
    if sent.shape != features.shape:
        raise ValueError(
            f"the signal has shape {sent.shape}, the features {features.shape}: expected the same"
        )
    return back(sent)[0]


def strongest(unit: int) -> Callable[[Float[Array, "N *places units"]], Array]:
    """The signal that keeps of feature map `unit` its largest value in each image, and no other.

    Example:
        >>> strongest(1)(jnp.array([[[5.0, 2.0], [6.0, 3.0]]])).tolist()
        [[[0.0, 0.0], [0.0, 3.0]]]
    """

    def signal(features: Float[Array, "N *places units"]) -> Array:
        if not 0 <= unit < features.shape[-1]:
            raise ValueError(f"unit {unit} of {features.shape[-1]}: there is no such unit")
        maps = features[..., unit].reshape(features.shape[0], -1)
        kept = jnp.arange(maps.shape[1]) == jnp.argmax(maps, axis=1)[:, None]
        lone = jnp.where(kept, maps, 0).reshape(features.shape[:-1])
        return jnp.zeros_like(features).at[..., unit].set(lone)

    return signal


def with_rectifier_rule(fn: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
    """The same function with the same values, whose ReLUs pass a signal back by another rule.

    A ReLU is `max(x, 0)` in the jaxpr, or `clamp(0, x, high)`, wherever and for whatever it stands:
    in calls, also one that is handed its 0, in `scan` and `cond`; of a platform choice in the
    default. What is written otherwise (`where(x > 0, x, 0)`, leaky and parametric ReLUs) keeps its
    derivative, and so does a `while` loop. A `custom_jvp` or `custom_vjp` function that holds a
    ReLU and more is differentiated as it is computed. The rule `"gradient"` changes nothing.

    Raises:
        ValueError: No such rule.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule={rule!r}: expected one of {', '.join(get_args(Rule))}")
    if rule == "gradient":
        return fn
    rules = _Rectified(functools.partial(_rectifier, rule == "guided"))

    @functools.wraps(fn)
    def changed(*args: Any) -> Any:
        jaxpr, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        found = interpret(jaxpr, rules, [_Signal(leaf) for leaf in jax.tree.leaves(args)])
        return jax.tree.unflatten(jax.tree.structure(shape), [each.value for each in found])

    return changed


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _rectifier(guided: bool, x: Array) -> Array:  # noqa: ARG001
    return jnp.maximum(x, 0)


def _forward(guided: bool, x: Array) -> tuple[Array, Array | None]:
    return jnp.maximum(x, 0), x > 0 if guided else None


def _backward(_: bool, on: Array | None, signal: Array) -> tuple[Array]:
    positive = jnp.maximum(signal, 0)
    return (positive if on is None else jnp.where(on, positive, 0),)


_rectifier.defvjp(_forward, _backward)

_IsZero = Callable[[], bool]
"""Whether an array is 0 for all arguments; looked up only where a maximum reads it."""

_Zeros = Sequence[_IsZero]


def _never() -> bool:
    return False


def _constant_zero(value: Any) -> _IsZero:
    return lambda: not isinstance(value, jax.core.Tracer) and not np.any(value)


def _zeros(equation: Equation, zeros: _Zeros) -> _Zeros:
    """Of the results of a leaf: 0 spread out, converted or in another shape stays 0."""
    kept = equation.primitive in FREE and len(zeros) == len(equation.eqn.outvars)
    return zeros if kept else [_never] * len(equation.eqn.outvars)


def _rectified(equation: Equation, zeros: _Zeros) -> int | None:
    """Which operand an equation rectifies; None if it is no ReLU."""
    name = equation.primitive
    if name not in ("max", "clamp"):
        return None
    (result,) = equation.outputs
    for place, other in ((1, 0),) if name == "clamp" else ((0, 1), (1, 0)):
        if equation.inputs[place].shape == result.shape and zeros[other]():
            return place if jnp.issubdtype(result.dtype, jnp.floating) else None
    return None


class _Search(Rules[_IsZero]):
    """Looks for a ReLU, from what is known to be 0."""

    found = False

    def constant(self, value: Any) -> _IsZero:
        return _constant_zero(value)

    def enters(self, equation: Equation, operands: _Zeros) -> bool:  # noqa: ARG002
        return equation.primitive != "while"

    def leaf(self, equation: Equation, operands: _Zeros) -> _Zeros:
        self.found = self.found or _rectified(equation, operands) is not None
        return _zeros(equation, operands)

    def choice(self, branches: Sequence[Run[_IsZero]], index: _IsZero, operands: _Zeros) -> _Zeros:  # noqa: ARG002
        results, *_ = [branch(operands) for branch in branches]
        return [_never] * len(results)

    def scan(
        self, equation: Equation, body: Round[_IsZero], carry: _Zeros, arrays: _Zeros
    ) -> _Zeros:
        body([_never] * len(carry), arrays)
        return [_never] * len(equation.eqn.outvars)


class _Signal(NamedTuple):
    """An array and whether it is 0 for all arguments."""

    value: Any
    is_zero: _IsZero = _never


_Signals = Sequence[_Signal]


class _Rectified(Rules[_Signal]):
    """Computes a function again, with this ReLU in place of its own."""

    def __init__(self, rectifier: Callable[[Array], Array]) -> None:
        self.rectifier = rectifier

    def constant(self, value: Any) -> _Signal:
        return _Signal(value, _constant_zero(value))

    def enters(self, equation: Equation, operands: _Signals) -> bool:
        """Only what holds a ReLU, so that all else keeps its own derivative."""
        search = _Search()
        follow(equation, search, [x.is_zero for x in operands])
        return search.found

    def leaf(self, equation: Equation, operands: _Signals) -> _Signals:
        zeros, values = [x.is_zero for x in operands], [x.value for x in operands]
        place = _rectified(equation, zeros)
        if place is None:
            results = results_of(equation.eqn, values)
            return list(map(_Signal, results, _zeros(equation, zeros)))
        positive = self.rectifier(values[place])
        clamped = equation.primitive == "clamp"
        return [_Signal(jnp.minimum(positive, values[2]) if clamped else positive)]

    def choice(
        self, branches: Sequence[Run[_Signal]], index: _Signal, operands: _Signals
    ) -> _Signals:
        def computed(branch: Run[_Signal], values: Sequence[Any]) -> list[Any]:
            given = [_Signal(*each) for each in zip(values, zeros, strict=True)]
            return [each.value for each in branch(given)]

        zeros = [x.is_zero for x in operands]
        functions = [functools.partial(computed, branch) for branch in branches]
        return list(
            map(_Signal, jax.lax.switch(index.value, functions, [x.value for x in operands]))
        )

    def scan(
        self, equation: Equation, body: Round[_Signal], carry: _Signals, arrays: _Signals
    ) -> _Signals:
        def step(values: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            given = [_Signal(*each) for each in zip(slices, zeros, strict=True)]
            last, results = body([_Signal(value) for value in values], given)
            return [each.value for each in last], [each.value for each in results]

        zeros = [x.is_zero for x in arrays]
        start, xs = [x.value for x in carry], [x.value for x in arrays]
        options = {name: equation.params[name] for name in ("length", "reverse", "unroll")}
        last, ys = jax.lax.scan(step, start, xs, **options)
        return [_Signal(value) for value in (*last, *ys)]


Score = Callable[[Float[Array, "N H W C"]], Float[Array, " N"]]
"""From images to one number per image, such as `lambda x: scores(x)[:, 3]`."""


def saliency_map(
    score: Score, images: Float[Array, "N H W C"], rule: Rule = "gradient"
) -> Float[Array, "N H W"]:
    r"""How fast the score changes with each pixel: max over channels of |d score / d pixel|.

    The score of one image may not depend on another. The rule says how a signal passes back through
    a ReLU, as in `backward_pictures`. (Simonyan, Vedaldi, Zisserman 2013, section 3.1.)

    Example:
        >>> images = jnp.array([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> saliency_map(lambda x: x[:, 0, 0, 0] - 2 * x[:, 0, 0, 1], images).tolist()
        [[[2.0, 0.0]]]
    """
    scores, back = jax.vjp(with_rectifier_rule(score, rule), images)
    _refuse_other_than_one_number(scores.shape, images.shape)
    return jnp.max(jnp.abs(back(jnp.ones_like(scores))[0]), axis=-1)


def occlusion_map(
    score: Score,
    image: Float[Array, "H W C"],
    window: int,
    stride: int = 1,
    fill: float | Sequence[float] = 0.0,
    batch: int = 32,
) -> Float[Array, "rows columns"]:
    """How far the score falls when a square of the image is covered: whole - covered, by its place.

    The squares, of `window` pixels a side, lie inside the image: rows = (H - window) // stride + 1,
    and the square of row i begins at pixel i * stride. A positive fall says that the score needs
    what is under the square; a negative one that it speaks against.

    The square is filled, channel by channel: 0 is the mean gray of normalized images. So many
    covered images as a `batch` are scored at a time. (Zeiler, Fergus 2013, section 4.2.)

    Raises:
        ValueError: A square larger than the image, or less than a pixel or an image at a time.

    Example:
        >>> image = jnp.arange(6.0).reshape(2, 3, 1)
        >>> occlusion_map(lambda x: x.sum((1, 2, 3)), image, window=2).tolist()
        [[8.0, 12.0]]
    """
    height, width, channels = image.shape
    if not 1 <= window <= min(height, width) or stride < 1 or batch < 1:
        raise ValueError(
            f"window={window}, stride={stride}, batch={batch} for an image of {height}x{width} "
            "pixels: expected a window that fits, and at least 1 each"
        )
    tops, lefts = (jnp.arange(0, side - window + 1, stride) for side in (height, width))
    corners = jnp.stack(jnp.meshgrid(tops, lefts, indexing="ij"), -1).reshape(-1, 2)
    square = jnp.broadcast_to(jnp.asarray(fill, image.dtype), (window, window, channels))

    def covered(corner: Array) -> Array:
        picture = jax.lax.dynamic_update_slice(image, square, (corner[0], corner[1], 0))
        return score(picture[None])[0]

    whole = score(image[None])
    _refuse_other_than_one_number(whole.shape, (1,))
    falls = whole[0] - jax.lax.map(covered, corners, batch_size=min(batch, len(corners)))
    return falls.reshape(len(tops), len(lefts))


def spread(
    falls: Float[Array, "rows columns"], window: int, stride: int, height: int, width: int
) -> Float[Array, "H W"]:
    """The mean fall of all squares that cover each pixel; NaN where none does.

    `falls` are those of `occlusion_map`, with the window and stride given there, on an image of
    `height` x `width` pixels.

    Example:
        >>> spread(jnp.array([[1.0, 3.0]]), window=2, stride=1, height=2, width=3).tolist()
        [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    """

    def covers(places: int, side: int) -> Array:
        below = jnp.arange(side)[:, None] - stride * jnp.arange(places)
        return ((below >= 0) & (below < window)).astype(falls.dtype)

    rows, columns = covers(falls.shape[0], height), covers(falls.shape[1], width)
    count = rows.sum(1)[:, None] * columns.sum(1)
    return jnp.where(count > 0, rows @ falls @ columns.T / jnp.maximum(count, 1), jnp.nan)


def _refuse_other_than_one_number(scores: tuple[int, ...], images: tuple[int, ...]) -> None:
    if scores != images[:1]:
        raise ValueError(
            f"the score has shape {scores} for {images[0]} images: expected one number per image, "
            "such as that of one class"
        )
