"""`ablax draw MODEL --out FILE.html`: the network as data flows through it, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError, nearest, others_code

if TYPE_CHECKING:
    from ablax.core import Edit, Network


def draw(
    model: Positional[options.ModelSource],
    *,
    out: options.PageOut,
    image_size: options.ImageSize = None,
    ablation: options.Word | None = None,
    remove: options.LayerNames = (),
) -> None:
    """Draw a network's data-flow graph as a page for a browser: fold, hover, search.

    Args:
        out: The page to write.
        ablation: Draw the network after this ablation beside it: without_7, without_shortcuts and
            the like, or module:name.
        remove: Draw the network without this layer beside it; may be given again.
    """
    from ablax.files import write_atomic
    from ablax.inspection.page import network_graph, page

    asked, chosen = options.opened(model, None, image_size).model, _ablation(ablation, remove)
    whole, shape = asked.network, asked.image_shape
    ablated = None if chosen is None else (f"{asked.name}, {chosen[0]}", _applied(*chosen, whole))
    parent = network_graph(asked.name, whole, shape)
    child = None if ablated is None else network_graph(*ablated, shape)
    text = page(parent, child, f"1 image of {'x'.join(map(str, shape))}")
    try:
        write_atomic(out, text)
    except OSError as error:
        raise AblaxError(f"cannot write {out}: {error.strerror}") from error
    print(f"{out}: {len(text.encode()) / 1e6:.1f} MB; open it in a browser")


def _ablation(ablation: str | None, removed: Sequence[str]) -> tuple[str, Edit] | None:
    """What was asked to be done to the network, with its title."""
    from ablax.core import compose, remove

    edits: list[tuple[str, Edit]] = []
    if ablation is not None:
        edits.append((ablation.rpartition(":")[2], _named(ablation)))
    if removed:
        edits.append(("without " + ", ".join(removed), remove(*removed)))
    if not edits:
        return None
    return ", ".join(name for name, _ in edits), compose(*(edit for _, edit in edits))


def _applied(name: str, edit: Edit, network: Network) -> Network:
    """The network after the ablation."""
    from ablax.core import Network

    some = "; without_7 and without_shortcuts are some"
    with others_code(f"{name} is no ablation: it fails with", some):
        found = edit(network)
    if not isinstance(found, Network):
        raise AblaxError(f"{name} is no ablation: it gave no network{some}")
    return found


def _named(written: str) -> Edit:
    """An ablation by its name."""
    from ablax import lazy

    module_name, _, name = written.rpartition(":")
    try:
        modules = [lazy.module(each) for each in ([module_name] if module_name else _HOMES)]
    except AblaxError as error:
        raise AblaxError(f"--ablation {written}: {error}") from error
    items = (item for module in modules for item in vars(module).items())
    known: dict[str, Edit] = {each: value for each, value in items if _is_edit(each, value)}
    if name not in known:
        raise AblaxError(f"--ablation {written}: no ablation of that name: {nearest(name, known)}")
    return known[name]


_HOMES = ("ablax.zoo.alexnet", "ablax.layers")
"""Where an ablation is looked for whose module is not given."""


def _is_edit(name: str, value: object) -> bool:
    """Whether it is a function of one network; `remove(*names)` is what makes an ablation."""
    import inspect

    if not callable(value) or isinstance(value, type) or not name[0].islower():
        return False
    try:
        taken = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):  # of C, without a signature
        return False
    if len(taken) != 1 or taken[0].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        return False
    said = taken[0].annotation  # a class, or its name as it is written
    return said is inspect.Parameter.empty or getattr(said, "__name__", str(said)).endswith(
        "Network"
    )
