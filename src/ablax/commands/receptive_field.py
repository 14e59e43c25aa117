"""`ablax receptive-field NETWORK`: which part of the image a unit of each layer sees."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablax.analysis.receptive_field import ReceptiveField
    from ablax.sight.plots import Sighted


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("network", nargs="?", help="a network of the zoo: ablax list")
    parser.add_argument("--layer", action="append", help="only this layer; may be given again")
    parser.add_argument("--depth", type=int, default=1, help="how far to look into blocks (0: all)")
    parser.add_argument("--format", choices=("text", "csv", "markdown", "json"), default="text")
    parser.add_argument("--image-size", type=int, help="pixels; the paper's by default")
    parser.add_argument("--published", action="store_true", help="published fields beside ours")
    parser.add_argument(
        "--effective",
        type=Path,
        metavar="FILE.png",
        help="draw by gradients how much each pixel moves the unit in the middle, and print it",
    )
    parser.add_argument("--images", type=int, default=16, help="of noise, for --effective")
    parser.add_argument("--seed", type=int, default=0, help="of weights and images")
    parser.add_argument("--weights", type=Path, help="as in ablax predict; drawn by default")
    parser.add_argument(
        "--from",
        "--library",
        dest="library",
        help="whose file of weights it is, where names fit several",
    )
    parser.add_argument(
        "--measure", choices=("absolute", "squared"), default="absolute", help="of a gradient"
    )


def run(options: argparse.Namespace) -> None:
    """Print the table; draw the picture."""
    from ablax.costs.tables import written
    from ablax.errors import AblaxError
    from ablax.sight.network import layers_named, network_receptive_fields
    from ablax.sight.tables import field_table
    from ablax.zoo import find

    if options.published:
        if options.network is not None:
            raise AblaxError("--published compares networks of its own: give no network")
        from ablax.sight.published import published_table

        print(published_table(options.format))
        return
    if options.network is None:
        raise AblaxError("which network? ablax list names them: ablax receptive-field alexnet")
    for name, least in (("image_size", 1), ("images", 1), ("depth", 0)):
        given = getattr(options, name)
        if given is not None and given < least:
            option = "--" + name.replace("_", "-")
            raise AblaxError(f"{option} {given}: expected at least {least}")
    entry = find(options.network)
    size = entry.image_size if options.image_size is None else options.image_size
    shape = (size, size, entry.channels)
    fields = network_receptive_fields(entry.build(), shape)
    if options.effective is not None:
        print(_effective(options, shape, fields))
        return
    if options.layer:
        shown = layers_named(fields, options.layer)
    else:
        shown = {
            path: each
            for path, each in fields.items()
            if not options.depth or path.count("/") < options.depth
        }
    title = f"Receptive fields of {entry.name}, images of {size}x{size}x{entry.channels}"
    print(written(field_table(title, shown), options.format))


def _effective(
    options: argparse.Namespace,
    shape: tuple[int, int, int],
    fields: dict[str, ReceptiveField],
) -> str:
    """Draw the picture; the table of what it shows."""
    import jax

    from ablax.core import initialize
    from ablax.costs.tables import written
    from ablax.errors import AblaxError
    from ablax.sight.network import layers_named, network_effective_field, spread_over_depth
    from ablax.sight.plots import Sighted, check_picture, effective_table, save_effective
    from ablax.training.compilation import set_up
    from ablax.zoo import find

    check_picture(options.effective)
    top = {path: each for path, each in fields.items() if "/" not in path}
    layers = options.layer or spread_over_depth(top, 4)
    for layer, field in layers_named(fields, layers).items():
        if len(field.shape) != 4:
            raise AblaxError(f"{layer} gives no maps, but {field.shape}: choose a layer before it")
    set_up()
    if options.weights is None:
        network = find(options.network).build()
        variables = initialize(network, options.seed, shape)
    else:
        from ablax.weights_folder import open_weights

        found = open_weights(options.network, options.weights, options.library)
        network, variables = found.network, found.variables
    images = jax.random.normal(jax.random.key(options.seed), (options.images, *shape))
    sighted: list[Sighted] = []
    for layer in layers:
        effective = network_effective_field(
            network, variables, images, layer, seed=options.seed, measure=options.measure
        )
        sighted.append(Sighted(layer, fields[layer], effective))
    weights = "weights as drawn" if options.weights is None else str(options.weights.name)
    title = f"{options.network}, {weights}, seed {options.seed}, {options.images} images of noise"
    save_effective(sighted, title, options.measure, options.effective)
    return written(effective_table(sighted, title), options.format)
