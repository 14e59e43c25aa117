"""`ablax inspect MODEL --out FOLDER PICTURE...`: filters, feature maps and what activates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro
from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablax.model import Model

Kind = Literal[
    "filters",
    "features",
    "statistics",
    "saliency",
    "occlusion",
    "deconvolution",
    "maximization",
    "dream",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

FEWEST_SAMPLES = 16
"""Statistics of fewer pictures would call units constant that are not."""

_WITHOUT_PICTURES = ("filters", "maximization")


def inspect(
    model: Positional[options.ModelSource],
    pictures: Positional[tuple[options.ExistingFile, ...]] = (),
    *,
    out: options.OutFolder,
    only: tuple[Kind, ...] = KINDS,
    at: Annotated[tuple[options.Word, ...], tyro.conf.arg(metavar="LAYER ...")] = (),
    data: options.DataSource | None = None,
    data_dir: options.DataFolder = None,
    samples: options.AtLeastOne = 256,
    show: options.AtLeastOne = 6,
    classes: tuple[options.Word, ...] = (),
    steps: options.AtLeastOne = 256,
    window: options.Pixels | None = None,
    image_size: options.Pixels | None = None,
    seed: options.Seed = 0,
    preprocessing: options.Preprocessing = options.PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Visualize filters, feature maps and what activates a network; print their statistics.

    Args:
        pictures: Files of pictures to show the network; or --data.
        out: The folder to write the figures into.
        only: Only these figures.
        at: Layers to look at; some from the first to the last by default.
        data: digits, or tfds:NAME; its test images are the samples.
        samples: Images for the statistics.
        show: Images of --data to show.
        classes: Names or numbers of the classes to maximize; the first ten by default.
        steps: Steps of gradient ascent.
        window: Side of the occluding square in pixels.
        image_size: Height and width of the images, of random weights.
        seed: Of noise, and of the random initialization.
        preprocessing: Preparation of the images, where it is not the model's own.
    """
    from ablax.analysis.maximization import Ascent
    from ablax.inspection import pictures as figures
    from ablax.report.figures import caption_of, save
    from ablax.training.loop import set_up

    if not pictures and data is None and set(only) - {*_WITHOUT_PICTURES}:
        raise AblaxError("there is nothing to show the network: give pictures, or --data")
    set_up()
    asked = preprocessing.applied(options.opened(model, seed, image_size).model)
    least = min(asked.image_shape[:2])
    if window is not None and window > least:
        raise AblaxError(
            f"--window {window}: expected at most {least}, the pixels along a side that "
            f"{asked.name} sees"
        )
    layers = figures.chosen_layers(asked, list(at))
    chosen = _classes(classes, asked)
    shown, found = _samples(asked, pictures, data, data_dir, samples, show)
    low, high = asked.range
    ascent, dream = Ascent(steps=steps, low=low, high=high), max(1, steps // 16)
    makers: dict[Kind, Callable[[], Figure]] = {
        "filters": lambda: figures.filters_figure(asked),
        "features": lambda: figures.features_figure(asked, shown, layers),
        "statistics": lambda: _statistics(asked, found, layers, out),
        "saliency": lambda: figures.saliency_figure(asked, shown),
        "occlusion": lambda: figures.occlusion_figure(asked, shown, window),
        "deconvolution": lambda: figures.deconvolution_figure(asked, shown, layers),
        "maximization": lambda: figures.maximization_figure(asked, chosen, seed, ascent),
        "dream": lambda: figures.dream_figure(asked, shown, layers, seed, dream),
    }
    for kind in KINDS:
        if kind not in only:
            continue
        if kind == "statistics" and len(found) < FEWEST_SAMPLES:
            print(f"no statistics: {len(found)} pictures are too few; give --data")
            continue
        figure, path = makers[kind](), out / f"{kind}.png"
        save(figure, path, dpi=110)
        print(path)
        print(f"  {caption_of(figure)}", file=sys.stderr)


def _statistics(model: Model, samples: list[Any], layers: list[str], out: Path) -> Figure:
    """The table, printed and as CSV, and the figure."""
    from ablax.inspection import pictures
    from ablax.report.tables import render

    every = list(dict.fromkeys([*pictures.top_layers(model), *layers]))
    batches = (pictures.as_batch(samples[i : i + 32]) for i in range(0, len(samples), 32))
    found = pictures.network_statistics(model, every, batches)
    table = pictures.statistics_table(f"Features of {model.title}", found)
    print(render(table, "text"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "statistics.csv").write_text(render(table, "csv") + "\n", "utf-8")
    return pictures.statistics_figure(model, found, layers)


def _samples(
    model: Model,
    pictures: Sequence[Path],
    data: str | None,
    data_dir: Path | None,
    samples: int,
    show: int,
) -> tuple[dict[str, Any], list[Any]]:
    """The prepared pictures to show, by name, and those for the statistics."""
    from ablax.data.images import open_picture
    from ablax.data.sources import open_test_images

    prepare = model.preprocessing.array
    shown = {path.stem: prepare(open_picture(path)) for path in pictures}
    if data is None:
        return shown, list(shown.values())
    test = open_test_images(data, data_dir)
    count = min(test.count, max(samples, show))
    found = list(test.prepared(prepare, count))
    if not shown:
        shown = {
            f"{number}: {test.classes[label]}": image
            for number, (image, label) in enumerate(found[:show])
        }
    return shown, [image for image, _ in found[:samples]]


def _classes(names: Sequence[str], model: Model) -> list[int]:
    """The classes asked for, or the first ten."""
    if not names:
        return list(range(min(10, len(model.classes))))
    found = []
    for name in names:
        if name.isascii() and name.isdecimal() and int(name) < len(model.classes):
            found.append(int(name))
        elif name in model.classes:
            found.append(model.classes.index(name))
        else:
            raise AblaxError(
                f"--classes {name}: there is no class {name!r}: {nearest(name, model.classes)}"
            )
    return found
