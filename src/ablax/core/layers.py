"""`Layers`: an ordered mapping from the paper's name of a layer to a Linen module."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass

import flax.errors
import flax.linen as nn
from jaxtyping import Array, Float

from ablax.errors import AblaxError, nearest


class LayerError(AblaxError):
    """A layer that cannot take its input, named by its path, with the shape it was given."""


@dataclass(frozen=True, init=False)
class Layers:
    """A frozen, ordered, hashable mapping from name to module: a network one can read and cut.

    The names are the paper's (`conv1`, `fc7`) and become the parameter paths. Linen renames modules
    that it finds in a list, tuple or dictionary field by position, so that removing one would draw
    new initial weights for those behind it; it does not look inside this class. Two names may hold
    equal modules: each is bound to its own name when it runs, so they never share weights.

    Args:
        layers: Name and module pairs, or a mapping.
        **named: More of them, in the order written.

    Raises:
        AblaxError: A name that is not an identifier, stands twice, or holds something that is
            not a Linen module.

    Example:
        >>> from ablax.layers import Dense, ReLU
        >>> layers = Layers(fc1=Dense(8), relu1=ReLU(), fc2=Dense(2))
        >>> list(layers)
        ['fc1', 'relu1', 'fc2']
        >>> layers["fc2"].features
        2
    """

    entries: tuple[tuple[str, nn.Module], ...]

    def __init__(
        self, layers: Mapping[str, nn.Module] | Layers | None = None, /, **named: nn.Module
    ) -> None:
        pairs = [*(layers.items() if layers is not None else ()), *named.items()]
        object.__setattr__(self, "entries", tuple(pairs))
        seen: set[str] = set()
        for name, layer in pairs:
            _check_entry(name, layer, seen)
            seen.add(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in dict(self.entries)

    def __getitem__(self, name: str) -> nn.Module:
        layers = dict(self.entries)
        if name not in layers:
            raise AblaxError(f"there is no layer named {name!r} here: {nearest(name, layers)}")
        return layers[name]

    def __add__(self, other: Layers) -> Layers:
        """These layers, then the others."""
        overlap = set(self) & set(other)
        if overlap:
            raise AblaxError(
                f"layer names must differ, both sides have {', '.join(sorted(overlap))}: rename one"
            )
        return Layers({**dict(self.entries), **dict(other.entries)})

    def items(self) -> ItemsView[str, nn.Module]:
        """Name and module, in order."""
        return dict(self.entries).items()

    def __repr__(self) -> str:
        return "Layers(" + ", ".join(f"{name}={layer!r}" for name, layer in self.entries) + ")"


def _check_entry(name: str, layer: object, seen: set[str]) -> None:
    if not name.isidentifier():
        raise AblaxError(
            f"{name!r} cannot name a layer: a layer's name is letters, digits and '_', as in 'fc7'"
        )
    if name in seen:
        raise AblaxError(
            f"two layers are named {name!r}: a name is a parameter path, so rename one"
        )
    if not isinstance(layer, nn.Module):
        raise AblaxError(
            f"layer {name!r} is {layer!r}, and a Linen module is expected: wrap a function in one"
        )


def run(layers: Layers, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
    """Apply the layers in order, each bound to its own name: y = f_n(... f_1(x)).

    To be called inside the `nn.compact` method of the module that holds the layers.

    Args:
        layers: What to apply.
        x: The input of the first.

    Returns:
        The output of the last; `x` itself where there are none.

    Raises:
        LayerError: A layer that does not fit its input, with its path and the input's shape.
            Shapes are static, so this happens while tracing, before anything compiles.
    """
    for name, layer in layers.items():
        x = run_one(name, layer, x)
    return x


def run_one(name: str, layer: nn.Module, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
    """Apply one layer, bound to its name, inside the `nn.compact` method of its holder.

    Raises:
        LayerError: The layer does not fit its input.
    """
    bound = layer.copy(name=name)
    try:
        return bound(x)
    except LayerError:
        raise
    except (AblaxError, TypeError, ValueError, flax.errors.ScopeParamShapeError) as error:
        raise LayerError(_misfit(bound, layer, x, error)) from error


def _misfit(bound: nn.Module, layer: nn.Module, x: Array, error: Exception) -> str:
    path = "/".join(bound.path) if bound.scope is not None else bound.name
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"layer {path!r} ({type(layer).__name__}) does not fit its input of shape "
        f"{tuple(x.shape)}: {lines[0]}"
    )


class Chain(nn.Module):
    """Layers one after another under one name: what belongs together is removed together.

    `fc7 = Chain(Layers(dense=Dense(4096), relu=ReLU(), dropout=Dropout(0.5)))` leaves no orphaned
    dropout behind when `fc7` goes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Dense, ReLU
        >>> fc = Chain(Layers(dense=Dense(4), relu=ReLU()))
        >>> variables = fc.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> jax.tree.map(lambda leaf: leaf.shape, variables["params"])
        {'dense': {'bias': (4,), 'kernel': (3, 4)}}
    """

    layers: Layers

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
        """Apply the layers in order."""
        return run(self.layers, x)


def chain(**layers: nn.Module) -> Chain:
    """`Chain(Layers(...))`, written short, for the tables of the zoo."""
    return Chain(Layers(layers))
