"""`ablax receptive-field NETWORK`: which part of the image a unit of each layer sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from ablax.commands.options import (
    Images,
    NetworkName,
    NonNegativeInt,
    PictureOut,
    Pixels,
    Seed,
    TableFormat,
    WeightsPath,
    Word,
)

if TYPE_CHECKING:
    from ablax.analysis.receptive_field import ReceptiveField
    from ablax.core import ImageShape, Network
    from ablax.inspection.fields import Sighted


def receptive_field(
    network: Positional[NetworkName | None] = None,
    layer: Annotated[
        tyro.conf.UseAppendAction[tuple[Word, ...]], tyro.conf.arg(metavar="LAYER")
    ] = (),
    depth: NonNegativeInt = 1,
    format: TableFormat = "text",
    image_size: Pixels | None = None,
    published: bool = False,
    effective: PictureOut | None = None,
    images: Images = 16,
    seed: Seed = 0,
    weights: WeightsPath | None = None,
    library: Annotated[
        Word | None, tyro.conf.arg(name="from", aliases=("--library",), metavar="LIBRARY")
    ] = None,
    measure: Literal["absolute", "squared"] = "absolute",
) -> None:
    """Receptive field of each layer: theoretical, or effective as measured by gradients.

    Args:
        network: A network of the zoo (ablax list), or module:function.
        layer: Only this layer; may be given again.
        depth: How many levels of blocks to open; 0 opens all.
        format: How the table is printed.
        image_size: Height and width of the images; the paper's by default.
        published: Compare published receptive fields with ours; takes no network.
        effective: Plot the gradient of the middle unit by every pixel, and print its extent: .png,
            .svg or .pdf.
        images: Images of noise for --effective.
        seed: Of weights and images for --effective.
        weights: As in ablax predict; randomly initialized by default.
        library: Whose file of weights it is, if its names fit several.
        measure: Which mean of the gradient --effective takes.
    """
    from ablax.errors import AblaxError
    from ablax.inspection.fields import field_table, layers_named, network_receptive_fields
    from ablax.inspection.tables import written
    from ablax.zoo import find

    if published:
        if network is not None:
            raise AblaxError("--published compares networks of its own: give no network")
        from ablax.inspection.fields import published_table

        print(published_table(format))
        return
    if network is None:
        raise AblaxError("which network? ablax list names them: ablax receptive-field alexnet")
    entry = find(network)
    shape = entry.shape(image_size)
    fields = network_receptive_fields(entry.build(), shape)
    if effective is None:
        shown = layers_named(fields, list(layer)) if layer else _down_to(depth, fields)
        title = f"Receptive fields of {entry.name}, images of {'x'.join(map(str, shape))}"
        print(written(field_table(title, shown), format))
        return
    layers = _layers_with_maps(fields, layer)
    from ablax.inspection.fields import effective_table, save_effective
    from ablax.training.loop import set_up

    set_up()
    opened = _opened(network, weights, library, seed, shape)
    sighted = _sighted(opened, shape, fields, layers, images, seed, measure)
    whose = "randomly initialized" if weights is None else f"weights {weights.name}"
    title = f"{network}, {whose}, seed {seed}, {images} images of noise"
    save_effective(sighted, title, measure, effective)
    print(written(effective_table(sighted, title), format))


def _down_to(depth: int, fields: Mapping[str, ReceptiveField]) -> dict[str, ReceptiveField]:
    """The layers whose paths have at most so many names; all for 0."""
    return {path: each for path, each in fields.items() if not depth or path.count("/") < depth}


def _layers_with_maps(fields: Mapping[str, ReceptiveField], asked: Sequence[str]) -> Sequence[str]:
    """The layers to draw: those asked for, or four from the first to the last.

    Raises:
        AblaxError: A layer is not there, or gives no maps.
    """
    from ablax.errors import AblaxError
    from ablax.inspection.fields import layers_named, spread_over_depth

    top = {path: each for path, each in fields.items() if "/" not in path}
    layers = list(asked) or spread_over_depth(top, 4)
    for layer, field in layers_named(dict(fields), layers).items():
        if len(field.shape) != 4:
            raise AblaxError(f"{layer} gives no maps, but {field.shape}: choose a layer before it")
    return layers


def _opened(
    name: str, weights: Path | None, library: str | None, seed: int, shape: ImageShape
) -> tuple[Network, Mapping[str, Any]]:
    """The network and its variables."""
    if weights is None:
        from ablax.core import initialize
        from ablax.zoo import find

        network = find(name).build()
        return network, initialize(network, seed, shape)
    from ablax.weights.load import open_weights

    found = open_weights(name, weights, library)
    return found.network, found.variables


def _sighted(
    opened: tuple[Network, Mapping[str, Any]],
    shape: ImageShape,
    fields: Mapping[str, ReceptiveField],
    layers: Sequence[str],
    count: int,
    seed: int,
    measure: Literal["absolute", "squared"],
) -> Sequence[Sighted]:
    """Theory and measurement of each layer."""
    import jax

    from ablax.inspection.fields import Sighted, network_effective_field

    images = jax.random.normal(jax.random.key(seed), (count, *shape))
    return [
        Sighted(
            layer,
            fields[layer],
            network_effective_field(*opened, images, layer, seed=seed, measure=measure),
        )
        for layer in layers
    ]
