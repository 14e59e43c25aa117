"""Edits: pure functions from Network to Network. An ablation is one of them.

Every edit must find what it names and must change something; otherwise it refuses, because an
ablation that silently removed nothing would report the baseline twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar

import flax.linen as nn
from jax.nn.initializers import Initializer

from ablax.core.network import Layers, Network
from ablax.errors import AblaxError, nearest

Edit = Callable[[Network], Network]
Rewrite = Callable[[str, nn.Module], Layers | None]
M = TypeVar("M", bound=nn.Module)


class EditError(AblaxError):
    """An edit that matches nothing, or changes nothing."""


def edit(network: Network, rewrite: Rewrite) -> Network:
    """Walk through every layer, at any depth, and let `rewrite` say what stands in its place.

    It is given a layer's path (`"fc7"`, then `"fc7/dense"`) and the module, and returns the layers
    that take its place (none of them removes it), or None to keep it and look inside.

    Raises:
        EditError: Nothing changed.

    Example:
        >>> from ablax.layers import MaxPool, AveragePool
        >>> from ablax.zoo import lenet5
        >>> def maximum(path, layer):
        ...     if isinstance(layer, AveragePool):
        ...         return Layers({path.split("/")[-1]: MaxPool(layer.window, layer.stride)})
        >>> edit(lenet5(10), maximum).tail["s2"].window
        2
    """
    edited = _edit_inside(network, "", rewrite)
    if edited == network:
        raise EditError("the edit changes nothing: it matched no layer, or put back what was there")
    return edited


def _edit_layers(layers: Layers, prefix: str, rewrite: Rewrite) -> Layers:
    result = Layers()
    for name, layer in layers.items():
        instead = rewrite(prefix + name, layer)
        if instead is None:
            instead = Layers({name: _edit_inside(layer, f"{prefix}{name}/", rewrite)})
        result = result + instead
    return result


def _edit_inside(layer: M, prefix: str, rewrite: Rewrite) -> M:
    held = inner_layers(layer)
    changed = {field: _edit_layers(inner, prefix, rewrite) for field, inner in held.items()}
    return layer.copy(**changed) if changed != held else layer


def inner_layers(layer: nn.Module) -> dict[str, Layers]:
    """The `Layers` that a module holds, by field: the only way in which a module holds others."""
    fields = {field.name: getattr(layer, field.name, None) for field in dataclasses.fields(layer)}
    return {name: value for name, value in fields.items() if isinstance(value, Layers)}


def walk(layers: Layers, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every layer at any depth, each before those that it holds."""
    for name, layer in layers.items():
        yield prefix + name, layer
        for inner in inner_layers(layer).values():
            yield from walk(inner, f"{prefix}{name}/")


def paths(network: Network) -> tuple[str, ...]:
    """The path of every layer at any depth, in order: `conv1`, `conv1/conv`, ..."""
    return tuple(path for path, _ in walk(network.layers))


def refuse_unknown(
    names: Iterable[str], known: Collection[str], error: type[AblaxError] = AblaxError
) -> None:
    """Refuse names of layers that are not among those of a network."""
    for name in names:
        if name not in known:
            raise error(f"the network has no layer {name!r}: {nearest(name, known)}")


def stacks(network: Network) -> tuple[str, ...]:
    """The paths of the layers that stack the parameters of others, one slice for each repetition.

    Every one of them adds a leading axis to the leaves below it (`ablax.layers.Repeat`, told by its
    class attribute `stacked`); one inside another adds a second.

    Example:
        >>> from ablax.layers import Dense, Repeat
        >>> deep = Repeat(Layers(fc=Dense(4)), times=9)
        >>> stacks(Network(Layers(), Layers(deep=deep), Layers()))
        ('deep',)
    """
    return tuple(path for path, layer in walk(network.layers) if getattr(layer, "stacked", False))


def remove(*names: str) -> Edit:
    """The edit that removes the layers of these paths (`"fc7"`, `"fc7/dropout"`).

    Their neighbors are joined.

    Raises:
        EditError: When applied to a network that lacks one of them.

    Example:
        >>> from ablax.zoo import lenet5
        >>> list(remove("f6")(lenet5(10)).head)
        ['vectorize', 'output']
    """
    return _at(names, lambda _name, _layer: Layers())


def replace(name: str, layer: nn.Module) -> Edit:
    """The edit that puts another layer under the same name.

    Raises:
        EditError: When applied to a network that lacks the name, or that has the layer already.
    """
    return _at((name,), lambda last, _layer: Layers({last: layer}))


def insert_after(name: str, **layers: nn.Module) -> Edit:
    """The edit that inserts the layers behind the named one.

    Raises:
        EditError: When applied to a network that lacks the name.
        AblaxError: When a new name is taken.
    """
    return _at((name,), lambda last, layer: Layers({last: layer}) + Layers(layers))


def insert_before(name: str, **layers: nn.Module) -> Edit:
    """The edit that inserts the layers in front of the named one; refuses as `insert_after`."""
    return _at((name,), lambda last, layer: Layers(layers) + Layers({last: layer}))


def with_head(head: Layers) -> Edit:
    """The edit that puts another head on the network.

    Raises:
        EditError: When applied to a network that has this head already.
    """

    def exchange(network: Network) -> Network:
        if network.head == head:
            raise EditError("the edit changes nothing: the network has this head already")
        return network.copy(head=head)

    return exchange


def without(*kinds: type[nn.Module]) -> Edit:
    """The edit that removes every layer of the given classes, at any depth.

    Raises:
        EditError: When applied to a network that has none.

    Example:
        >>> from ablax.layers import Tanh
        >>> from ablax.zoo import lenet5
        >>> "c1/tanh" in paths(without(Tanh)(lenet5(10)))
        False
    """
    wanted = " or ".join(kind.__name__ for kind in kinds)
    return _rewriting(
        lambda _, layer: Layers() if isinstance(layer, kinds) else None,
        f"the network has no {wanted} to remove",
    )


def replace_kind(kind: type[nn.Module], instead: Callable[[Any], nn.Module]) -> Edit:
    """The edit that exchanges every layer of a class, at any depth.

    `instead` makes of such a layer the one that takes its name and place.

    Raises:
        EditError: When applied to a network that has none.

    Example:
        >>> from ablax.layers import ReLU, Tanh
        >>> from ablax.zoo import lenet5
        >>> rectified = replace_kind(Tanh, lambda _: ReLU())(lenet5(10))
        >>> replace_kind(ReLU, lambda _: Tanh())(rectified) == lenet5(10)
        True
    """

    def rewrite(path: str, layer: nn.Module) -> Layers | None:
        if not isinstance(layer, kind):
            return None
        return Layers({path.rpartition("/")[2]: instead(layer)})

    return _rewriting(rewrite, f"the network has no {kind.__name__} to replace")


def with_initializer(kernel_init: Initializer) -> Edit:
    """The edit that gives every layer with a kernel, at any depth, another initialization of it.

    `ablax.layers.initializers` has some.

    Raises:
        EditError: When applied to a network no layer of which has a `kernel_init`, or whose layers
            all have this one already.

    Example:
        >>> from ablax.layers.initializers import GAUSSIAN_001
        >>> from ablax.zoo import lenet5
        >>> with_initializer(GAUSSIAN_001)(lenet5(10)).head["output"].kernel_init is GAUSSIAN_001
        True
    """

    def rewrite(path: str, layer: nn.Module) -> Layers | None:
        if not hasattr(layer, "kernel_init"):
            return None
        inside = _edit_inside(layer, f"{path}/", rewrite)
        return Layers({path.rpartition("/")[2]: inside.copy(kernel_init=kernel_init)})

    return _rewriting(
        rewrite,
        "the edit changes nothing: no layer of the network has a kernel with another initializer",
    )


def _rewriting(rewrite: Rewrite, otherwise: str) -> Edit:
    """The edit by `rewrite`, with what it says where nothing changes."""

    def apply(network: Network) -> Network:
        try:
            return edit(network, rewrite)
        except EditError:
            raise EditError(otherwise) from None

    return apply


def compose(*edits: Edit) -> Edit:
    """The edit that applies the given ones from left to right."""

    def apply_all(network: Network) -> Network:
        for change in edits:
            network = change(network)
        return network

    return apply_all


def _at(names: tuple[str, ...], change: Callable[[str, nn.Module], Layers]) -> Edit:
    def apply(network: Network) -> Network:
        refuse_unknown(names, paths(network), EditError)
        return edit(
            network,
            lambda path, layer: change(path.rsplit("/", 1)[-1], layer) if path in names else None,
        )

    return apply
