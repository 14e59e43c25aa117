"""Which pixels a score depends on: gradients, deconvolution, guided back-propagation, occlusion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn
from jax.extend.core import Literal as Constant
from jaxtyping import Array, Float

from ablax.analysis.jax_versions import bodies, constants_and_carry, jaxprs_in_params, results_of
from ablax.analysis.jaxpr import CALLS

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

    Layers without a ReLU pass it on by their exact derivative: also local response normalization
    and softmax, of which the paper does not speak.

    Args:
        fn: From images to features, (N, ..., units).
        images: The images; they set the switches of the max pools.
        signal: From the features to what is sent back, of the same shape, such as `strongest(3)`.
        rule: Of the ReLUs.

    Returns:
        One picture per image.

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
    """The signal that keeps of one feature map its largest value in each image, and nothing else.

    Args:
        unit: Number of the map.

    Returns:
        From features to a signal of their shape.

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
    """The same function, whose ReLUs pass a signal back by another rule.

    A ReLU is `max(x, 0)` in the jaxpr, wherever and for whatever it stands: in calls, `scan` and
    `cond`, all of which are followed if they hold one; of a platform choice the default. What is
    written otherwise (`where(x > 0, x, 0)`, leaky and parametric ReLUs) keeps its derivative, and
    so does a `while` loop. A `custom_jvp` or `custom_vjp` function that holds a ReLU and more is
    differentiated as it is computed.

    Args:
        fn: Any function that JAX can trace.
        rule: `"gradient"` changes nothing.

    Returns:
        A function of the same arguments with the same values.

    Raises:
        ValueError: No such rule.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule={rule!r}: expected one of {', '.join(get_args(Rule))}")
    if rule == "gradient":
        return fn
    rectifier = functools.partial(_rectifier, rule == "guided")

    @functools.wraps(fn)
    def changed(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        results = _run(closed.jaxpr, closed.consts, jax.tree.leaves(args), rectifier)
        return jax.tree.unflatten(jax.tree.structure(shape), results)

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

Rectifier = Callable[[Array], Array]


def _run(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], rectifier: Rectifier
) -> list[Any]:
    """The results of a jaxpr, equation by equation, with this ReLU in place of its own."""
    held: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    held.update(zip(jaxpr.invars, args, strict=True))
    zeros = _zeros(jaxpr)

    def value(var: Any) -> Any:
        return var.val if isinstance(var, Constant) else held[var]

    for eqn in jaxpr.eqns:
        operands = [value(var) for var in eqn.invars]
        place = _rectified(eqn, zeros)
        results: Sequence[Any]
        if place is not None:
            results = [rectifier(operands[place])]
        elif eqn.primitive.name in _FOLLOWED and _holds_rectifier(eqn):
            results = _follow(eqn, operands, rectifier)
        else:
            results = results_of(eqn, operands)
        held.update(zip(eqn.outvars, results, strict=True))
    return [value(var) for var in jaxpr.outvars]


_FOLLOWED = CALLS | {"scan", "cond"}


def _rectified(eqn: JaxprEqn, zeros: frozenset[Any]) -> int | None:
    """Which operand an equation rectifies; None if it is no ReLU."""
    result: Any = eqn.outvars[0].aval
    if eqn.primitive.name != "max" or not jnp.issubdtype(result.dtype, jnp.floating):
        return None
    operands: list[Any] = [var.aval for var in eqn.invars]
    for place, other in ((0, 1), (1, 0)):
        if _is_zero(eqn.invars[other], zeros) and operands[place].shape == result.shape:
            return place
    return None


def _is_zero(var: Any, zeros: frozenset[Any]) -> bool:
    return not np.any(var.val) if isinstance(var, Constant) else var in zeros


def _zeros(jaxpr: Jaxpr) -> frozenset[Any]:
    """The variables that hold a constant 0, spread out or converted."""
    found: set[Any] = set()
    for eqn in jaxpr.eqns:
        spread = eqn.primitive.name in ("broadcast_in_dim", "convert_element_type")
        if spread and _is_zero(eqn.invars[0], frozenset(found)):
            found.add(eqn.outvars[0])
    return frozenset(found)


def _bodies(eqn: JaxprEqn) -> list[tuple[Jaxpr, Sequence[Any]]]:
    """What an equation holds, each with its constants; of a platform choice the default."""
    held = bodies(eqn)
    platforms = eqn.params.get("branches_platforms") or ()
    return [held[platforms.index(None)]] if None in platforms else held


def _holds_rectifier(eqn: JaxprEqn) -> bool:
    if eqn.primitive.name not in _FOLLOWED:
        return False
    return any(
        _rectified(inner, _zeros(body)) is not None or _holds_rectifier(inner)
        for body in jaxprs_in_params(eqn.params)
        for inner in body.eqns
    )


def _follow(eqn: JaxprEqn, operands: Sequence[Any], rectifier: Rectifier) -> Sequence[Any]:
    """The results of a call, a choice or a loop that holds a ReLU."""
    functions = [
        lambda *args, body=body, consts=consts: _run(body, consts, args, rectifier)
        for body, consts in _bodies(eqn)
    ]
    if eqn.primitive.name == "scan":
        return _scan(eqn, operands, functions[0])
    if eqn.primitive.name == "cond":
        index, *rest = operands
        return (
            functions[0](*rest) if len(functions) == 1 else jax.lax.switch(index, functions, *rest)
        )
    return functions[0](*operands)


def _scan(eqn: JaxprEqn, operands: Sequence[Any], body: Callable[..., list[Any]]) -> list[Any]:
    """A loop whose body has been changed."""
    consts, carried = constants_and_carry(eqn)
    fixed, carry, xs = operands[:consts], operands[consts:][:carried], operands[consts + carried :]

    def step(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        results = body(*fixed, *carry, *x)
        return results[:carried], results[carried:]

    options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    last, ys = jax.lax.scan(step, list(carry), list(xs), **options)
    return [*last, *ys]


# ------------------------------------------------------------------------------------------
# Which pixels a score depends on: saliency by the gradient, occlusion by covering them.

Score = Callable[[Float[Array, "N H W C"]], Float[Array, " N"]]
"""From images to one number per image, such as `lambda x: scores(x)[:, 3]`."""


def saliency_map(
    score: Score, images: Float[Array, "N H W C"], rule: Rule = "gradient"
) -> Float[Array, "N H W"]:
    r"""How fast the score changes with each pixel: max over channels of |d score / d pixel|.

    Args:
        score: Image by image: that of one image may not depend on another.
        images: Where the derivative is taken.
        rule: How a signal passes back through a ReLU; see `with_rectifier_rule`.

    Returns:
        Not negative, in score per unit of pixel.

    References:
        Simonyan, Vedaldi, Zisserman 2013, Deep inside convolutional networks (arXiv 1312.6034),
        section 3.1.

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
    """How far the score falls when a square of the image is covered, for each place of the square.

    The squares lie inside the image: rows = (H - window) // stride + 1, and the square of row i
    begins at pixel i * stride. A positive fall says that the score needs what is under the square;
    a negative one that it speaks against.

    Args:
        score: Image by image.
        image: The picture.
        window: Side of the square, in pixels.
        stride: Pixels from one place to the next.
        fill: What covers, of each channel: 0 is the mean gray of normalized images.
        batch: Covered images scored at a time.

    Returns:
        score(image) - score(covered image).

    Raises:
        ValueError: A square larger than the image, or less than a pixel or an image at a time.

    References:
        Zeiler, Fergus 2013, Visualizing and understanding convolutional networks (arXiv 1311.2901),
        section 4.2.

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

    Args:
        falls: Of `occlusion_map`.
        window: Of the square, as given there.
        stride: Likewise.
        height: Of the image, in pixels.
        width: Likewise.

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
