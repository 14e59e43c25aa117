"""`ablax list`: the experiments, recipes and networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ablax.zoo import Entry

_HEAD = """# Networks

Written by `ablax list --format markdown`; a test fails when it is stale. `ablax show NAME` prints a
network, one line per layer.

Every network is counted again by the tests: parameters (running statistics are not among them) and
multiply-accumulates of convolutions and dense layers for one image of the size given, padded taps
included. The figures are held against an independent count, named in the fourth column: of the
definition in another library, or by hand from the paper's table or ours (`tests/zoo/derivations`).

Errors are those that the source reports, not ours: top-1 / top-5 on ImageNet, or the error on
CIFAR-10.

`ablax import NAME FILE` takes the weights named in the last column (`ablax import NAME` says where
they are).

| network | image | parameters | MACs | counted | error, % | conventions | weights |
|---|---|---:|---:|---|---|---|---|
"""


def list(format: Literal["text", "json", "markdown"] = "text") -> None:
    """List the experiments, recipes and networks.

    Args:
        format: How the list is printed; markdown is the page docs/networks.md.
    """
    from ablax.lazy import offered
    from ablax.study.discovery import names
    from ablax.zoo import CATALOG
    from ablax.zoo.register import PACKAGES

    if format == "markdown":
        print(_HEAD + "\n".join(map(_row, CATALOG)))
        return
    found = {
        "experiments": names("experiments"),
        "recipes": names("configs"),
        "networks": [_facts(entry) for entry in CATALOG],
        "other_networks": offered(PACKAGES),
    }
    print(json.dumps(found, indent=2) if format == "json" else _text(found))


def _facts(entry: Entry) -> dict[str, Any]:
    from ablax.weights.sources import sources_of

    fields = ("name", "image_size", "channels", "parameters", "macs")
    weights = [source.title for source in sources_of(entry.name)]
    return {name: getattr(entry, name) for name in fields} | {"weights": weights}


def _text(found: dict[str, Any]) -> str:
    """Experiments, recipes and networks, to be read."""
    lines = ["experiments (ablax run NAME)", *(f"  {name}" for name in found["experiments"])]
    lines += ["", "recipes (--config NAME)", *(f"  {name}" for name in found["recipes"])]
    head = "networks (ablax show NAME)"
    width = max(len(head), *(len(each["name"]) + 2 for each in found["networks"]))
    lines += ["", f"{head:<{width}}{'image':>13}{'parameters':>14}{'MACs':>17}  weights"]
    for each in found["networks"]:
        size = f"{each['image_size']}x{each['image_size']}x{each['channels']}"
        counts = f"{each['parameters']:>14,}{each['macs']:>17,}"
        whose = ", ".join(title.split()[0] for title in each["weights"])
        row = f"{'  ' + each['name']:<{width}}{size:>13}{counts}  {whose}"
        lines.append(row.rstrip())
    if others := found["other_networks"]:
        lines += ["", "networks of other packages (ablax show NAME)"]
        lines += [f"{'  ' + name:<{width}}  {where}" for name, where in others.items()]
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    from ablax.zoo import conventions

    cells = [
        f"`{entry.name}`",
        f"{entry.image_size}x{entry.image_size}x{entry.channels}",
        f"{entry.parameters:,}",
        f"{entry.macs:,}",
        entry.counted or "derived by hand",
        entry.error,
        "; ".join(conventions(entry.build())),
        ", ".join(_facts(entry)["weights"]),
    ]
    return f"| {' | '.join(cells)} |"
