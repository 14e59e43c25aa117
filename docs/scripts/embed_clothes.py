"""Make the embedded part of Fashion-MNIST, `src/ablax/data/clothes.npz`, from the whole set.

    python docs/scripts/embed_clothes.py FOLDER

The folder holds `fashion_mnist`, prepared for tensorflow-datasets (`make data DATA=fashion_mnist`).
Which pictures are chosen depends on their order in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ablax.data import clothes, load
from ablax.data.images import Split


def chosen(split: Split, each: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
    """So many pictures of every class, drawn by lot, in the order of the set."""
    by_lot = random.permutation(len(split))
    labels = split.labels[by_lot]
    places = np.concatenate([by_lot[labels == k][:each] for k in range(len(clothes.CLASSES))])
    places.sort()
    images = np.stack([split.images[place, ..., 0] for place in places])
    return {"images": images, "labels": split.labels[places].astype(np.uint8)}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="prepared sets of tensorflow-datasets")
    whole = load("tfds:fashion_mnist", folder=parser.parse_args().folder)
    if whole.classes != clothes.CLASSES:
        raise SystemExit(f"the classes are {whole.classes}: expected {clothes.CLASSES}")
    # RandomState, not Generator: NumPy promises that its stream never changes.
    random = np.random.RandomState(0)
    found: dict[str, Any] = {}
    for part, each in (("train", clothes.TRAINING), ("test", clothes.TEST)):
        split = whole.train if part == "train" else whole.test
        found |= {f"{part}_{name}": a for name, a in chosen(split, each, random).items()}
    place = Path(clothes.__file__).with_name(clothes.FILE)
    np.savez_compressed(place, **found)
    print(f"written: {place.name}, {place.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
