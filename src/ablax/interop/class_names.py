"""Names of the classes that published weights tell apart."""

from __future__ import annotations

import functools
from importlib import resources

CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def class_names(data: str, classes: int) -> tuple[str, ...]:
    """The name of each class, in the order of the labels.

    Args:
        data: What the weights were trained on, `imagenet` or `cifar10`; others have no names here.
        classes: How many scores the network gives; where it is another number, it was trained on
            something else.

    Returns:
        As many names; `class 0`, `class 1`, ... where they are not known.

    Example:
        >>> class_names("cifar10", 10)[3]
        'cat'
        >>> class_names("imagenet", 1000)[0], class_names("imagenet", 3)
        ('tench, Tinca tinca', ('class 0', 'class 1', 'class 2'))
    """
    known = imagenet() if data == "imagenet" else CIFAR10 if data == "cifar10" else ()
    return known if len(known) == classes else tuple(f"class {each}" for each in range(classes))


@functools.cache
def imagenet() -> tuple[str, ...]:
    """The lemmas of WordNet of the 1000 classes of ImageNet's challenge."""
    return tuple(lemmas for _, lemmas in _imagenet_rows())


def imagenet_synsets() -> tuple[str, ...]:
    """The synsets of WordNet of the 1000 classes, `n01440764` for the first."""
    return tuple(synset for synset, _ in _imagenet_rows())


def _imagenet_rows() -> list[tuple[str, str]]:
    text = resources.files("ablax.interop").joinpath("imagenet_classes.txt").read_text("utf-8")
    rows = [line.partition("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(synset, lemmas) for synset, _, lemmas in rows]
