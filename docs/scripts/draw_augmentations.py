"""`python docs/scripts/draw_augmentations.py --folder docs/augmentation`: a picture of each law.

Each row is one of the embedded digits, first as it is and then under several draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablax.data.augment import Augmentation, PRNGKey, augment, displacement_field, resample
from ablax.data.digits import load_digits
from ablax.report.figures import few_colors, save

DRAWN = {
    "crop": ("crop_padding = 4", Augmentation(crop_padding=4)),
    "flip": ("flip = True", Augmentation(flip=True)),
    "affine": (
        "rotate = 15°, scale = 0.15, translate = 2 pixels",
        Augmentation(rotate=15.0, scale=0.15, translate=2.0),
    ),
    "noise": ("noise = 0.1", Augmentation(noise=0.1)),
    "color": (
        "brightness = 0.4, contrast = 0.4, saturation = 0.8",
        Augmentation(brightness=0.4, contrast=0.4, saturation=0.8),
    ),
}
_DRAWS = 7
_ELASTIC = ((1.0, 4.0), (2.0, 4.0), (2.0, 8.0))
# Orange on blue, green on purple, yellow on vermilion: the palette of Okabe and Ito.
_INKS = np.array([(230, 159, 0), (0, 158, 115), (240, 228, 66)], np.float32) / 255
_PAPERS = np.array([(0, 114, 178), (204, 121, 167), (213, 94, 0)], np.float32) / 255


def draw_all(folder: Path) -> list[Path]:
    """One PNG for each augmentation, in `folder`; the same bytes every time.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digits = three_digits()
    figures = {name: _rows(name, digits) for name in DRAWN} | {"elastic": _elastic(digits[1:2])}
    written = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        save(figure, path, dpi=100)
        path.write_bytes(few_colors(path.read_bytes(), 256 if name == "color" else 64))
        written.append(path)
    return written


def three_digits() -> Float[Array, "3 32 32 1"]:
    """The first 2, 4 and 3 of the embedded training digits, in [0, 1]."""
    train = load_digits().train
    first = [int(np.argmax(train.labels == label)) for label in (2, 4, 3)]
    return jnp.asarray(train.images[first], jnp.float32) / 255


def _rows(name: str, digits: Float[Array, "n h w 1"]) -> Figure:
    title, augmentation = DRAWN[name]
    images = digits * _INKS[:, None, None] + (1 - digits) * _PAPERS[:, None, None]
    images = images if name == "color" else digits
    figure, axes = _sheet(len(images), 1 + _DRAWS, title)
    axes[0][0].set_title("as it is", fontsize=8)
    axes[0][1].set_title("seven draws", fontsize=8, loc="left")
    columns = [images, *(augment(key, images, augmentation) for key in _keys(_DRAWS))]
    for column, pictures in enumerate(columns):
        for row, picture in enumerate(pictures):
            _show(axes[row][column], picture)
    return figure


def _elastic(digit: Float[Array, "1 h w 1"]) -> Figure:
    """A row for each strength: the digit, then three fields as arrows, each with its result."""
    figure, axes = _sheet(
        len(_ELASTIC), 7, "elastic distortion: the field, and what it does", left=0.16
    )
    _, height, width, _ = digit.shape
    places = np.arange(2, height, 4), np.arange(2, width, 4)
    for row, (amount, smoothness) in enumerate(_ELASTIC):
        _show(axes[row][0], digit[0])
        axes[row][0].set_ylabel(
            f"elastic = {amount:g}\nsmoothness = {smoothness:g}",
            fontsize=8,
            rotation=0,
            ha="right",
            va="center",
        )
        for column, key in enumerate(_keys(3)):
            field = displacement_field(key, (1, height, width), amount, smoothness)
            arrows, result = axes[row][1 + 2 * column], axes[row][2 + 2 * column]
            u, v = (np.asarray(field[0, ..., i])[np.ix_(*places)] for i in (0, 1))
            # The field says where a pixel is read; what is seen moves the other way.
            arrows.quiver(
                places[1], places[0], -v, -u, angles="xy", scale_units="xy", scale=0.6,
                width=0.012, color="#0072B2",
            )  # fmt: skip
            arrows.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
            _show(result, resample(digit, field)[0])
    axes[0][0].set_title("as it is", fontsize=8)
    for column in range(3):
        axes[0][1 + 2 * column].set_title(f"field {column + 1}", fontsize=8)
        axes[0][2 + 2 * column].set_title(f"result {column + 1}", fontsize=8)
    return figure


def _keys(count: int) -> list[PRNGKey]:
    return list(jax.random.split(jax.random.key(0), count))


def _sheet(
    rows: int, columns: int, title: str, left: float = 0.01
) -> tuple[Figure, list[list[Axes]]]:
    wide, high = 0.9 * columns / (1 - left), 0.9 * rows + 0.55
    figure = Figure(figsize=(wide, high), dpi=100)
    figure.suptitle(title, fontsize=10, y=1 - 0.08 / high, va="top")
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left,
            "right": 0.99,
            "bottom": 0.08 / high,
            "top": 1 - 0.5 / high,
            "wspace": 0.06,
            "hspace": 0.06,
        },
    )
    for ax in grid.flat:
        ax.set(xticks=[], yticks=[])
    return figure, grid.tolist()


def _show(ax: Axes, picture: Float[Array, "h w c"]) -> None:
    pixels = np.asarray(picture)
    ax.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python docs/scripts/draw_augmentations.py", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/augmentation"))
    for path in draw_all(parser.parse_args(arguments).folder):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
