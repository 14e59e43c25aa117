"""First weights from another training: what fits is taken over, the rest stays as drawn."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import jax
from jaxtyping import PyTree

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
        {_path(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (here, there)
    )
    for pattern in fresh:
        if not any(fnmatch(name, pattern) for name in ours):
            raise AblaxError(
                f"{pattern!r} matches no parameter of the network: {nearest(pattern, list(ours))}"
            )
    for name, shape in ours.items():
        if theirs.get(name) != shape and not _is_fresh(name, fresh):
            raise AblaxError(
                f"{name} has shape {shape} here and {theirs.get(name)} in the training that the "
                f"first weights come from: let it start anew with fresh=({name!r},)"
            )


def _taken(here: Any, there: Any, fresh: tuple[str, ...]) -> Any:
    found = {_path(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(there)}
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf if _is_fresh(_path(path), fresh) else found[_path(path)], here
    )


def _is_fresh(name: str, fresh: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in fresh)


def _path(path: tuple[Any, ...]) -> str:
    """The keys of a leaf, as in `conv1/conv/kernel`."""
    return "/".join(str(getattr(key, "key", key)) for key in path)
