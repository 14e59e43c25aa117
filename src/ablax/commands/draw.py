"""`ablax draw NETWORK --out FILE.html`: the network as data flows through it, as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablax.core import Edit, Network


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", help="a network of the zoo: ablax list")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="the page")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument(
        "--ablation",
        metavar="NAME",
        help="draw the network after it too: a name of ablax.ablations, or module:name",
    )
    parser.add_argument(
        "--remove",
        action="append",
        metavar="LAYER",
        help="draw the network without this layer too; may be given again",
    )


def run(options: argparse.Namespace) -> None:
    """Write the page."""
    from ablax.errors import AblaxError
    from ablax.report.picture_file import check_file
    from ablax.zoo import find

    entry = find(options.network)
    size = entry.image_size if options.image_size is None else options.image_size
    if size < 1:
        raise AblaxError(f"--image-size {size}: expected at least 1")
    check_file(options.out, (".html",))
    chosen = _ablation(options)
    network, shape = entry.build(), (size, size, entry.channels)
    ablated = None if chosen is None else (f"{entry.name}, {chosen[0]}", _applied(*chosen, network))

    from ablax.atomic import write_atomic
    from ablax.drawing.graph import network_graph
    from ablax.drawing.page import page

    parent = network_graph(entry.name, network, shape)
    child = None
    if ablated is not None:
        child = network_graph(*ablated, shape)
    text = page(parent, child, f"1 image of {size}x{size}x{entry.channels}")
    try:
        write_atomic(options.out, text)
    except OSError as error:
        raise AblaxError(f"cannot write {options.out}: {error.strerror}") from error
    print(f"{options.out}: {len(text.encode()) / 1e6:.1f} MB; open it in a browser")


def _ablation(options: argparse.Namespace) -> tuple[str, Edit] | None:
    """What was asked to be done to the network, with its title."""
    from ablax.core import compose, remove

    edits: list[tuple[str, Edit]] = []
    if options.ablation is not None:
        edits.append((options.ablation.rpartition(":")[2], _named(options.ablation)))
    if options.remove:
        edits.append(("without " + ", ".join(options.remove), remove(*options.remove)))
    if not edits:
        return None
    return ", ".join(name for name, _ in edits), compose(*(edit for _, edit in edits))


def _applied(name: str, edit: Edit, network: Network) -> Network:
    """The network after the ablation.

    Raises:
        EditError: The network lacks what the ablation names.
        AblaxError: What was named is no ablation.
    """
    from ablax.core import Network
    from ablax.errors import AblaxError

    found = edit(network)
    if not isinstance(found, Network):
        raise AblaxError(f"{name} is no ablation: it gave no network; ablax.ablations has some")
    return found


def _named(written: str) -> Edit:
    """An ablation by its name.

    Raises:
        AblaxError: There is no such module, or it has no such function.
    """
    import importlib

    from ablax.errors import AblaxError, nearest

    module_name, _, name = written.rpartition(":")
    try:
        module = importlib.import_module(module_name or "ablax.ablations")
    except (ModuleNotFoundError, TypeError) as error:  # TypeError: a name that begins with a dot
        raise AblaxError(f"--ablation {written}: cannot import {module_name}: {error}") from error
    known = [each for each, value in vars(module).items() if _is_edit(each, value)]
    if name not in known:
        raise AblaxError(f"--ablation {written}: no ablation of that name: {nearest(name, known)}")
    found: Edit = getattr(module, name)
    return found


def _is_edit(name: str, value: object) -> bool:
    """Whether it is a function of one argument; `remove(*names)` is what makes an ablation."""
    import inspect

    if not callable(value) or isinstance(value, type) or not name[0].islower():
        return False
    taken = list(inspect.signature(value).parameters.values())
    return len(taken) == 1 and taken[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
