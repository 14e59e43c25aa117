"""`ablax table NETWORK`: what every layer costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablax.costs.tables import Table


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", nargs="?", help="a network of the zoo: ablax list")
    parser.add_argument("--convention", default="usual", help="usual or lecture")
    parser.add_argument("--format", choices=("text", "csv", "markdown", "json"), default="text")
    parser.add_argument("--depth", type=int, help="names of a path that are kept; all by default")
    parser.add_argument("--training", action="store_true", help="forward and both gradients")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument("--batch", type=int, default=1, help="images; 1 by default")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the costs by depth too")
    parser.add_argument(
        "--lectures",
        action="store_true",
        help="the lectures' tables beside ours; with --format markdown the page docs/costs.md",
    )


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    from ablax.errors import AblaxError

    if options.lectures:
        if options.network is not None:
            raise AblaxError("--lectures prints the tables of all lectures: give no network")
        from ablax.costs.lectures.page import page

        print(page(options.format))
        return
    if options.network is None:
        raise AblaxError("which network? ablax list names them: ablax table alexnet")
    if options.depth is not None and options.depth < 1:
        raise AblaxError(f"--depth {options.depth}: expected at least 1")
    from ablax.costs.tables import written

    if options.plot is not None:
        _draw(options)
    table, plain = _table(options)
    print(written(table, options.format, plain))


def _draw(options: argparse.Namespace) -> None:
    from ablax.costs.network import case, convention_named, network_cost
    from ablax.costs.plots import depth_figure
    from ablax.report.picture_file import check_file, save

    check_file(options.plot)
    convention = convention_named(options.convention)
    chosen = case(options.network, options.image_size, options.batch)
    rows = network_cost(chosen, convention, softmax=convention.name == "lecture")
    save(depth_figure(chosen, rows, convention), options.plot)


def _table(options: argparse.Namespace) -> tuple[Table, bool]:
    """The table, and whether its numbers stand without separators."""
    from ablax.analysis.cost import fold
    from ablax.analysis.training_cost import fold_training
    from ablax.costs.layouts import cost_table, lecture_table, training_table
    from ablax.costs.network import case, convention_named, network_cost, network_training_cost
    from ablax.errors import AblaxError

    convention = convention_named(options.convention)
    chosen = case(options.network, options.image_size, options.batch)
    if options.training:
        if convention.name != "usual":
            raise AblaxError("the lecture says nothing of training: leave --convention out")
        steps = network_training_cost(chosen)
        steps = fold_training(steps, options.depth) if options.depth else steps
        return training_table(chosen, steps), False
    lecture = convention.name == "lecture"
    rows = network_cost(chosen, convention, softmax=lecture)
    if options.depth:
        return cost_table(chosen, fold(rows, options.depth), convention), False
    layout = lecture_table if lecture else cost_table
    return layout(chosen, rows, convention), lecture
