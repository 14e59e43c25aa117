"""`ablax inspect NETWORK --out FOLDER PICTURE...`: filters, features and likings, as pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablax.inside.subject import Subject

KINDS = (
    "filters",
    "features",
    "statistics",
    "saliency",
    "occlusion",
    "deconvolution",
    "maximization",
    "dream",
)

FEWEST_SAMPLES = 16
"""Statistics of fewer pictures would call units constant that are not."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    from ablax.preprocessing_options import add_preprocessing_arguments

    parser.add_argument("network", help="a network of the zoo (ablax list)")
    parser.add_argument("pictures", type=Path, nargs="*", help="files; or --data")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the pictures")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="not all of them")
    parser.add_argument("--at", nargs="+", default=[], metavar="LAYER", help="layers to look at")
    parser.add_argument("--weights", type=Path, help="as in ablax predict; drawn by default")
    parser.add_argument("--from", dest="library", help="whose file it is, if its names fit several")
    parser.add_argument("--data", help="digits, or tfds:NAME: its test images are the samples")
    parser.add_argument(
        "--data-dir", "--data.dir", dest="data_dir", type=Path, help="where the prepared sets are"
    )
    parser.add_argument("--samples", type=int, default=256, help="images for the statistics")
    parser.add_argument("--show", type=int, default=6, help="pictures of --data to show")
    parser.add_argument("--classes", nargs="+", help="names or numbers, to maximize; some 10")
    parser.add_argument("--steps", type=int, default=256, help="of gradient ascent")
    parser.add_argument("--window", type=int, help="side of the occluding square, in pixels")
    parser.add_argument("--image-size", type=int, help="pixels, without --weights")
    parser.add_argument("--seed", type=int, default=0, help="of noise, and of drawn weights")
    add_preprocessing_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Write the pictures, and print the table of statistics."""
    from ablax.errors import AblaxError
    from ablax.inside.subject import chosen_layers
    from ablax.report.picture_file import save
    from ablax.training.compilation import set_up

    for name in ("samples", "show", "steps"):
        if getattr(options, name) < 1:
            raise AblaxError(f"--{name} {getattr(options, name)}: expected at least 1")
    if not options.pictures and options.data is None and set(options.only) - {*_WITHOUT_PICTURES}:
        raise AblaxError("there is nothing to show the network: give pictures, or --data")
    set_up()
    subject = _subject(options)
    layers = chosen_layers(subject, options.at)
    classes = _classes(options, subject)
    shown, samples = _samples(options, subject)
    for kind in KINDS:
        if kind not in options.only:
            continue
        if kind == "statistics" and len(samples) < FEWEST_SAMPLES:
            print(f"no statistics: {len(samples)} pictures are too few; give --data")
            continue
        if kind == "statistics":
            figure = _statistics(options, subject, samples, layers)
        else:
            figure = _figure(kind, options, subject, shown, layers, classes)()
        path = options.out / f"{kind}.png"
        save(figure, path, dpi=110)
        print(path)


_WITHOUT_PICTURES = ("filters", "maximization")


def _figure(
    kind: str,
    options: argparse.Namespace,
    subject: Subject,
    shown: dict[str, Any],
    layers: list[str],
    classes: list[int],
) -> Callable[[], Figure]:
    """How to make the picture of this kind."""
    from ablax.analysis.maximization import Ascent
    from ablax.inside import pictures

    low, high = subject.range
    ascent = Ascent(steps=options.steps, low=low, high=high)
    dream_steps = max(1, options.steps // 16)
    makers: dict[str, Callable[[], Figure]] = {
        "filters": lambda: pictures.filters_figure(subject),
        "features": lambda: pictures.features_figure(subject, shown, layers),
        "saliency": lambda: pictures.saliency_figure(subject, shown),
        "occlusion": lambda: pictures.occlusion_figure(subject, shown, options.window),
        "deconvolution": lambda: pictures.deconvolution_figure(subject, shown, layers),
        "maximization": lambda: pictures.maximization_figure(
            subject, classes, options.seed, ascent
        ),
        "dream": lambda: pictures.dream_figure(subject, shown, layers, options.seed, dream_steps),
    }
    return makers[kind]


def _statistics(
    options: argparse.Namespace, subject: Subject, samples: list[Any], layers: list[str]
) -> Figure:
    """The table, printed and as CSV, and the picture."""
    from ablax.costs.tables import written
    from ablax.inside.statistics import network_statistics, statistics_figure, statistics_table
    from ablax.inside.subject import top_layers

    every = list(dict.fromkeys([*top_layers(subject), *layers]))
    found = network_statistics(subject, every, _batches(samples))
    table = statistics_table(f"Features of {subject.title}", found)
    print(written(table, "text"))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "statistics.csv").write_text(written(table, "csv") + "\n", "utf-8")
    return statistics_figure(subject, found, layers)


def _batches(samples: list[Any], size: int = 32) -> Iterator[Any]:
    from ablax.inside.subject import as_batch

    for start in range(0, len(samples), size):
        yield as_batch(samples[start : start + size])


def _subject(options: argparse.Namespace) -> Subject:
    """The network with its weights, or as drawn."""
    from ablax.errors import AblaxError
    from ablax.inside.subject import trained, untrained
    from ablax.preprocessing_options import with_options
    from ablax.weights_folder import open_weights

    if options.weights is None:
        return untrained(options.network, options.seed, options.image_size)
    if options.image_size is not None:
        raise AblaxError("--image-size is for drawn weights: those of --weights have their own")
    found = open_weights(options.network, options.weights, options.library)
    title = f"weights {options.weights.name} of {found.origin.library}"
    return trained(with_options(found, options), title)


def _samples(options: argparse.Namespace, subject: Subject) -> tuple[dict[str, Any], list[Any]]:
    """The prepared pictures to show, by name, and those for the statistics."""
    from ablax.evaluation_data import open_test_images
    from ablax.interop.preprocessing import open_picture

    prepare = subject.preprocessing.array
    shown = {path.stem: prepare(open_picture(path)) for path in options.pictures}
    if options.data is None:
        return shown, list(shown.values())
    test = open_test_images(options.data, options.data_dir)
    count = min(len(test), max(options.samples, options.show))
    found = list(test.prepared(subject.preprocessing, count))
    if not shown:
        shown = {
            f"{number}: {test.classes[label]}": image
            for number, (image, label) in enumerate(found[: options.show])
        }
    return shown, [image for image, _ in found[: options.samples]]


def _classes(options: argparse.Namespace, subject: Subject) -> list[int]:
    """The classes asked for, or the first ten."""
    from ablax.errors import AblaxError, nearest

    if options.classes is None:
        return list(range(min(10, len(subject.classes))))
    found = []
    for name in options.classes:
        if name.isdigit() and int(name) < len(subject.classes):
            found.append(int(name))
        elif name in subject.classes:
            found.append(subject.classes.index(name))
        else:
            raise AblaxError(f"there is no class {name!r}: {nearest(name, subject.classes)}")
    return found
