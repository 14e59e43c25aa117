"""The layers of a JAX function: what each costs, and how data flows from one to the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Literal, TypeVar

import jax
from jax.extend.core import JaxprEqn

from ablax.analysis.jax_versions import bodies
from ablax.analysis.jaxpr import ROOTS, Equation, Flow, Step, Value, equations, flow

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
_WEIGHTED = ("convolution", "dense", "product")
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
    """What a layer does, with a name such as `"convolution 3x3/2"`; it is counted by its family.

    The window of a response normalization is its number of channels; padding is in total, above and
    below together. A convolution or dense layer has output `features`.
    """

    name: str
    family: Family
    window: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    groups: int = 1
    features: int = 0


def operation(steps: Sequence[Step], outside: Sequence[Value]) -> Operation:
    """What the steps of one layer do together: at most one product among them.

    `outside` are the activations that they read and have not written.
    """
    for step in steps:
        if step.primitive == "conv_general_dilated":
            return _convolution(step)
        if step.primitive == "dot_general":
            return _product(step)
    names = {step.primitive for step in steps}
    if names <= MOVES | {"neg"}:
        return _move(names)
    window = next((s for s in steps if s.primitive.startswith("reduce_window")), None)
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
    inner = slice(1, -1) if len(window) > 2 else slice(None)
    window, stride, padding = window[inner], stride[inner], padding[inner]
    kind = step.primitive.removeprefix("reduce_window").strip("_")
    if kind == "max":
        kind = "min" if "neg" in names else "max"
    name = {"max": "max pool", "min": "min pool", "sum": "average pool"}.get(kind, "pool")
    if name == "average pool" and not names & {"mul", "div"}:
        name = "sum pool"
    return Operation(name + _placed(window, stride), "pool", window, stride, padding)


def _normalization(steps: Sequence[Step]) -> str:
    """Batch normalization that uses kept statistics reduces nothing."""
    sums = [step for step in steps if step.primitive == "reduce_sum"]
    rooted = any(s.primitive in ROOTS and s.reads[0].kind == "activation" for s in steps)
    if not sums and rooted:
        return "root or power"
    if not sums or all(0 in step.equation.params["axes"] for step in sums):
        return "batch normalization"
    return "normalization"


def _reduction(steps: Sequence[Step]) -> Operation | None:
    """The sum, mean or greatest of whole axes."""
    found = [s for s in steps if s.primitive.startswith(("reduce_", "arg", "cum"))]
    if not found:
        return None
    step = found[0]
    name, axes = step.primitive, step.equation.params.get("axes", ())
    shape = step.equation.inputs[0].shape
    maps = len(shape) > 2 and tuple(axes) == tuple(range(1, len(shape) - 1))
    window = tuple(shape[axis] for axis in axes)
    divided = {"div", "mul"} & {s.primitive for s in steps}
    mean = name == "reduce_sum" and divided
    if maps and (mean or name == "reduce_max"):
        stride, padding = (1,) * len(window), (0,) * len(window)
        kind = "average" if mean else "max"
        return Operation(f"global {kind} pool", "pool", window, stride, padding)
    return Operation("mean" if mean else name.replace("_", " "), "reduction")


def _elementwise(steps: Sequence[Step], names: set[str], outside: Sequence[Value]) -> Operation:
    names = names - MOVES
    if len({value.origin for value in outside}) > 1:
        name = next(iter(names)) if len(names) == 1 else ""
        return Operation(_ARITHMETIC.get(name, "elementwise"), "elementwise")
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


@dataclass(frozen=True, eq=False)
class Layer:
    """A few steps, in order, that a table shows as one row; its path has the outermost name first.

    It reads activations that it has not written, each once, and parameters (`leaves`, by number);
    it writes activations that others read, or that are results.
    """

    path: tuple[str, ...]
    operation: Operation
    steps: tuple[Step, ...]
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    leaves: frozenset[int]

    @property
    def trips(self) -> int | None:
        """How often it runs."""
        return self.steps[0].equation.trips

    @property
    def biases(self) -> frozenset[int]:
        """The parameters that are added behind a product."""
        if self.operation.family not in _WEIGHTED:
            return frozenset()
        added = (step for step in self.steps if adds_parameter(step))
        return frozenset().union(*(value.leaves for step in added for value in step.reads))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the largest activation that it reads, as it reads it."""
        outside = set(self.reads)
        products = [step for step in self.steps if step.primitive in PRODUCTS]
        steps = products[:1] or self.steps
        read = [v.shape for step in steps for v in step.reads if v.origin in outside]
        return max(read, key=math.prod, default=())

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what it writes last."""
        return (self.writes or self.steps[-1].writes)[-1].shape

    @property
    def note(self) -> str:
        """What a reader of the row has to know."""
        words = []
        if self.steps[0].chosen:
            words.append("dearest branch of a cond")
        if self.trips is not None and self.trips > 1:
            words.append(f"runs {self.trips} times")
        return ", ".join(words)


def layers(traced: Flow) -> list[Layer]:
    """The layers of a function, in the order of execution.

    Steps that stand one behind the other under one name are one layer; a product or a maximum over
    windows begins another, and keeps its bias. Where every layer has a name of its own, as in
    Linen, that gives the layers as written; in a function without names, every product a layer and
    what stands between two a layer. What prepares parameters or constants alone, or only looks at
    its input in another shape, is no layer.
    """
    working = [
        step
        for step in traced.steps
        if step.primitive in PRODUCTS or any(value.kind == "activation" for value in step.reads)
    ]
    runs = groupby(working, key=lambda step: (step.equation.scope, step.equation.trips))
    pieces = [piece for _, run in runs for piece in _pieces(run)]
    read: dict[Value, set[int]] = {}
    for place, piece in enumerate(pieces):
        for step in piece:
            for value in step.reads:
                read.setdefault(value.origin, set()).add(place)
    results = {value.origin for value in (*traced.outputs, *traced.escaped)}
    return [_layer(piece, place, read, results) for place, piece in enumerate(pieces)]


def _pieces(run: Iterable[Step]) -> Iterator[list[Step]]:
    """Cut what stands under one name where a new layer begins."""
    piece: list[Step] = []
    closed = False  # is the piece a product or pool that only takes its bias?
    for step in run:
        name = step.primitive
        begins = name in PRODUCTS or name == "reduce_window_max"
        # a change of place or sign belongs to what follows
        prepared = begins and all(s.primitive in MOVES | {"neg"} for s in piece)
        kept = closed and not begins and (adds_parameter(step) or name in MOVES | {"neg"})
        if piece and not prepared and not kept and (begins or closed):
            yield piece
            piece, closed = [], False
        piece.append(step)
        closed = closed or begins
    if piece:
        yield piece


def adds_parameter(step: Step) -> bool:
    """Whether a step adds a parameter to an activation, as a bias is added."""
    kinds = sorted(value.kind for value in step.reads)
    return step.primitive in ("add", "add_any") and kinds == ["activation", "parameter"]


def _layer(
    piece: list[Step], place: int, read: dict[Value, set[int]], results: set[Value]
) -> Layer:
    written = {value for step in piece for value in step.writes}
    reads: dict[Value, None] = {}
    leaves: set[int] = set()
    for step in piece:
        for value in step.reads:
            leaves |= value.leaves
            if value.kind == "activation" and value.origin not in written:
                reads.setdefault(value.origin)
    writes = tuple(
        value
        for step in piece
        for value in step.writes
        if value in results or read.get(value, set()) - {place}
    )
    outside = tuple(reads)
    path = piece[0].equation.scope
    return Layer(path, operation(piece, outside), tuple(piece), outside, writes, frozenset(leaves))


def total_macs(equation: Equation) -> int:
    """Multiply-accumulates of all trips of one equation; 0 when it is no product.

    One trip costs its outputs times the terms of each sum: of a matrix product

        (batch · rows · columns) · inner

    and of a convolution with an output of P × Q, a kernel of R × S and C input channels

        (N · P · Q · features) · (R · S · C / groups).

    Taps on padding count, as in the papers' tables, and so do the zeros of an input dilation
    (`lhs_dilation`, of a transposed convolution): the law does not guess which products with zero
    a device leaves out. Stride enters through the output size; dilation costs nothing. With
    `batch_group_count` the output has that many times fewer images, and the law is the same. (V.
    Sze et al. 2017, "Efficient Processing of Deep Neural Networks: A Tutorial and Survey", the
    equation of a convolutional layer.)

    Raises:
        ValueError: A product stands where nobody can say how often it runs: in a `while` loop, or
            in a primitive that we do not look into.
    """
    where = "/".join(equation.scope) or "outside every layer"
    if equation.primitive not in PRODUCTS:
        if hidden := _first_product(equation.eqn):
            raise ValueError(
                f"a {hidden} stands inside `{equation.primitive}` ({where}), which is not looked "
                "into, so its cost is unknown; give a function that calls it directly"
            )
        return 0
    if equation.trips is None:
        raise ValueError(
            f"a {equation.primitive} stands in a `while` loop ({where}), whose number of trips is "
            "unknown; use `jax.lax.scan`, or `fori_loop` with constant bounds"
        )
    numbers = equation.params["dimension_numbers"]
    if equation.primitive == "dot_general":
        place, summed = 0, numbers[0][0]
    else:
        place, summed = 1, numbers.rhs_spec[1:]  # of the kernel all but the output features
    terms = math.prod(equation.inputs[place].shape[axis] for axis in summed)
    return equation.trips * math.prod(equation.outputs[0].shape) * terms


def _first_product(eqn: JaxprEqn) -> str | None:
    """The first product inside the jaxprs of a leaf equation, at any depth."""
    for inner in (inner for jaxpr, _ in bodies(eqn) for inner in jaxpr.eqns):
        name = inner.primitive.name
        if found := name if name in PRODUCTS else _first_product(inner):
            return found
    return None


@dataclass(frozen=True)
class Convention:
    """A way of counting, with its name and a sentence or two for the foot of a table.

    `macs` gives the multiply-accumulates of a layer, all its trips; `stored` the elements that it
    stores as parameters, from the sizes of all parameters (0 for one that is not learned).
    """

    name: str
    says: str
    macs: Callable[[Layer], int]
    stored: Callable[[Layer, Sequence[int]], int]


def _usual_macs(layer: Layer) -> int:
    return sum(total_macs(step.equation) for step in layer.steps)


def _usual_stored(layer: Layer, sizes: Sequence[int]) -> int:
    return sum(sizes[leaf] for leaf in layer.leaves)


def _lecture_macs(layer: Layer) -> int:
    """One product more for every output with a bias; of the rest what an output takes."""
    trips = 1 if layer.trips is None else layer.trips
    out = math.prod(layer.output_shape)
    family = layer.operation.family
    products = _usual_macs(layer)
    if family in _WEIGHTED:
        return products + (out * trips if layer.biases else 0)
    if family == "pool":
        return out * trips * math.prod(layer.operation.window)
    if family == "response normalization":
        return out * trips * (2 * layer.operation.window[0] - 1)
    if family == "elementwise":
        return out * trips * max(1, len(layer.reads) - 1)
    if family == "reduction":
        return math.prod(layer.input_shape) * trips
    return 0 if family == "rearrangement" else out * trips


def _lecture_stored(layer: Layer, sizes: Sequence[int]) -> int:
    weights = sum(sizes[leaf] for leaf in layer.leaves - layer.biases)
    # a bias is stored for every place of one image
    return weights + (math.prod(layer.output_shape[1:]) if layer.biases else 0)


USUAL = Convention(
    name="usual",
    says=(
        "multiply-accumulates of convolutions and matrix products alone, padded taps counted; "
        "parameters are the numbers learned, without running statistics"
    ),
    macs=_usual_macs,
    stored=_usual_stored,
)

LECTURE = Convention(
    name="lecture",
    says=(
        "as in the AlexNet table of L2: a bias is one multiply-accumulate and one stored number "
        "for every output; a nonlinearity and a softmax cost 1 for every number, a pool its "
        "window (3x3: 9), response normalization over n channels 2 n - 1 (n = 5: 9). Where that "
        "table says nothing: batch normalization and each addition or product of maps cost 1 for "
        "every number, a sum its length, a rearrangement nothing"
    ),
    macs=_lecture_macs,
    stored=_lecture_stored,
)

CONVENTIONS = {convention.name: convention for convention in (USUAL, LECTURE)}

_Row = TypeVar("_Row", "CostRow", "TrainingRow")


@dataclass(frozen=True)
class CostRow:
    """What a layer costs, by its path, such as `"inception_3a/branch1x1/conv"`.

    Of several inputs the shape is the largest's; multiply-accumulates are of all trips of the loops
    around it. Parameters that two layers share are counted with the first. Memory is in numbers:
    that it reads and that are no parameters, of parameters, that it writes for others to read.
    """

    path: str
    operation: Operation
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    macs: int
    parameters: int
    input_memory: int
    parameter_memory: int
    output_memory: int
    note: str = ""

    @property
    def memory(self) -> int:
        """Numbers that it moves: input, parameters and output."""
        return self.input_memory + self.parameter_memory + self.output_memory

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-accumulates for each number moved."""
        return self.macs / self.memory if self.memory else 0.0

    def bytes(self, width: int = 4) -> int:
        """The memory in bytes, at that many bytes per element."""
        return self.memory * width


def cost(
    fn: Callable[..., Any],
    *args: Any,
    convention: Convention = USUAL,
    parameters: int | None = 0,
    statistics: Sequence[str] = ("batch_stats",),
) -> list[CostRow]:
    """What `fn(*args)` costs, one row per layer; nothing is computed.

    What a layer is says `layers`; the outermost name, when all share it, is left out. Its input is
    what it reads and others wrote, its output what it writes and others read: both counted once, as
    if every layer read and wrote main memory. New shapes and types are free, a broadcast is as
    large as what it repeats. A `scan` costs its length times its body, a `cond` its dearest branch
    (the row's note says so), a `platform_dependent` choice its default branch.

    The rows stand in the order of execution; last, where there are any, a row of the parameters
    that `fn` does not read, such as those of heads that run in training alone.

    Args:
        fn: Any function that JAX can trace.
        *args: Arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        parameters: Which argument holds the parameters, all its leaves; None when there are none.
            What `fn` holds itself (constants, closed-over arrays) is neither parameter nor input.
        statistics: Names in the tree of parameters whose leaves are kept, but not learned: they
            are no parameters and no memory.

    Raises:
        ValueError: There is no such argument; or something runs an unknown number of times: in a
            `while` loop, or a product in a primitive that we do not look into.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def layer(weights, x):
        ...     with jax.named_scope("fc6"):
        ...         return jax.nn.sigmoid(x @ weights["kernel"] + weights["bias"])
        >>> weights = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}
        >>> for row in cost(layer, weights, jnp.ones((1, 4))):
        ...     print(row.path, row.operation.name, row.macs, row.parameters, row.memory)
        fc6 dense 12 15 22
        fc6 sigmoid 0 0 6
    """
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    found, sizes = layers(traced), _learned(traced, statistics)
    rows = _rows(found, convention, sizes)
    read = frozenset[int]().union(*(layer.leaves for layer in found))
    if unread := sum(size for leaf, size in enumerate(sizes) if leaf not in read):
        operation = Operation("not read", "unread")
        rows.append(CostRow("(not read)", operation, (), (), 0, unread, 0, 0, 0))
    return rows


def _learned(traced: Flow, statistics: Sequence[str]) -> list[int]:
    """The elements of each parameter, 0 for one that is not learned."""
    return [
        0 if set(path) & set(statistics) else size
        for path, size in zip(traced.paths, traced.sizes, strict=True)
    ]


def shared_root(found: Sequence[Layer]) -> int:
    """1 when every layer stands inside one outermost name, else 0."""
    first = {layer.path[:1] for layer in found}
    return int(len(first) == 1 and any(len(layer.path) > 1 for layer in found))


def _rows(found: Sequence[Layer], convention: Convention, sizes: Sequence[int]) -> list[CostRow]:
    root, unseen = shared_root(found), list(sizes)
    rows = []
    for layer in found:
        if layer.trips is None:
            raise ValueError(
                f"{layer.operation.name} stands in a `while` loop "
                f"({'/'.join(layer.path) or 'no name'}), whose number of trips is unknown; use "
                "`jax.lax.scan`, or `fori_loop` with constant bounds"
            )
        rows.append(
            CostRow(
                path="/".join(layer.path[root:]),
                operation=layer.operation,
                input_shape=layer.input_shape,
                output_shape=layer.output_shape,
                macs=convention.macs(layer),
                parameters=convention.stored(layer, unseen),
                input_memory=layer.trips * sum(value.size for value in layer.reads),
                parameter_memory=convention.stored(layer, sizes),
                output_memory=layer.trips * sum(value.size for value in layer.writes),
                note=layer.note,
            )
        )
        for leaf in layer.leaves:
            unseen[leaf] = 0
    return rows


def fold(rows: Sequence[_Row], depth: int) -> list[_Row]:
    """The rows of a table, those inside a block added up; a block of one layer keeps its operation.

    So many names of a path as the depth says are kept: with 1, a row for each layer of the paper's
    table. Memory is what the layers inside read and write, not what crosses the border of the
    block, so the totals do not depend on the depth.

    Raises:
        ValueError: The depth is less than 1.

    Example:
        >>> dense, relu = Operation("dense", "dense"), Operation("ReLU", "nonlinearity")
        >>> rows = [CostRow("fc6/dense", dense, (1, 4), (1, 3), 12, 15, 4, 15, 3),
        ...         CostRow("fc6/relu", relu, (1, 3), (1, 3), 0, 0, 3, 0, 3)]
        >>> [(row.path, row.operation.name, row.macs, row.memory) for row in fold(rows, 1)]
        [('fc6', 'dense, ReLU', 12, 28)]
    """
    if depth < 1:
        raise ValueError(f"depth={depth}: expected at least 1, a row for each outermost layer")
    blocks = groupby(rows, key=lambda row: "/".join(row.path.split("/")[:depth]))
    return [_together(path, list(inside)) for path, inside in blocks]


def _together(path: str, rows: list[_Row]) -> _Row:
    """One row of several."""
    operation, number = rows[0].operation, len(rows)
    if number > 1:
        names = ", ".join(row.operation.name for row in rows) if number < 4 else f"{number} layers"
        operation = Operation(names, "block")
    told: dict[str, Any] = {
        field.name: sum(getattr(row, field.name) for row in rows)
        for field in fields(rows[0])
        if field.type == "int"
    }
    notes = dict.fromkeys(row.note for row in rows if isinstance(row, CostRow) and row.note)
    if notes:
        told["note"] = "; ".join(notes)
    shape = rows[-1].output_shape
    return replace(rows[0], path=path, operation=operation, output_shape=shape, **told)


def macs(fn: Callable[..., Any], *args: Any) -> int:
    """Multiply-accumulates of `fn(*args)` in convolutions and matrix products; nothing is computed.

    The usual convention of the papers: biases, normalization, pooling and nonlinearities are free,
    padded taps count. Loops and choices count, and are refused, as in `cost`. For a batch of one it
    is the figure the papers print, such as the "FLOPs" of K. He et al. (2015), "Deep Residual
    Learning for Image Recognition", section 3.3, which are multiply-adds.

    Example:
        A 3×3 kernel on a 7×7 image fits at 5×5 places:

        >>> import jax, jax.numpy as jnp
        >>> def conv(x, kernel):
        ...     return jax.lax.conv_general_dilated(
        ...         x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        >>> macs(conv, jnp.ones((1, 7, 7, 1)), jnp.ones((3, 3, 1, 1)))
        225
    """
    return sum(macs_by_scope(fn, *args).values())


def macs_by_scope(fn: Callable[..., Any], *args: Any) -> dict[str, int]:
    """`macs` of each layer that has any, by its path, in the order of execution.

    A path is such as `"AlexNet/conv1/conv"`, and `""` for what stands outside every layer.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def two_layers(x, v, w):
        ...     with jax.named_scope("fc6"):
        ...         x = x @ v
        ...     with jax.named_scope("fc7"):
        ...         return x @ w
        >>> macs_by_scope(two_layers, jnp.ones((1, 2)), jnp.ones((2, 3)), jnp.ones((3, 4)))
        {'fc6': 6, 'fc7': 12}
    """
    by_scope: dict[str, int] = {}
    for equation in equations(fn, *args, weight=total_macs):
        if total := total_macs(equation):
            path = "/".join(equation.scope)
            by_scope[path] = by_scope.get(path, 0) + total
    return by_scope


# ------------------------------------------------------------------------------------------
# What a step of training costs: the forward pass, both gradients, and what is kept for them.
#
# Of a product y = x w the gradient by x and the gradient by w are sums over the same triples of
# elements as y, so each costs what y costs. Where x depends on nothing that is learned, nobody asks
# for its gradient: the first layer has none, and training costs three times the forward pass minus
# that gradient.


@dataclass(frozen=True)
class TrainingRow:
    """Multiply-accumulates of a layer in a step of training, in the usual convention.

    `kept` are the numbers that it leaves for the backward pass; the mask of a ReLU has one byte a
    number.
    """

    path: str
    operation: Operation
    output_shape: tuple[int, ...]
    forward: int
    by_input: int
    by_weights: int
    kept: int
    kept_bytes: int

    @property
    def training(self) -> int:
        """Multiply-accumulates of all three."""
        return self.forward + self.by_input + self.by_weights


def training_cost(
    fn: Callable[..., Any],
    *args: Any,
    parameters: int = 0,
    statistics: Sequence[str] = ("batch_stats",),
) -> list[TrainingRow]:
    """What a step of training `fn` costs, one row per layer; arguments and errors as for `cost`.

    Products alone are counted, as in the usual convention. What is kept are the residuals of
    `jax.vjp` by the learned parameters, each counted once with the layer that made it; arguments
    among them are not counted, for they are there anyway. A compiler may keep less and compute
    again.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def two_layers(weights, x):
        ...     with jax.named_scope("fc6"):
        ...         x = jnp.tanh(x @ weights[0])
        ...     with jax.named_scope("fc7"):
        ...         return x @ weights[1]
        >>> weights = jnp.ones((4, 3)), jnp.ones((3, 2))
        >>> for row in training_cost(two_layers, weights, jnp.ones((1, 4))):
        ...     print(row.path, row.operation.name, row.forward, row.by_input, row.by_weights)
        fc6 dense 12 0 12
        fc6 tanh 0 0 0
        fc7 dense 6 6 6
    """
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    found, sizes = layers(traced), _learned(traced, statistics)
    trained = _trained(traced, sizes)
    learned = [n for n, path in enumerate(traced.paths) if not set(path) & set(statistics)]
    kept = _kept(fn, args, parameters, learned, found)
    rows = []
    for place, (row, layer) in enumerate(zip(_rows(found, USUAL, sizes), found, strict=True)):
        gradients = [
            (value.kind == "parameter", total_macs(step.equation))
            for step in layer.steps
            if step.primitive in PRODUCTS
            for value in step.reads
            if trained(value)
        ]
        values = kept.get(place, [])
        rows.append(
            TrainingRow(
                path=row.path,
                operation=row.operation,
                output_shape=row.output_shape,
                forward=row.macs,
                by_input=sum(macs for by_weights, macs in gradients if not by_weights),
                by_weights=sum(macs for by_weights, macs in gradients if by_weights),
                kept=sum(value.size for value in values),
                kept_bytes=sum(value.size * value.width for value in values),
            )
        )
    return rows


def _trained(traced: Flow, sizes: Sequence[int]) -> Callable[[Value], bool]:
    """Whether a value depends on something that is learned."""
    free: set[Value] = {value.origin for value in traced.inputs}

    def trained(value: Value) -> bool:
        if value.kind != "activation":
            return any(sizes[leaf] for leaf in value.leaves)
        # a slice is as its whole; what a loop carries may depend on all that stands in it
        whole = value.origin if value.origin.whole is None else value.origin.whole
        return whole not in free

    for step in traced.steps:
        if not any(trained(value) for value in step.reads):
            free.update(step.writes)
    return trained


def _kept(
    fn: Callable[..., Any],
    args: Sequence[Any],
    parameters: int,
    learned: Sequence[int],
    found: Sequence[Layer],
) -> dict[int, list[Value]]:
    """What is kept for the backward pass, by the layer that makes it."""
    leaves, tree = jax.tree.flatten(args[parameters])

    def residuals(leaves: Sequence[Any], *others: Any) -> Any:
        def of_learned(given: Mapping[int, Any]) -> Any:
            filled = [given.get(number, leaf) for number, leaf in enumerate(leaves)]
            whole = jax.tree.unflatten(tree, filled)
            return fn(*others[:parameters], whole, *others[parameters:])

        return jax.tree.leaves(jax.vjp(of_learned, {n: leaves[n] for n in learned})[1])

    others = [argument for place, argument in enumerate(args) if place != parameters]
    traced = flow(residuals, leaves, *others, parameters=0, weight=total_macs)
    kept: dict[int, list[Value]] = {}
    for value in dict.fromkeys(output.origin for output in traced.outputs):
        if value.kind == "activation" and value in traced.scopes:  # arguments are in none
            kept.setdefault(_place(traced.scopes[value], found), []).append(value)
    return kept


def _place(scope: tuple[str, ...], found: Sequence[Layer]) -> int:
    """The last layer of that name, or of the longest part of it that names one."""
    for length in range(len(scope), -1, -1):
        places = [n for n, layer in enumerate(found) if layer.path[:length] == scope[:length]]
        if places:
            return places[-1]
    return len(found) - 1


# ------------------------------------------------------------------------------------------
# The graph of a function as data flows through it. In the jaxpr an arrow is an array that one
# layer writes and another reads, so skips, branches and concatenations show by themselves, whatever
# classes a user's modules have; what computes nothing (a dropout at inference) is no node.


@dataclass(frozen=True)
class Node:
    """A layer, or an operation that stands in a block, such as the sum of a residual block.

    Its path leaves out the name that all share; the shape is that of its largest input. The leaves
    are the parameters that it reads, as paths: `"params/conv1/conv/kernel"`.
    """

    path: tuple[str, ...]
    operation: str
    family: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    leaves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """An array, of the shape in which it was written, from one node to a later one, by number."""

    source: int
    target: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class DataFlow:
    """A function as a directed graph without cycles; its edges, all forward, are there once each.

    The nodes are first the inputs (family `"input"`), then the layers in the order of execution,
    then the outputs (family `"output"`).
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def layers(self) -> range:
        """The numbers of the nodes that are layers, in the order of the rows of `cost`."""
        ends = [node.family for node in self.nodes]
        return range(ends.count("input"), len(ends) - ends.count("output"))

    def into(self, node: int) -> tuple[int, ...]:
        """The nodes from which an edge leads to this one."""
        return tuple(edge.source for edge in self.edges if edge.target == node)


def data_flow(fn: Callable[..., Any], *args: Any, parameters: int | None = 0) -> DataFlow:
    """The graph of `fn(*args)`; nothing is computed.

    A loop is drawn once: its body, entered by what it starts from and by what it takes slices of.
    Arguments are those of `cost`, and so is what is refused, but for loops; the parameters are no
    inputs of the graph.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def residual(weights, x):
        ...     with jax.named_scope("fc"):
        ...         y = jnp.tanh(x @ weights)
        ...     with jax.named_scope("sum"):
        ...         return x + y
        >>> graph = data_flow(residual, jnp.ones((3, 3)), jnp.ones((1, 3)))
        >>> [node.operation for node in graph.nodes]
        ['input', 'dense', 'tanh', 'add', 'output']
        >>> [(edge.source, edge.target) for edge in graph.edges]
        [(0, 1), (1, 2), (0, 3), (2, 3), (3, 4)]
    """
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    found = layers(traced)
    root, names = shared_root(found), ["/".join(path) for path in traced.paths]
    nodes = [Node((), "input", "input", value.shape, value.shape) for value in traced.inputs]
    writers = {value: number for number, value in enumerate(traced.inputs)}
    edges: dict[Edge, None] = {}
    for number, layer in enumerate(found, start=len(traced.inputs)):
        nodes.append(
            Node(
                path=layer.path[root:],
                operation=layer.operation.name,
                family=layer.operation.family,
                input_shape=layer.input_shape,
                output_shape=layer.output_shape,
                leaves=tuple(names[leaf] for leaf in sorted(layer.leaves)),
            )
        )
        for value in layer.reads:
            edges |= _edge(value, number, writers)
        for step in layer.steps:
            writers.update(dict.fromkeys(step.writes, number))
    results = {value.origin: value for value in traced.outputs if value.kind == "activation"}
    for value in results.values():  # each array once
        made = _edge(value, len(nodes), writers)
        if made:  # else it depends on no input
            nodes.append(Node((), "output", "output", value.shape, value.shape))
            edges |= made
    return DataFlow(tuple(nodes), tuple(edges))


def _edge(value: Value, target: int, writers: dict[Value, int]) -> dict[Edge, None]:
    """The edge that brings a value to a node: none when no node has written it."""
    origin: Value | None = value.origin
    while origin is not None and origin not in writers:
        origin = origin.whole or origin.began
        origin = None if origin is None else origin.origin
    if origin is None:
        return {}
    return {Edge(writers[origin], target, value.origin.shape): None}
