"""`ablax profile MODEL`: where the time of a training step goes, layer by layer."""

from __future__ import annotations

from tyro.conf import Positional

from ablax.commands import options


def profile(
    model: Positional[options.ModelSource],
    inference: bool = False,
    batch: options.Images = 32,
    image_size: options.ImageSize = None,
    steps: options.AtLeastOne = 4,
    depth: options.AtLeastOne = 1,
    format: options.TableFormat = "text",
) -> None:
    """Time of a training step, layer by layer, beside what the machine could reach.

    Args:
        inference: Profile inference instead of a training step.
        batch: Images per step.
        steps: Steps to trace.
        depth: How many levels of blocks to open.
    """
    from ablax.inspection.timing import measure, profile, profile_table
    from ablax.report.tables import render

    asked = options.opened(model, None, image_size).model
    found = profile(asked, batch, training=not inference, steps=steps, depth=depth)
    print(render(profile_table(found, measure(), depth), format))
