"""`ablax predict NETWORK --weights ... PICTURES`: the most probable classes of each picture."""

from __future__ import annotations

import json
from typing import Literal

from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastOne,
    ExistingFile,
    Library,
    NetworkName,
    Preprocessing,
    PreprocessingFields,
    WeightsPath,
)


def predict(
    network: Positional[NetworkName],
    pictures: Positional[tuple[ExistingFile, ...]] = (),
    *,
    weights: WeightsPath,
    library: Library = None,
    top: AtLeastOne = 5,
    format: Literal["text", "json"] = "text",
    preprocessing: Preprocessing = PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Classify pictures: print the most probable classes of each, and their probabilities.

    Args:
        network: A network of the zoo (ablax list).
        pictures: The files of one or more pictures.
        weights: A folder that `ablax import` wrote, or a file of weights.
        library: Whose file it is, if its names fit several.
        top: How many classes per picture.
        format: How the classes are printed.
        preprocessing: Preparation of the images, where it is not that of the weights' source.
    """
    from ablax.errors import AblaxError
    from ablax.training.loop import set_up
    from ablax.weights.evaluation import predictions
    from ablax.weights.load import open_weights
    from ablax.weights.preprocessing import open_picture

    if not pictures:
        raise AblaxError(
            f"there is no picture to classify: ablax predict {network} --weights {weights} cat.jpg"
        )
    opened = [open_picture(path) for path in pictures]
    set_up()
    found = predictions(preprocessing.applied(open_weights(network, weights, library)), opened, top)
    if format == "json":
        named = zip(map(str, pictures), found, strict=True)
        rows = [{"picture": p, "classes": [each._asdict() for each in top]} for p, top in named]
        print(json.dumps(rows, indent=2))
        return
    for path, guesses in zip(pictures, found, strict=True):
        print(path)
        for guess in guesses:
            print(f"  {100 * guess.probability:6.2f} %  {guess.name}")
