"""First weights from another training: what fits is taken over, the rest stays as drawn."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

import jax
from jaxtyping import PyTree

from ablax.core import leaves_by_path
from ablax.errors import AblaxError, nearest
from ablax.training.state import State


def transplant(state: State, trained: State, fresh: tuple[str, ...] = ()) -> State:
    """A state before its first step, with the weights and statistics of another training.

    The optimizer starts anew: the momentum of another task says nothing about this one.

    Args:
        state: Before the first step.
        trained: What another training of the same network ended with.
        fresh: Patterns of paths of parameters that stay as drawn, such as `"output/*"`: the scores
            of other classes.

    Raises:
        AblaxError: A pattern matches no parameter, or a parameter that is taken over has another
            shape there.

    References:
        Yosinski, Clune, Bengio, Lipson (2014): How transferable are features in deep neural
        networks?
    """
    refuse_misfit(state.params, trained.params, fresh)
    return replace(
        state,
        params=_taken(state.params, trained.params, fresh),
        batch_stats=_taken(state.batch_stats, trained.batch_stats, fresh),
    )


def refuse_misfit(here: PyTree, there: PyTree, fresh: tuple[str, ...]) -> None:
    """Refuse parameters that cannot be taken over.

    Args:
        here: Parameters, or their shapes.
        there: Those of the other training.
        fresh: See `transplant`.

    Raises:
        AblaxError: As `transplant`.
    """
    ours, theirs = (
        {name: leaf.shape for name, leaf in leaves_by_path(tree).items()} for tree in (here, there)
    )
    for pattern in fresh:
        if not any(fnmatchcase(name, pattern) for name in ours):
            raise AblaxError(
                f"{pattern!r} matches no parameter of the network: {nearest(pattern, list(ours))}"
            )
    for name, shape in ours.items():
        if theirs.get(name) != shape and not _is_fresh(name, fresh):
            raise AblaxError(
                f"{name} has shape {shape} here and {theirs.get(name)} in the training that the "
                f"first weights come from: let it start anew with fresh=({name!r},)"
            )


def _taken(here: PyTree, there: PyTree, fresh: tuple[str, ...]) -> PyTree:
    """The leaves of `there`, but those of `here` that are to be fresh."""
    names, leaves = list(leaves_by_path(here)), jax.tree.leaves(here)
    found = leaves_by_path(there)
    chosen = [
        leaf if _is_fresh(name, fresh) else found[name]
        for name, leaf in zip(names, leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(here), chosen)


def _is_fresh(name: str, fresh: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in fresh)
