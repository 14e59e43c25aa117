"""Layers applied several times: repeated, recurrent, tied weights, ensembles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from ablax.core.edits import Edit, EditError, inner_layers, walk
from ablax.core.network import Layers, Network, Sequential, run, run_one
from ablax.errors import AblaxError
from ablax.layers.activation import sigmoid, tanh
from ablax.layers.blocks import Auxiliary
from ablax.layers.dense import broadcast_with, learned
from ablax.layers.heads import ensemble
from ablax.layers.initializers import FORGET_ONES, GLOROT_NORMAL, ORTHOGONAL, ZEROS, Initializer
from ablax.layers.normalization import BatchNormalization
from ablax.layers.windows import (
    FieldError,
    ShapeError,
    checked,
    common,
    positive,
    promoted,
    takes,
)


@checked(times=positive)
class Repeat(nn.Module):
    """The same layers `times` times, each time with weights of their own: y = f_n(... f_1(x)).

    One `lax.scan` over stacked weights: a leaf of shape s becomes one of (times, *s), the block is
    compiled once whatever the depth, and the blocks have no names of their own any more.

    With `rematerialize` the way back keeps the input of each block alone and computes the block
    again: a third more products, and the memory of one block (Chen, Xu, Zhang, Guestrin 2016,
    Training deep nets with sublinear memory cost).

    Raises:
        ShapeError: The block changes the shape of its input.

    Example:
        >>> from ablax.layers import Dense
        >>> deep = Repeat(Layers(fc=Dense(4)), times=1000)
        >>> variables = jax.eval_shape(deep.init, jax.random.key(0), jnp.ones((1, 4)))
        >>> variables["params"]["fc"]["kernel"].shape
        (1000, 4, 4)
    """

    layers: Layers
    times: int
    rematerialize: bool = False
    stacked: ClassVar[bool] = True
    """Read by `ablax.core.stacks`."""

    @takes("...")
    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *rest"]:
        # inside a scan nothing can be merged with the first computation, so nothing must forbid it
        scan = nn.scan(
            nn.remat(_once, prevent_cse=False) if self.rematerialize else _once,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.times,
        )
        return scan(self, _carried(self, x), None)[0]


def _carried(layer: Repeat | Tied, x: Array) -> Array:
    """The input in the type that a pass gives: a loop cannot change it on the way."""
    kept = [jnp.float32] * layer.is_initializing()
    kept += [leaf.dtype for leaf in jax.tree.leaves(layer.variables.get("params", {}))]
    return x.astype(common(x.dtype, *kept))


def _once(layer: Repeat | Tied, carry: Array, _: None) -> tuple[Array, None]:
    """One pass through the layers."""
    y = run(layer.layers, carry)
    if y.shape != carry.shape:
        raise ShapeError(
            f"{type(layer).__name__} was given {carry.shape} and its layers give {y.shape}: "
            "expected layers that keep the shape; leave the one that changes it outside"
        )
    return y, None


def fold(*kinds: type[nn.Module], rematerialize: bool = False) -> Edit:
    """The edit that turns each run of equal neighbors of these classes into one `Repeat`.

    `res2b`, `res2c`, `res2d` become `res2b_to_res2d`. The folded network computes the same function
    of folded weights (`fold_variables`), but draws other initial ones. Layers of other classes stay
    as they are; `rematerialize` is that of `Repeat`.

    Raises:
        EditError: When applied to a network without two equal neighbors of these classes.
    """

    def apply(network: Network) -> Network:
        def folded(layers: Layers) -> Layers:
            runs = _runs(layers, kinds)
            return Layers({_joined(run): _repeated(run, layers, rematerialize) for run in runs})

        parts = inner_layers(network).items()
        result = network.copy(**{part: folded(layers) for part, layers in parts})
        if result == network:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise EditError(f"the network has no two equal neighbors of class {wanted} to fold")
        return result

    return apply


def fold_variables(
    network: Network, variables: Mapping[str, Any], *kinds: type[nn.Module]
) -> dict[str, Any]:
    """The weights of `network`, stacked for `fold(*kinds)(network)`, which gives the same scores.

    The variables are all collections of the network before folding.
    """
    runs = list(_runs(network.layers, kinds))

    def folded(tree: Mapping[str, Any]) -> dict[str, Any]:
        result = {}
        for run_names in runs:
            trees = [tree[name] for name in run_names if name in tree]
            if len(run_names) == 1:
                result.update({name: tree[name] for name in run_names if name in tree})
            elif trees:
                stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
                result[_joined(run_names)] = {"block": stacked}
        return result

    return {collection: folded(tree) for collection, tree in variables.items()}


def _runs(layers: Layers, kinds: tuple[type[nn.Module], ...]) -> Iterator[tuple[str, ...]]:
    """The names of each run of equal neighbors; one name where a layer stands alone."""

    def same(entry: tuple[str, nn.Module]) -> object:
        name, layer = entry
        return layer if isinstance(layer, kinds) else name

    for _, group in itertools.groupby(layers.items(), key=same):
        yield tuple(name for name, _ in group)


def _joined(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}_to_{names[-1]}"


def _repeated(names: tuple[str, ...], layers: Layers, rematerialize: bool) -> nn.Module:
    layer = layers[names[0]]
    return layer if len(names) == 1 else Repeat(Layers(block=layer), len(names), rematerialize)


# Layers over time, (N, T, C): the filters of signal processing with learned coefficients.
#
# A fully connected layer over the last few moments is a filter of finite impulse response (FIR), a
# recurrent layer one of infinite impulse response (IIR), each with a nonlinearity behind it. With
# `identity` in its place they are those filters. All layers are causal: no output depends on a
# later input.

Nonlinearity = Callable[[Array], Array]


def identity(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The nonlinearity that is none: y = x, which leaves a linear filter."""
    return x


@takes("N T C", integers=True)
def recurrent(
    x: Real[Array, "N T C"],
    kernel: Float[Array, "C F"],
    recurrent_kernel: Float[Array, "F F"],
    bias: Float[Array, "F"],
    nonlinearity: Nonlinearity = tanh,
    initial: Float[Array, "N F"] | None = None,
) -> Float[Array, "N T F"]:
    """Each output is made of the input of the moment and of the output before.

    y(t) = f(y(t-1) G + x(t) H + v)

    With f the identity, F units and a `Dense` layer behind them are any IIR filter of an order
    below F, y(t) = sum of b_k x(t-k) - sum of a_k y(t-k) with a_0 = 1: the first column of G is
    -a_1, -a_2, ..., its other columns pass each unit on to the next, H feeds the first unit, and
    the kernel of the `Dense` layer is b (direct form II).

    H is `kernel`, G `recurrent_kernel` and v `bias`. `initial` is y(-1), zeros when left out: the
    last output of one stretch of time is the initial one of the next (Elman 1990, Finding structure
    in time).

    Example:
        >>> one = jnp.ones((1, 1))
        >>> pulse = jnp.array([1.0, 0.0, 0.0]).reshape(1, 3, 1)
        >>> recurrent(pulse, one, 0.5 * one, jnp.zeros(1), identity)[0, :, 0]
        Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    x, kernel, own, bias = promoted(x, kernel, recurrent_kernel, bias)

    def step(y: Array, now: Array) -> tuple[Array, Array]:
        y = nonlinearity(y @ own + now)
        return y, y

    drive = _drive(x, kernel, bias)
    start = jnp.zeros_like(drive, shape=drive.shape[1:]) if initial is None else initial
    return lax.scan(step, start.astype(drive.dtype), drive)[1].swapaxes(0, 1)


def _drive(x: Array, kernel: Array, bias: Array) -> Array:
    """What the inputs alone bring to each moment, the moments first: (T, N, columns)."""
    drive = x @ kernel
    return broadcast_with(jnp.add, drive, bias).swapaxes(0, 1)


class Memory(NamedTuple):
    """What an LSTM hands from one moment to the next: its output y, and its cell c."""

    output: Float[Array, "N F"]
    cell: Float[Array, "N F"]


@takes("N T C", integers=True)
def lstm(
    x: Real[Array, "N T C"],
    kernel: Float[Array, "C F4"],
    recurrent_kernel: Float[Array, "F F4"],
    bias: Float[Array, "F4"],
    initial: Memory | None = None,
) -> tuple[Float[Array, "N T F"], Memory]:
    """Long short-term memory: a cell that gates write to, keep and read.

    (i, f, g, o) = y(t-1) G + x(t) H + v, four runs of F elements, and with s the sigmoid

    c(t) = s(f) c(t-1) + s(i) tanh(g),   y(t) = s(o) tanh(c(t))

    The cell has no weights on its way: its derivative over time is the product of the forget gates
    s(f), as far as the gates do not feel y.

    The columns of H (`kernel`), G (`recurrent_kernel`) and v (`bias`) are those of the input gate,
    the forget gate, the candidate and the output gate, in this order. `initial` is the memory
    before, zeros when left out; the result is the output at every moment, and the memory after.

    Hochreiter, Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber, Cummins 2000, Learning
    to forget (the forget gate). No peepholes.

    Example:
        >>> closed = jnp.array([0.0, 99.0, 0.0, 0.0])  # keeps all, writes tanh(0) = 0
        >>> before = Memory(jnp.zeros((1, 1)), jnp.ones((1, 1)))
        >>> y, after = lstm(jnp.ones((1, 9, 1)), *jnp.zeros((2, 1, 4)), closed, before)
        >>> after.cell
        Array([[1.]], dtype=float32)
    """
    x, kernel, own, bias = promoted(x, kernel, recurrent_kernel, bias)

    def step(memory: Memory, now: Array) -> tuple[Memory, Array]:
        write, keep, candidate, read = jnp.split(memory.output @ own + now, 4, axis=-1)
        cell = sigmoid(keep) * memory.cell + sigmoid(write) * tanh(candidate)
        output = sigmoid(read) * tanh(cell)
        return Memory(output, cell), output

    drive = _drive(x, kernel, bias)
    zeros = jnp.zeros_like(drive, shape=(x.shape[0], recurrent_kernel.shape[0]))
    start = Memory(zeros, zeros) if initial is None else initial
    start = Memory(*(each.astype(drive.dtype) for each in start))
    memory, outputs = lax.scan(step, start, drive)
    return outputs.swapaxes(0, 1), memory


@takes("N T C", integers=True)
def time_windows(x: Real[Array, "N T C"], window: int) -> Real[Array, "N T windowC"]:
    """Lay the inputs of the last few moments beside each other, the newest first.

    y(t) = (x(t), x(t-1), ..., x(t - window + 1)), with zeros before the first. A `Dense` layer
    behind it is a bank of FIR filters of order window - 1: its kernel, cut into runs of C rows,
    holds the impulse responses.

    Raises:
        FieldError: The window is no positive integer.

    Example:
        >>> time_windows(jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), window=2)[0]
        Array([[1., 0.],
               [2., 1.],
               [3., 2.]], dtype=float32)
    """
    positive("window", window)
    length = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (window - 1, 0), (0, 0)))
    starts = range(window - 1, -1, -1)
    return jnp.concatenate([padded[:, start : start + length] for start in starts], axis=-1)


@checked(features=positive)
class Recurrent(nn.Module):
    """The module of `recurrent`, from zeros on: C F + F^2 + F parameters."""

    features: int
    nonlinearity: Nonlinearity = tanh
    kernel_init: Initializer = GLOROT_NORMAL
    recurrent_init: Initializer = ORTHOGONAL
    bias_init: Initializer = ZEROS

    @takes("N T C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N T C"]) -> Float[Array, "N T F"]:
        return recurrent(x, *_weights(self, x, self.features), self.nonlinearity)


@checked(features=positive)
class LSTM(nn.Module):
    """The module of `lstm`, from zeros on: 4 (C F + F^2 + F) parameters.

    `bias_init` starts the forget gate at 1, so that the cell remembers at first.
    """

    features: int
    kernel_init: Initializer = GLOROT_NORMAL
    recurrent_init: Initializer = ORTHOGONAL
    bias_init: Initializer = FORGET_ONES

    @takes("N T C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N T C"]) -> Float[Array, "N T F"]:
        return lstm(x, *_weights(self, x, 4 * self.features))[0]


def _weights(layer: Recurrent | LSTM, x: Array, columns: int) -> tuple[Array, Array, Array]:
    """The parameters `kernel`, `recurrent_kernel` and `bias` of a layer over time."""
    own = (layer.features, columns)
    return (
        learned(layer, "kernel", layer.kernel_init, (x.shape[-1], columns), x),
        layer.param("recurrent_kernel", layer.recurrent_init, own, jnp.float32),
        layer.param("bias", layer.bias_init, (columns,), jnp.float32),
    )


@checked(window=positive)
class TimeWindows(nn.Module):
    """The module of `time_windows`; put a `Dense` behind it for a bank of FIR filters."""

    window: int

    @takes("N T C", integers=True)
    def __call__(self, x: Real[Array, "N T C"]) -> Real[Array, "N T windowC"]:
        return time_windows(x, self.window)


class LastMoment(nn.Module):
    """The last moment of each sequence, (N, T, C) -> (N, C): what a classifier over time sees.

    Example:
        >>> LastMoment().apply({}, jnp.arange(6.0).reshape(1, 3, 2))
        Array([[4., 5.]], dtype=float32)
    """

    @takes("N T C", integers=True)
    def __call__(self, x: Real[Array, "N T C"]) -> Real[Array, "N C"]:
        return x[:, -1]


class Ensemble(nn.Module):
    """y = log(1/M sum over members m of softmax(s_m(x))): softmax(y) is the members' mean.

    There is no mode. Exactly when the caller makes the collection `auxiliary` mutable, as a
    training step does, each member's scores s_m are put aside there for a loss of their own, and
    y is cut from the gradient. With `train.auxiliary_weight = 1` the loss of the training

    loss(y) + 1 (loss(s_1) + ... + loss(s_M))

    therefore has, in each member's weights, the gradient of that member's own loss and no other:
    all are trained at once, each as if it were alone. (Another weight scales these gradients.) The
    loss that is told is that of y. Elsewhere gradients pass through y as through any layer.

    The members are initialized differently, since a parameter is sampled by its path. Clipping the
    norm of the whole gradient (`optimizer.clip`) is not done member by member.

    Hansen, Salamon 1990, Neural network ensembles; He, Zhang, Ren, Sun 2016, Deep residual learning
    for image recognition (six networks: 3.57 % top-5 error).

    Raises:
        AblaxError: There is no member, or one is named `scores`.
        ShapeError: A member gives something else than scores, or they differ in the classes.

    Example:
        >>> from ablax.layers import Dense
        >>> two = Ensemble(Layers(first=Dense(10), second=Dense(10)))
        >>> x = jnp.ones((2, 4))
        >>> variables = two.init(jax.random.key(0), x)
        >>> y, aside = two.apply(variables, x, mutable=["auxiliary"])
        >>> y.shape, [scores.shape for scores in jax.tree.leaves(aside)]
        ((2, 10), [(2, 10), (2, 10)])
    """

    members: Layers

    def __post_init__(self) -> None:
        if not len(self.members):
            raise AblaxError("an Ensemble has no member: give it at least one")
        if "scores" in self.members:
            raise AblaxError(
                "a member of an Ensemble is named 'scores', as what is put aside: rename the member"
            )
        super().__post_init__()

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Float[Array, "N C"]:
        scores = [run_one(name, member, x) for name, member in self.members.items()]
        for name, each in zip(self.members, scores, strict=True):
            if each.ndim != 2:
                raise ShapeError(
                    f"the member {name!r} of an Ensemble gives {each.shape}: expected scores "
                    "(N, classes)"
                )
        y = ensemble(*scores)
        if self.is_initializing() or not self.is_mutable_collection("auxiliary"):
            return y
        for each in scores:
            self.sow("auxiliary", "scores", each)
        return jax.lax.stop_gradient(y)


def ensemble_of(members: int) -> Edit:
    """The edit that turns a network into an `Ensemble` of that many of it.

    The members are named `member_1`, `member_2`, ... and stand in the head, since they give scores;
    the layers of the first are found at `ensemble/member_1/conv1`.

    Raises:
        FieldError: Fewer than one member.

    Example:
        >>> from ablax.core import count_parameters
        >>> from ablax.zoo import lenet5
        >>> six = ensemble_of(6)(lenet5())
        >>> count_parameters(six, (32, 32, 1)) / count_parameters(lenet5(), (32, 32, 1))
        6.0
    """
    positive("members", members)

    def apply(network: Network) -> Network:
        member = Sequential(network.layers)
        held = Layers({f"member_{number}": member for number in range(1, members + 1)})
        return Network(tail=Layers(), body=Layers(), head=Layers(ensemble=Ensemble(held)))

    return apply


_REASONS: dict[type[nn.Module], str] = {
    BatchNormalization: (
        "whose statistics differ from pass to pass: use GroupNormalization, which keeps none"
    ),
    Auxiliary: "which would put scores aside in every pass: leave it outside",
    Ensemble: "which would put scores aside in every pass: leave it outside",
}


def _tieable(name: str, layers: Layers) -> None:
    """Refuse layers that hold what no loop can tie."""
    del name
    for path, layer in walk(layers):
        for kind, reason in _REASONS.items():
            if isinstance(layer, kind):
                raise FieldError(f"a Tied holds {path!r}, a {kind.__name__}, {reason}")


@checked(times=positive, layers=_tieable)
class Tied(nn.Module):
    """The same layers with the same parameters `times` times: y = f(f(... f(x))).

    A recurrent network in depth: MACs grow with `times` and parameters do not. The gradient in a
    parameter is the sum of those that an untied chain (`Repeat`) has in its copies of it. One
    `lax.scan`, compiled once whatever the depth; every pass drops out units of its own.

    Batch normalization is refused: the passes have statistics of their own, and one running mean
    for all of them fits none. `GroupNormalization` keeps none.

    Eigen, Rolfe, Fergus, LeCun 2014, Understanding deep architectures using a recursive
    convolutional network; L1, "Tie together weights".

    Raises:
        FieldError: Batch normalization or an auxiliary classifier inside, at any depth, or `times`
            below 1.
        ShapeError: The layers change the shape of their input.

    Example:
        >>> from ablax.layers import Dense
        >>> deep = Tied(Layers(fc=Dense(4)), times=1000)
        >>> variables = jax.eval_shape(deep.init, jax.random.key(0), jnp.ones((1, 4)))
        >>> variables["params"]["fc"]["kernel"].shape
        (4, 4)
    """

    layers: Layers
    times: int

    @takes("...")
    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *rest"]:
        scan = nn.scan(
            _once,
            variable_broadcast="params",
            split_rngs={"params": False, "dropout": True},
            length=self.times,
        )
        return scan(self, _carried(self, x), None)[0]
