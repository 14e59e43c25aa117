"""`ablax predict MODEL PICTURES`: the most probable classes of each picture."""

from __future__ import annotations

import json
import sys
from typing import Literal

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError


def predict(
    model: Positional[options.ModelSource],
    pictures: Positional[tuple[options.ExistingFile, ...]] = (),
    *,
    top: options.AtLeastOne = 5,
    format: Literal["text", "json"] = "text",
    preprocessing: options.Preprocessing = options.PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Classify pictures: print the most probable classes of each, and their probabilities.

    Args:
        pictures: The files of one or more pictures.
        top: How many classes per picture.
        format: How the classes are printed.
        preprocessing: Preparation of the images, where it is not the model's own.
    """
    from ablax.data.images import open_picture
    from ablax.training.loop import set_up

    if not pictures:
        raise AblaxError(f"there is no picture to classify: ablax predict {model} cat.jpg")
    shown = [open_picture(path) for path in pictures]
    set_up()
    asked = preprocessing.applied(options.opened(model, seed=0).model)
    found = asked.predict(shown, top)
    print(f"images: {asked.preprocessing}", file=sys.stderr)
    if format == "json":
        named = zip(map(str, pictures), found, strict=True)
        rows = [{"picture": p, "classes": [each._asdict() for each in top]} for p, top in named]
        print(json.dumps(rows, indent=2))
        return
    for path, guesses in zip(pictures, found, strict=True):
        print(path)
        for guess in guesses:
            print(f"  {100 * guess.probability:6.2f} %  {guess.name}")
