"""A gradient against finite differences, direction by direction and leaf by leaf."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ablax.analysis.jax_versions import double_precision
from ablax.analysis.jaxpr import equations

Verdict = Literal["agrees", "disagrees", "inconclusive"]
Line = Callable[[float], float]
"""The function along a line: of the distance from the parameters."""

STEP = 2.0**-17
"""The first step, of the leaf's scale: near the cube root of float64's rounding unit 2^-52, where a
central difference has the smallest error."""
SHORTER = (1, 8, 64, 512)
"""What the first step is divided by where a kink lies between; each is compared with its half."""
_ROUNDINGS = 16.0
"""Rounding of a value of the function, in units of 2^-52 of it."""


@dataclass(frozen=True)
class Slopes:
    """The slope along one direction: `"direction 1"`, or an entry such as `"[0, 2]"`.

    From the gradient it is v . g, from differences (f(p + h v) - f(p - h v)) / 2h, which rounding
    alone may move by `noise`, and a kink between the points by `kink` (0 where f is smooth).

    The error is |gradient - difference| / max(|gradient|, |difference|), or 0 where both are within
    `noise` of 0. A slope that is `moved` was measured at a point nearby, because a kink may lie at
    the point itself.
    """

    along: str
    gradient: float
    difference: float
    step: float
    noise: float
    kink: float
    error: float
    verdict: Verdict
    moved: bool = False


def compare(
    label: str, line: Line, expected: float, scale: float, value: float, tolerance: float
) -> Slopes:
    """The slope along a line of float64; with shorter steps as long as a kink leaves it open.

    The gradient gives the slope `expected`, the function the `value` at the point; the first step
    is a share of the `scale` of the elements that are moved.
    """
    found = []
    for divisor in SHORTER:
        found.append(_measured(label, line, expected, STEP * scale / divisor, value, tolerance))
        if found[-1].kink <= tolerance * max(abs(expected), abs(found[-1].difference)):
            break
    return min(found, key=lambda each: each.kink + each.noise)


def _measured(
    label: str, line: Line, expected: float, step: float, value: float, tolerance: float
) -> Slopes:
    """The slope at half the step, and what a kink and rounding may do to it."""
    half = step / 2
    right, right_half = ((line(h) - value) / h for h in (step, half))
    left, left_half = ((value - line(-h)) / h for h in (step, half))
    slope = (right_half + left_half) / 2
    noise = _ROUNDINGS * float(np.finfo(np.float64).eps) * abs(value) / half
    bend = 2 * (right_half - left_half) - (right - left)
    kink = max(abs((right + left) / 2 - slope), abs(bend))
    kink = kink if kink > 4 * noise else 0.0
    apart, size = abs(expected - slope), max(abs(expected), abs(slope))
    if apart <= tolerance * size + noise:
        verdict: Verdict = "agrees"
    elif apart <= 2 * kink + noise:
        verdict = "inconclusive"
    else:
        verdict = "disagrees"
    error = apart / size if size > noise else 0.0
    return Slopes(label, expected, slope, half, noise, kink, error, verdict)


Index = tuple[int, ...]

DISPLACEMENT = 2.0**-7
"""How far a point is moved off its kinks, of the scale of each leaf: far beyond any step."""
SMALLEST_SCALE = 0.1
"""Scale of a leaf whose elements are all smaller: biases are initially 0."""


@dataclass(frozen=True)
class LeafCheck:
    """One leaf of the parameter tree, by its path such as `"params/conv1/conv/kernel"`."""

    leaf: str
    shape: tuple[int, ...]
    slopes: tuple[Slopes, ...]

    @property
    def error(self) -> float:
        """The largest relative error of the slopes that can be told; NaN where none can."""
        told = [each.error for each in self.slopes if each.verdict != "inconclusive"]
        return max(told, default=math.nan)

    @property
    def verdict(self) -> Verdict:
        """Disagrees if one slope does; else agrees if one does."""
        found = {each.verdict for each in self.slopes}
        if "disagrees" in found:
            return "disagrees"
        return "agrees" if "agrees" in found else "inconclusive"


@dataclass(frozen=True)
class GradientCheck:
    """All leaves, the function's value in float64, and the largest relative error that agrees."""

    value: float
    tolerance: float
    leaves: tuple[LeafCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """Disagrees if one leaf does; agrees only if all do."""
        found = {each.verdict for each in self.leaves}
        if "disagrees" in found:
            return "disagrees"
        return "agrees" if found == {"agrees"} else "inconclusive"


def check_gradient(
    fn: Callable[..., Any],
    parameters: Any,
    *args: Any,
    directions: int = 2,
    entries: int | Mapping[str, Sequence[Index]] = 0,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> GradientCheck:
    r"""Compare the gradient of `fn(parameters, *args)` with central differences, leaf by leaf.

    Along a direction v, whose entries are sampled as -1 or 1 so that each element of the leaf takes
    part, or are 0 but for one, the gradient g predicts the slope v . g, and

        d(h) = (f(p + h v) - f(p - h v)) / 2h

    measures it, with an error of h^2 of the third derivative and of `noise` = 16 * 2^-52 |f| / h
    (Nocedal, Wright 2006, Numerical optimization, section 8.1). The step h is 2^-17 of the root
    mean square of the leaf (0.1 at least), and shorter where a kink shows. Verdict, with m the
    larger of |v . g| and |d|:

    - agrees: |v . g - d| <= tolerance * m + noise.
    - inconclusive: more, but no more than twice what a kink explains.
    - disagrees: more than that.

    With the one-sided slopes r and l, d = (r + l) / 2, a kink explains the larger of
    |d(h) - d(h/2)| and of |2 (r - l)(h/2) - (r - l)(h)|: both vanish with h where f is smooth, and
    one of them is at least |d(h/2) - v . g| when a single kink lies at p or within h of it.

    Many kinks at p itself (ReLUs of 0 behind biases of 0) can cancel in r - l, and no gradient
    there is wrong. So where the slopes do not agree, the same is asked at a point nearby, whose
    leaves are all moved by noise of 2^-7 of their scale, and this counts (`moved`): a wrong
    gradient is wrong there too. Only a gradient that is not finite disagrees at once.

    Args:
        fn: From the parameters to a scalar; must compute in the precision of its arguments.
        parameters: A tree; only its leaves of floating point are checked.
        *args: Further arguments, not differentiated; floating point is made float64.
        entries: Single elements of each leaf, at random; or, by the path of a leaf, their indices.
        tolerance: Of the relative error.

    Raises:
        ValueError: The function is not a scalar, not finite, not deterministic, or rounds to less
            than float64 inside; or nothing is asked for.

    Example:
        >>> found = check_gradient(lambda p: jnp.sum(jnp.sin(p["a"]) ** 2), {"a": jnp.ones((2, 3))})
        >>> found.verdict, found.leaves[0].leaf, found.leaves[0].error < 1e-8
        ('agrees', 'a', True)
    """
    if directions < 0 or (isinstance(entries, int) and directions + entries < 1):
        raise ValueError(
            f"directions={directions} and entries={entries}: expected at least one of either"
        )
    with double_precision():
        tree, others = _cast(parameters, np.float64), _cast(args, np.float64)
        leaves = _floating(tree)
        if not leaves:
            raise ValueError(
                "the parameters hold no number of floating point: there is nothing to check"
            )
        chosen = _chosen(leaves, entries)
        _refuse_lower_precision(fn, tree, others)
        shape = jax.eval_shape(fn, tree, *others)
        if getattr(shape, "shape", None) != () or shape.dtype != np.float64:
            raise ValueError(f"the function gives {shape}: expected one number of float64")
        compiled, backward = jax.jit(fn), jax.jit(jax.grad(fn, allow_int=True))

        def evaluate(tree: Any) -> float:
            return float(compiled(tree, *others))

        def point(tree: Any) -> _Point:
            return _Point(evaluate, tree, backward(tree, *others))

        here = point(tree)
        nearby = functools.cache(lambda: point(_moved(tree, seed, _displaced)))
        random = np.random.default_rng(seed)
        rows = []
        for path, leaf in leaves.items():
            slopes = []
            for label, v in _directions(leaf.shape, directions, chosen[path], random):
                found = here.slopes(path, label, v, tolerance)
                if found.verdict != "agrees" and math.isfinite(found.gradient):
                    found = nearby().slopes(path, label, v, tolerance)
                    found = dataclasses.replace(found, moved=True)
                slopes.append(found)
            rows.append(LeafCheck(path, leaf.shape, tuple(slopes)))
    return GradientCheck(here.value, tolerance, tuple(row for row in rows if row.slopes))


# ------------------------------------------------------------------------------------------
# The gradient that trains, in float32, beside that of float64, which differences can check.
#
# Kernels for one type alone, such as loops for float32, have no part in a check in float64.

ROUNDING = 2.0**-10
"""Relative error of a leaf that is always allowed: 2^14 units of float32's rounding 2^-24. Sums of
thousands and a hundred layers in a row lose some ten to some hundred units."""
BACKWARD = 16.0
"""A stable computation gives what the exact one gives for inputs that are off by about their
rounding. This multiple of what such a change of all inputs does to the gradient is allowed: where a
batch has few elements to normalize by, it is a percent and more of the leaf."""
CANCELLED = 2.0**-20
"""Share of the whole gradient, 16 units, that rounding may leave in any leaf: in a bias in front of
batch normalization the exact terms cancel."""


@dataclass(frozen=True)
class LeafPrecision:
    """One leaf of the gradient in float32.

    Attributes:
        norm: |g| of the gradient in float64.
        error: |g32 - g| / |g|.
        noise: `BACKWARD` |g' - g| + `CANCELLED` |whole gradient|, with g' the gradient in float64
            of parameters and arguments moved by 2^-24 of themselves, up or down at random.
        verdict: Agrees if |g32 - g| <= tolerance |g| + noise; inconclusive where it does and the
            noise is above |g| / 2, so that a wrong factor could not be told.
    """

    leaf: str
    norm: float
    error: float
    noise: float
    verdict: Verdict


def check_precision(
    fn: Callable[..., Any],
    exact: Callable[..., Any],
    parameters: Any,
    *args: Any,
    tolerance: float = ROUNDING,
    seed: int = 0,
) -> tuple[LeafPrecision, ...]:
    """Compare a function's gradient in float32, compiled as it trains, with that in float64.

    Whatever the platform computes float32 by takes part. A kink (ReLU, maximum) may fall on
    different sides in the two, so where a leaf does not agree the same is asked at a point nearby,
    as in `check_gradient`, and this counts.

    `fn` computes in float32, `exact` is the same function in the precision of its arguments; the
    tolerance is the largest relative error of a leaf, in the Euclidean norm. Else as for
    `check_gradient`.

    Example:
        >>> def cube(x):
        ...     return jnp.sum(x**3)
        >>> (row,) = check_precision(cube, cube, jnp.array([1.0, 2.0]))
        >>> row.verdict, row.error < 1e-7
        ('agrees', True)
    """
    fast, slow = (jax.jit(jax.grad(each, allow_int=True)) for each in (fn, exact))

    def at(tree: Any) -> tuple[LeafPrecision, ...]:
        found = jax.device_get(fast(tree, *args))
        with double_precision():
            inputs = _cast((tree, *args), np.float64)
            exact, moved = (slow(*each) for each in (inputs, _moved(inputs, seed, _rounded)))
            return _compared(_cast(found, np.float64), exact, moved, tolerance)

    single = _cast(parameters, np.float32)
    here = at(single)
    if all(row.verdict == "agrees" for row in here):
        return here
    with double_precision():
        moved = _cast(_moved(_cast(single, np.float64), seed, _displaced), np.float32)
    nearby = at(moved)
    return tuple(
        row if row.verdict == "agrees" else other for row, other in zip(here, nearby, strict=True)
    )


def _compared(found: Any, exact: Any, moved: Any, tolerance: float) -> tuple[LeafPrecision, ...]:
    found, exact, moved = map(_floating, (found, exact, moved))
    whole = math.hypot(*map(_length, exact.values()))
    rows = []
    for path, known in exact.items():
        apart, norm = _length(found[path] - known), _length(known)
        noise = BACKWARD * _length(moved[path] - known) + CANCELLED * whole
        if not apart <= tolerance * norm + noise:
            verdict: Verdict = "disagrees"
        else:
            verdict = "agrees" if noise <= norm / 2 else "inconclusive"
        rows.append(LeafPrecision(path, norm, apart / norm if norm else math.nan, noise, verdict))
    return tuple(rows)


def _length(leaf: Any) -> float:
    return float(np.linalg.norm(np.ravel(leaf)))


class _Point:
    """Parameters, with the function, its value and its gradient there."""

    def __init__(self, evaluate: Callable[[Any], float], tree: Any, gradient: Any) -> None:
        self.evaluate, self.tree = evaluate, tree
        self.gradients = _floating(gradient)
        self.value, again = evaluate(tree), evaluate(tree)
        if not math.isfinite(self.value):
            raise ValueError(
                f"the function gives {self.value}: choose parameters where it is finite"
            )
        if self.value != again:
            raise ValueError(
                f"the function gives {self.value} and then {again}: fix its random key"
            )

    def slopes(
        self, path: str, label: str, v: Float[np.ndarray, "..."], tolerance: float
    ) -> Slopes:
        """The slope of one leaf along one direction, all other leaves held."""
        flat, structure = jax.tree.flatten_with_path(self.tree)
        leaves = [leaf for _, leaf in flat]
        place = [_path(where) for where, _ in flat].index(path)

        def line(distance: float) -> float:
            held = [*leaves[:place], leaves[place] + distance * v, *leaves[place + 1 :]]
            return self.evaluate(jax.tree.unflatten(structure, held))

        expected = float(np.sum(v * self.gradients[path]))
        return compare(label, line, expected, _scale(leaves[place]), self.value, tolerance)


def _moved(tree: Any, seed: int, move: Callable[[Any, np.random.Generator], Any]) -> Any:
    """The tree with each of its leaves of float64 moved at random."""
    random = np.random.default_rng(seed)

    def moved(leaf: Any) -> Any:
        double = jnp.result_type(leaf) == np.float64 and np.size(leaf)
        return move(leaf, random) if double else leaf

    return jax.tree.map(moved, tree)


def _displaced(leaf: Any, random: np.random.Generator) -> Any:
    """Off its kinks."""
    return leaf + DISPLACEMENT * _scale(leaf) * random.normal(size=np.shape(leaf))


def _rounded(leaf: Any, random: np.random.Generator) -> Any:
    """By float32's rounding unit of itself, up or down."""
    return leaf * (1 + 2.0**-24 * random.choice([-1.0, 1.0], size=np.shape(leaf)))


def _scale(leaf: Any) -> float:
    return max(float(np.sqrt(np.mean(leaf**2))), SMALLEST_SCALE)


def _cast(tree: Any, kind: Any) -> Any:
    """The tree with its numbers of floating point in this type, as numpy arrays."""

    def cast(leaf: Any) -> Any:
        floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return np.asarray(leaf, kind) if floating else leaf

    return jax.tree.map(cast, tree)


def _floating(tree: Any) -> dict[str, Float[np.ndarray, "..."]]:
    """The leaves of float64 by path."""
    return {
        _path(path): np.asarray(leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
        if jnp.result_type(leaf) == np.float64 and np.size(leaf)
    }


_path = functools.partial(jax.tree_util.keystr, simple=True, separator="/")


def _chosen(
    paths: Collection[str], entries: int | Mapping[str, Sequence[Index]]
) -> dict[str, int | Sequence[Index]]:
    """The entries asked for, leaf by leaf: how many, or which."""
    if isinstance(entries, int):
        return dict.fromkeys(paths, entries)
    if unknown := [path for path in entries if path not in paths]:
        raise ValueError(f"there is no leaf {unknown[0]!r}: expected one of {', '.join(paths)}")
    return {path: entries.get(path, ()) for path in paths}


def _refuse_lower_precision(fn: Callable[..., Any], tree: Any, others: Sequence[Any]) -> None:
    """Differences of values that were rounded to float32 on the way tell nothing."""
    for equation in equations(fn, tree, *others):
        kinds = [x.dtype for x in (*equation.inputs[:1], *equation.outputs[:1])]
        if equation.primitive == "convert_element_type" and kinds[0] == np.float64:
            low = jnp.issubdtype(kinds[1], jnp.floating) and kinds[1] != np.float64
            if low and equation.inputs[0].size > 0:
                where = "/".join(equation.scope) or "the function"
                raise ValueError(
                    f"{where} rounds float64 to {kinds[1]}: write it so that it computes in the "
                    "precision of its arguments"
                )


def _directions(
    shape: tuple[int, ...],
    directions: int,
    entries: int | Sequence[Index],
    random: np.random.Generator,
) -> list[tuple[str, Float[np.ndarray, "..."]]]:
    """The directions to go, with their names."""
    found: list[tuple[str, Float[np.ndarray, "..."]]] = [
        (f"direction {number}", random.choice([-1.0, 1.0], size=shape))
        for number in range(1, directions + 1)
    ]
    if isinstance(entries, int):
        size = math.prod(shape)
        places = random.choice(size, min(entries, size), replace=False)
        entries = [tuple(map(int, np.unravel_index(place, shape))) for place in places]
    for index in entries:
        inside = (0 <= i < n for i, n in zip(index, shape, strict=True))
        if len(index) != len(shape) or not all(inside):
            raise ValueError(
                f"the entry {index} of a leaf of shape {shape}: there is no such entry"
            )
        one = np.zeros(shape)
        one[index] = 1.0
        found.append((str(list(index)), one))
    return found
