"""`ablax inspect NETWORK --out FOLDER PICTURE...`: filters, feature maps and what activates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro
from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastOne,
    DataFolder,
    DataSource,
    ExistingFile,
    Library,
    NetworkName,
    OutFolder,
    Pixels,
    Preprocessing,
    PreprocessingFields,
    Seed,
    WeightsPath,
    Word,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablax.inspection.pictures import Subject

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
    network: Positional[NetworkName],
    pictures: Positional[tuple[ExistingFile, ...]] = (),
    *,
    out: OutFolder,
    only: tuple[Kind, ...] = KINDS,
    at: Annotated[tuple[Word, ...], tyro.conf.arg(metavar="LAYER ...")] = (),
    weights: WeightsPath | None = None,
    library: Library = None,
    data: DataSource | None = None,
    data_dir: DataFolder = None,
    samples: AtLeastOne = 256,
    show: AtLeastOne = 6,
    classes: tuple[Word, ...] = (),
    steps: AtLeastOne = 256,
    window: Pixels | None = None,
    image_size: Pixels | None = None,
    seed: Seed = 0,
    preprocessing: Preprocessing = PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Visualize filters, feature maps and what activates a network; print their statistics.

    Args:
        network: A network of the zoo (ablax list), or module:function.
        pictures: Files of pictures to show the network; or --data.
        out: The folder to write the figures into.
        only: Only these figures.
        at: Layers to look at; some from the first to the last by default.
        weights: As in ablax predict; randomly initialized by default.
        library: Whose file of weights it is, if its names fit several.
        data: digits, or tfds:NAME; its test images are the samples.
        data_dir: Folder of the prepared sets; that of TFDS_DATA_DIR by default.
        samples: Images for the statistics.
        show: Images of --data to show.
        classes: Names or numbers of the classes to maximize; the first ten by default.
        steps: Steps of gradient ascent.
        window: Side of the occluding square in pixels.
        image_size: Height and width of the images, without --weights.
        seed: Of noise, and of the random initialization.
        preprocessing: Preparation of the images, where it is not that of the weights' source.
    """
    from ablax.analysis.maximization import Ascent
    from ablax.errors import AblaxError
    from ablax.inspection.pictures import chosen_layers
    from ablax.report.figures import save
    from ablax.training.loop import set_up

    if not pictures and data is None and set(only) - {*_WITHOUT_PICTURES}:
        raise AblaxError("there is nothing to show the network: give pictures, or --data")
    if image_size is not None and weights is not None:
        raise AblaxError("--image-size is for random weights: those of --weights have their own")
    set_up()
    subject = _subject(network, weights, library, seed, image_size, preprocessing)
    layers = chosen_layers(subject, list(at))
    chosen = _classes(classes, subject)
    shown, found = _samples(subject, pictures, data, data_dir, samples, show)
    low, high = subject.range
    makers = _makers(
        subject, shown, layers, chosen, seed, window, Ascent(steps=steps, low=low, high=high)
    )
    for kind in KINDS:
        if kind not in only:
            continue
        if kind == "statistics" and len(found) < FEWEST_SAMPLES:
            print(f"no statistics: {len(found)} pictures are too few; give --data")
            continue
        figure = (
            _statistics(subject, found, layers, out) if kind == "statistics" else makers[kind]()
        )
        path = out / f"{kind}.png"
        save(figure, path, dpi=110)
        print(path)


def _makers(
    subject: Subject,
    shown: dict[str, Any],
    layers: list[str],
    classes: list[int],
    seed: int,
    window: int | None,
    ascent: Any,
) -> dict[str, Callable[[], Figure]]:
    """How to make the figure of each kind."""
    from ablax.inspection import pictures

    dream_steps = max(1, ascent.steps // 16)
    return {
        "filters": lambda: pictures.filters_figure(subject),
        "features": lambda: pictures.features_figure(subject, shown, layers),
        "saliency": lambda: pictures.saliency_figure(subject, shown),
        "occlusion": lambda: pictures.occlusion_figure(subject, shown, window),
        "deconvolution": lambda: pictures.deconvolution_figure(subject, shown, layers),
        "maximization": lambda: pictures.maximization_figure(subject, classes, seed, ascent),
        "dream": lambda: pictures.dream_figure(subject, shown, layers, seed, dream_steps),
    }


def _statistics(subject: Subject, samples: list[Any], layers: list[str], out: Path) -> Figure:
    """The table, printed and as CSV, and the figure."""
    from ablax.inspection.pictures import (
        network_statistics,
        statistics_figure,
        statistics_table,
        top_layers,
    )
    from ablax.inspection.tables import written

    every = list(dict.fromkeys([*top_layers(subject), *layers]))
    found = network_statistics(subject, every, _batches(samples))
    table = statistics_table(f"Features of {subject.title}", found)
    print(written(table, "text"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "statistics.csv").write_text(written(table, "csv") + "\n", "utf-8")
    return statistics_figure(subject, found, layers)


def _batches(samples: list[Any], size: int = 32) -> Iterator[Any]:
    from ablax.inspection.pictures import as_batch

    for start in range(0, len(samples), size):
        yield as_batch(samples[start : start + size])


def _subject(
    network: str,
    weights: Path | None,
    library: str | None,
    seed: int,
    image_size: int | None,
    preprocessing: PreprocessingFields,
) -> Subject:
    """The network with its weights, or randomly initialized."""
    from ablax.inspection.pictures import trained, untrained
    from ablax.weights.load import open_weights

    if weights is None:
        return untrained(network, seed, image_size)
    found = open_weights(network, weights, library)
    title = f"weights {weights.name} of {found.source.library}"
    return trained(preprocessing.applied(found), title)


def _samples(
    subject: Subject,
    pictures: Sequence[Path],
    data: str | None,
    data_dir: Path | None,
    samples: int,
    show: int,
) -> tuple[dict[str, Any], list[Any]]:
    """The prepared pictures to show, by name, and those for the statistics."""
    from ablax.weights.evaluation import open_test_images
    from ablax.weights.preprocessing import open_picture

    prepare = subject.preprocessing.array
    shown = {path.stem: prepare(open_picture(path)) for path in pictures}
    if data is None:
        return shown, list(shown.values())
    test = open_test_images(data, data_dir)
    count = min(len(test), max(samples, show))
    found = list(test.prepared(subject.preprocessing, count))
    if not shown:
        shown = {
            f"{number}: {test.classes[label]}": image
            for number, (image, label) in enumerate(found[:show])
        }
    return shown, [image for image, _ in found[:samples]]


def _classes(names: Sequence[str], subject: Subject) -> list[int]:
    """The classes asked for, or the first ten."""
    from ablax.errors import AblaxError, nearest

    if not names:
        return list(range(min(10, len(subject.classes))))
    found = []
    for name in names:
        if name.isdecimal() and int(name) < len(subject.classes):
            found.append(int(name))
        elif name in subject.classes:
            found.append(subject.classes.index(name))
        else:
            raise AblaxError(f"there is no class {name!r}: {nearest(name, subject.classes)}")
    return found
