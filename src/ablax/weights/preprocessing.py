"""How images are prepared for somebody's weights, and what the classes are called."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from ablax.errors import AblaxError

# ------------------------------------------------------------------------------------------
# From a picture to what a network was trained on: size, order of channels, mean and standard
# deviation.
#
# Weights are worth little without the preparation of the images they saw. It belongs to the
# weights, not to the network: torchvision's, timm's, Caffe's and Keras' files of the same network
# want different ones.

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Preprocessing:
    """y = (x - mean) / std, of the middle of the resized picture, its levels x in [0, 1].

    Attributes:
        crop: Pixels along each side of what the network sees.
        resize: Pixels that the shorter side is brought to first; None cuts from the picture as it
            is. With `keep_aspect=False` both sides are.
        interpolation: `bilinear` or `bicubic`; with antialiasing, as pillow does it.
        mean: Of each channel, in [0, 1], in the order of `channels`.
        std: Standard deviation of each channel likewise; 1/255 leaves levels up to 255, as Caffe
        does.
        channels: `RGB`, `BGR` as Caffe and OpenCV have it, or `L` for gray.
        keep_aspect: Whether the picture keeps its shape when resized; Caffe's reference networks
            were trained on pictures warped to 256 x 256.

    Raises:
        AblaxError: A field has no such value.

    Example:
        >>> gray = Preprocessing(crop=2, resize=2, mean=(0.5,), std=(0.5,), channels="L")
        >>> float(gray.array(Image.new("L", (4, 4), 255))[0, 0, 0])
        1.0
    """

    crop: int
    resize: int | None
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "RGB"
    keep_aspect: bool = True

    def __post_init__(self) -> None:
        if self.crop < 1 or (self.resize is not None and self.resize < 1):
            raise AblaxError(
                f"crop is {self.crop} and resize {self.resize}: expected at least 1 pixel each"
            )
        if self.interpolation not in _FILTERS:
            raise AblaxError(
                f"interpolation is {self.interpolation!r}: expected {' or '.join(_FILTERS)}"
            )
        if self.channels not in ("RGB", "BGR", "L"):
            raise AblaxError(f"channels is {self.channels!r}: expected RGB, BGR or L")
        if not len(self.mean) == len(self.std) == len(self.channels):
            raise AblaxError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for the channels "
                f"{self.channels}: expected one of each per channel"
            )
        if min(self.std) <= 0:
            raise AblaxError(f"std is {self.std}: expected more than 0")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of what the network sees."""
        return (self.crop, self.crop, len(self.channels))

    def array(self, picture: Image.Image) -> Float32[np.ndarray, "H W C"]:
        """The picture as the network wants it."""
        picture = picture.convert("L" if self.channels == "L" else "RGB")
        if self.resize is not None:
            size = self._size(*picture.size, self.resize)
            if size != picture.size:
                picture = picture.resize(size, _FILTERS[self.interpolation])
        return self.normalized(np.asarray(_middle(picture, self.crop)))

    def normalized(self, levels: np.ndarray) -> Float32[np.ndarray, "*N H W C"]:
        """Levels 0 to 255, RGB or gray, normalized in the order of the channels."""
        if self.channels == "L" and levels.shape[-1] != 1:
            levels = levels[..., None]
        if self.channels == "BGR":
            levels = levels[..., ::-1]
        pixels = levels.astype(np.float32) / 255
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)

    def _size(self, width: int, height: int, shorter: int) -> tuple[int, int]:
        if not self.keep_aspect:
            return shorter, shorter
        # The longer side is cut off to whole pixels, as in torchvision; rounding shifts a pixel.
        longer = int(shorter * max(width, height) / min(width, height))
        return (shorter, longer) if width <= height else (longer, shorter)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return dataclasses.asdict(self)


def from_json(fields: dict[str, Any]) -> Preprocessing:
    """The preprocessing of these fields, as `Preprocessing.as_json` gives them."""
    values: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()
    }
    return Preprocessing(**values)


def open_picture(path: Path) -> Image.Image:
    """The picture in the file, turned upright as its camera noted.

    Raises:
        AblaxError: There is no such file, or it is no picture.
    """
    from PIL import ImageOps

    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture) or picture
    except FileNotFoundError as error:
        raise AblaxError(f"there is no file {path}: give the path of a picture") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise AblaxError(f"{path} is no picture that can be read: {error}") from error


def _middle(picture: Image.Image, side: int) -> Image.Image:
    """The middle `side` x `side`; where the picture is smaller, black is added around it."""
    width, height = picture.size
    # Halves go to the even number, as Python's round and so torchvision has it.
    left, top = round((width - side) / 2), round((height - side) / 2)
    return picture.crop((left, top, left + side, top + side))


# ------------------------------------------------------------------------------------------
# Names of the classes that published weights tell apart.

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
    text = resources.files("ablax.weights").joinpath("imagenet_classes.txt").read_text("utf-8")
    rows = [line.partition("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(synset, lemmas) for synset, _, lemmas in rows]
