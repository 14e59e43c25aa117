"""`ablax receptive-field MODEL`: which part of the image a unit of each layer sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError

if TYPE_CHECKING:
    from ablax.analysis.receptive_field import ReceptiveField


def receptive_field(
    model: Positional[options.ModelOrNone] = None,
    layer: options.LayerNames = (),
    depth: options.NonNegativeInt = 1,
    format: options.TableFormat = "text",
    image_size: options.ImageSize = None,
    published: bool = False,
    effective: options.PictureOut | None = None,
    images: options.Images = 16,
    seed: options.Seed = 0,
    measure: Literal["absolute", "squared"] = "absolute",
) -> None:
    """Receptive field of each layer: theoretical, or effective as measured by gradients.

    Args:
        layer: Only this layer; may be given again.
        depth: How many levels of blocks to open; 0 opens all.
        published: Compare published receptive fields with ours; takes no network.
        effective: Plot the gradient of the middle unit by every pixel, and print its extent: .png,
            .svg or .pdf.
        images: Images of noise for --effective.
        seed: Of weights and images for --effective.
        measure: Which mean of the gradient --effective takes.
    """
    from ablax.inspection import fields
    from ablax.report.tables import render

    if published:
        if model is not None:
            raise AblaxError("--published compares networks of its own: give no network")
        print(fields.published_table(format))
        return
    if model is None:
        raise AblaxError("which network? ablax list names them: ablax receptive-field alexnet")
    drawn, count = (None, 1) if effective is None else (seed, images)
    asked = options.opened(model, drawn, image_size, images=count).model
    seen = fields.network_receptive_fields(asked.network, asked.image_shape)
    if effective is None:
        if layer:
            shown = fields.layers_named(seen, list(layer))
        else:
            shown = {path: f for path, f in seen.items() if not depth or path.count("/") < depth}
        sides = "x".join(map(str, asked.image_shape))
        title = f"Receptive fields of {asked.name}, images of {sides}"
        print(render(fields.field_table(title, shown), format))
        return
    layers = _layers_with_maps(seen, layer)
    import jax

    from ablax.analysis.jax_versions import random_key
    from ablax.training.loop import set_up

    set_up()
    noise = jax.random.normal(random_key(seed), (images, *asked.image_shape))
    sighted = []
    for name in layers:
        measured = fields.network_effective_field(
            asked.network, asked.variables, noise, name, seed=seed, measure=measure
        )
        sighted.append(fields.Sighted(name, seen[name], measured))
    title = f"{asked.title}, {images} images of noise, seed {seed}"
    options.save_picture(fields.effective_figure(sighted, title, measure), effective, dpi=110)
    print(render(fields.effective_table(sighted, title), format))


def _layers_with_maps(fields: Mapping[str, ReceptiveField], asked: Sequence[str]) -> Sequence[str]:
    """The layers to draw: those asked for, which must have maps, or four from first to last."""
    from ablax.inspection.fields import layers_named, spread_over_depth

    top = {path: each for path, each in fields.items() if "/" not in path}
    layers = list(asked) or spread_over_depth(top, 4)
    for layer, field in layers_named(dict(fields), layers).items():
        if len(field.shape) != 4:
            raise AblaxError(f"{layer} gives no maps, but {field.shape}: choose a layer before it")
    return layers
