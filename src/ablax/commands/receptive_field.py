"""`ablax receptive-field MODEL`: which part of the image a unit of each layer sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from ablax.commands.options import (
    Images,
    ModelSource,
    NonNegativeInt,
    PictureOut,
    Pixels,
    Seed,
    TableFormat,
    Word,
    opened,
    save_picture,
)

if TYPE_CHECKING:
    from ablax.analysis.receptive_field import ReceptiveField
    from ablax.inspection.fields import Sighted
    from ablax.model import Model


def receptive_field(
    model: Positional[ModelSource | None] = None,
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
    measure: Literal["absolute", "squared"] = "absolute",
) -> None:
    """Receptive field of each layer: theoretical, or effective as measured by gradients.

    Args:
        model: A network (ablax list), NETWORK=FILE, a folder of weights, or RESULTS:VARIANT:SEED.
        layer: Only this layer; may be given again.
        depth: How many levels of blocks to open; 0 opens all.
        format: How the table is printed.
        image_size: Height and width of the images; the paper's by default.
        published: Compare published receptive fields with ours; takes no network.
        effective: Plot the gradient of the middle unit by every pixel, and print its extent: .png,
            .svg or .pdf.
        images: Images of noise for --effective.
        seed: Of weights and images for --effective.
        measure: Which mean of the gradient --effective takes.
    """
    from ablax.errors import AblaxError
    from ablax.inspection.fields import field_table, layers_named, network_receptive_fields
    from ablax.report.tables import render

    if published:
        if model is not None:
            raise AblaxError("--published compares networks of its own: give no network")
        from ablax.inspection.fields import published_table

        print(published_table(format))
        return
    if model is None:
        raise AblaxError("which network? ablax list names them: ablax receptive-field alexnet")
    asked = opened(model, None if effective is None else seed, image_size).model
    fields = network_receptive_fields(asked.network, asked.image_shape)
    if effective is None:
        shown = layers_named(fields, list(layer)) if layer else _down_to(depth, fields)
        sides = "x".join(map(str, asked.image_shape))
        print(
            render(
                field_table(f"Receptive fields of {asked.name}, images of {sides}", shown), format
            )
        )
        return
    layers = _layers_with_maps(fields, layer)
    from ablax.inspection.fields import effective_figure, effective_table
    from ablax.training.loop import set_up

    set_up()
    sighted = _sighted(asked, fields, layers, images, seed, measure)
    title = f"{asked.title}, {images} images of noise, seed {seed}"
    save_picture(effective_figure(sighted, title, measure), effective, dpi=110)
    print(render(effective_table(sighted, title), format))


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


def _sighted(
    model: Model,
    fields: Mapping[str, ReceptiveField],
    layers: Sequence[str],
    count: int,
    seed: int,
    measure: Literal["absolute", "squared"],
) -> Sequence[Sighted]:
    """Theory and measurement of each layer."""
    import jax

    from ablax.inspection.fields import Sighted, network_effective_field

    images = jax.random.normal(jax.random.key(seed), (count, *model.image_shape))
    return [
        Sighted(
            layer,
            fields[layer],
            network_effective_field(
                model.network, model.variables, images, layer, seed=seed, measure=measure
            ),
        )
        for layer in layers
    ]
