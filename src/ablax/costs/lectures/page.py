"""The page `docs/costs.md`: the lectures' tables beside ours, printed by one command."""

from __future__ import annotations

import json

from ablax.analysis.cost import LECTURE, USUAL
from ablax.costs.layouts import lecture_table
from ablax.costs.lectures import densenet, googlenet, mobilenet_v1, resnet, squeezenet
from ablax.costs.lectures.comparison import Comparison, comparison_table
from ablax.costs.network import case, network_cost
from ablax.costs.tables import Table, written

_COMMAND = "ablax table --lectures --format markdown"
_MAKERS = (googlenet, mobilenet_v1, squeezenet, densenet, resnet)


def comparisons() -> list[Comparison]:
    """Every table of the lectures beside ours, but AlexNet's, which ours repeats."""
    return [maker.comparison() for maker in _MAKERS]


def page(form: str) -> str:
    """All tables in one of the forms of `written`.

    Args:
        form: "text", "csv", "markdown" or "json".
    """
    alexnet = case("alexnet_ungrouped")
    first = lecture_table(alexnet, network_cost(alexnet, LECTURE, softmax=True), LECTURE)
    tables = [first, *map(comparison_table, comparisons())]
    if form == "json":
        return json.dumps([json.loads(written(table, form)) for table in tables], indent=2)
    if form != "markdown":
        return "\n\n".join(written(table, form, table is first) for table in tables)
    return "\n\n".join([_head(), *(_section(table, table is first) for table in tables)])


def _head() -> str:
    return "\n\n".join(
        [
            "# What the networks cost",
            f"<!-- Printed by `{_COMMAND}`: do not edit. -->",
            "The tables of the lectures, each beside what our networks give. A cell that differs "
            "shows both, and the remark says why, or that the lecture slipped. Counts are of one "
            "image. `ablax table NETWORK` prints a network's table, a row a layer.",
            f"Two conventions. **{USUAL.name}**: {USUAL.says}. **{LECTURE.name}**: {LECTURE.says}.",
        ]
    )


def _section(table: Table, plain: bool) -> str:
    _, *rest = written(table, "markdown", plain).split("\n\n")
    return "\n\n".join([f"## {table.title}", *rest])
