"""`Model`: a network with its weights, the preparation of its images and the names of its classes.

Pure data, which knows no file: `Model.untrained` makes one of any network, `ablax.zoo.untrained` of
a name, `ablax.load_model` of whatever was trained.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, Real
from PIL import Image

from ablax.core import (
    ImageShape,
    Layers,
    Network,
    abstract_variables,
    features,
    initialize,
    leaves_by_path,
    paths,
    refuse_unknown,
)
from ablax.errors import AblaxError, refuse_beyond_memory
from ablax.losses import predictions, softmax_cross_entropy

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_MODES = {"L": "L", "RGB": "RGB", "BGR": "RGB"}


@dataclass(frozen=True)
class Preprocessing:
    """y = (x - mean) / std, of the middle of the resized picture, its levels x in [0, 1].

    It belongs to the weights, which are worth little without it, not to the network: torchvision's,
    timm's, Caffe's and Keras' files of one network want different ones.

    Attributes:
        crop: Pixels along each side of what the network sees, or (height, width).
        resize: Pixels that the shorter side is brought to first; None cuts from the picture as it
            is. With `keep_aspect=False` both sides are.
        interpolation: `bilinear` or `bicubic`; with antialiasing, as pillow does it.
        mean: Of each channel, in [0, 1], in the order of `channels`.
        std: Likewise; 1/255 leaves levels up to 255, as Caffe does.
        channels: `RGB`, `BGR` as Caffe and OpenCV have it, `L` for gray, or empty where they are
            not those of a picture.
        keep_aspect: Caffe's reference networks were trained on pictures warped to 256 x 256.

    Raises:
        AblaxError: A field has no such value.

    Example:
        >>> gray = Preprocessing(crop=2, resize=2, mean=(0.5,), std=(0.5,), channels="L")
        >>> float(gray.array(Image.new("L", (4, 4), 255))[0, 0, 0])
        1.0
    """

    crop: int | tuple[int, int]
    resize: int | None
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "RGB"
    keep_aspect: bool = True

    def __post_init__(self) -> None:
        if min(self.image_shape[:2]) < 1 or (self.resize is not None and self.resize < 1):
            raise AblaxError(
                f"crop is {self.crop} and resize {self.resize}: expected at least 1 pixel each"
            )
        if self.interpolation not in _FILTERS:
            raise AblaxError(
                f"interpolation is {self.interpolation!r}: expected {' or '.join(_FILTERS)}"
            )
        if self.channels not in ("RGB", "BGR", "L", ""):
            raise AblaxError(f"channels is {self.channels!r}: expected RGB, BGR or L")
        if not len(self.mean) == len(self.std) == (len(self.channels) or len(self.mean)):
            raise AblaxError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for the channels "
                f"{self.channels}: expected one of each per channel"
            )
        if min(self.std) <= 0:
            raise AblaxError(f"std is {self.std}: expected more than 0")

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C) of what the network sees."""
        height, width = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop
        return (height, width, len(self.mean))

    def array(self, picture: Image.Image) -> Float32[np.ndarray, "H W C"]:
        """The picture as the network wants it.

        Raises:
            AblaxError: The network's channels are not those of a picture.
        """
        if self.channels not in _MODES:
            raise AblaxError(
                f"the network takes {len(self.mean)} channels: expected pictures, of 1 or 3"
            )
        picture = picture.convert(_MODES[self.channels])
        if self.resize is not None:
            size = self._size(*picture.size, self.resize)
            what = f"a picture of {size[1]}x{size[0]} pixels in float32"
            refuse_beyond_memory(4 * len(self.mean) * math.prod(size), what, "--resize")
            if size != picture.size:
                picture = picture.resize(size, _FILTERS[self.interpolation])
        return self.normalized(np.asarray(_middle(picture, *self.image_shape[:2])))

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

    def __str__(self) -> str:
        """What is done with a picture, as the commands print it.

        Example:
            >>> print(Preprocessing(crop=224, resize=256, mean=(0.5,), std=(0.25,), channels="L"))
            shorter side to 256 pixels (bilinear), middle 224x224, L, mean 0.5, std 0.25
        """
        size = "shorter side" if self.keep_aspect else "both sides"
        resized = f"{size} to {self.resize} pixels ({self.interpolation}), " if self.resize else ""
        mean, std = (" ".join(f"{x:.4g}" for x in each) for each in (self.mean, self.std))
        middle = "x".join(map(str, self.image_shape[:2]))
        return f"{resized}middle {middle}, {self.channels or 'raw'}, mean {mean}, std {std}"

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return dataclasses.asdict(self)


def from_json(fields: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing of these fields, as `Preprocessing.as_json` gives them.

    Raises:
        AblaxError: A field is unknown, missing or no such value.
    """
    known = {each.name for each in dataclasses.fields(Preprocessing)}
    if unknown := sorted(set(map(str, fields)) - known):
        raise AblaxError(
            f"the preparation of images has the field {unknown[0]!r}, which this version of ablax "
            "does not know: use the version that wrote it"
        )
    lists = {name: tuple(each) for name, each in fields.items() if isinstance(each, list)}
    try:
        return Preprocessing(**{**fields, **lists})
    except (TypeError, ValueError) as error:
        raise AblaxError(f"the preparation of images is damaged: {error}") from error


def preprocessing_of(
    image_shape: ImageShape, mean: Sequence[float] = (), std: Sequence[float] = ()
) -> Preprocessing:
    """The preparation of images as a data set has them: a picture is brought to their size.

    Mean and std of each channel, in [0, 1], are 1/2 and 1/4 by default.

    Example:
        >>> found = preprocessing_of((28, 28, 1))
        >>> found.channels, found.resize, found.image_shape
        ('L', 28, (28, 28, 1))
    """
    height, width, channels = image_shape
    return Preprocessing(
        crop=height if height == width else (height, width),
        resize=height if height == width else None,
        mean=tuple(mean) or (0.5,) * channels,
        std=tuple(std) or (0.25,) * channels,
        channels={1: "L", 3: "RGB"}.get(channels, ""),
    )


def _middle(picture: Image.Image, high: int, wide: int) -> Image.Image:
    """The middle `high` x `wide`; where the picture is smaller, black is added around it."""
    width, height = picture.size
    # Halves go to the even number, as Python's round and so torchvision has it.
    left, top = round((width - wide) / 2), round((height - high) / 2)
    return picture.crop((left, top, left + wide, top + high))


PORTION = 128
"""Images in one compiled forward pass."""

Images = Real[np.ndarray, "N H W C"]
"""Raw: levels 0 to 255."""
Batch = tuple[Float[np.ndarray, "_ H W C"], np.ndarray]
"""Prepared images and their labels."""


class Guess(NamedTuple):
    """A class, and the softmax of its score."""

    name: str
    label: int
    probability: float


class ErrorRates(NamedTuple):
    """Errors in percent over a number of images, and Wilson's 95 % interval of each.

    It covers the choice of the images.
    """

    pictures: int
    top1: float
    top5: float
    top1_interval: tuple[float, float]
    top5_interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Model:
    """A network that can be asked: what are the scores, the features, the error of these images?

    What takes *images* takes them raw, as levels 0 to 255 in the order RGB or gray, and computes as
    in a test: no dropout, running statistics. What takes *prepared* images takes them as the
    network does (`normalized`), and can be differentiated.

    Attributes:
        variables: `params` and `batch_stats`; shapes alone where it was made without a seed.
        classes: The name of each; empty where they are not known.
        weights: Whose weights these are, for captions: `"untrained, seed 0"`.
        precision: Of the computation of scores; parameters are kept in float32.

    Example:
        >>> from ablax.zoo import lenet5
        >>> model = Model.untrained(lenet5(), (32, 32, 1), name="lenet5")
        >>> model.title, len(model.classes), model.image_shape
        ('lenet5, untrained, seed 0', 10, (32, 32, 1))
        >>> model.scores(np.zeros((2, 32, 32, 1), np.uint8)).shape
        (2, 10)
    """

    name: str
    network: Network
    variables: Mapping[str, Any]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    weights: str
    precision: str = "float32"

    @classmethod
    def untrained(
        cls,
        network: Network,
        image_shape: ImageShape,
        seed: int | None = 0,
        *,
        name: str = "the network",
        preprocessing: Preprocessing | None = None,
        classes: tuple[str, ...] = (),
    ) -> Model:
        """A randomly initialized network.

        A seed of None leaves the weights as shapes, which is enough for what is read off a network:
        its costs, its receptive fields. By default `preprocessing` brings pixels to a mean of 0 and
        a standard deviation of about 1, and the classes are named `class 0`, `class 1`, ...

        Raises:
            LayerError: The network does not fit the images.
        """
        fields = preprocessing or preprocessing_of(image_shape)
        if seed is None:
            shapes = _kept(abstract_variables(network, image_shape))
            return cls(name, network, shapes, fields, classes, "without weights")
        variables = _kept(initialize(network, seed, image_shape))
        if not classes:
            images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
            scores = jax.eval_shape(network.apply, variables, images)
            classes = tuple(f"class {k}" for k in range(scores.shape[-1]))
        return cls(name, network, variables, fields, classes, f"untrained, seed {seed}")

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C) of the images it takes."""
        return self.preprocessing.image_shape

    @property
    def title(self) -> str:
        """Name and weights, for captions."""
        return f"{self.name}, {self.weights}"

    def what(self, batch: int = 1) -> str:
        """Such as `"alexnet, 1 image of 227x227x3"`."""
        images = "image" if batch == 1 else "images"
        return f"{self.name}, {batch} {images} of {'x'.join(map(str, self.image_shape))}"

    def normalized(self, images: np.ndarray) -> Float32[np.ndarray, "*N H W C"]:
        """Images as the network takes them: in [0, 1], standardized by mean and std."""
        return self.preprocessing.normalized(images)

    def shown(self, prepared: Float[Any, "*N H W C"]) -> Float[np.ndarray, "*N H W C"]:
        """Prepared images as people see them: levels in [0, 1], red first."""
        fields = self.preprocessing
        levels = np.asarray(prepared) * np.asarray(fields.std) + np.asarray(fields.mean)
        if fields.channels == "BGR":
            levels = levels[..., ::-1]
        return np.clip(levels, 0, 1).astype(np.float32)

    @property
    def range(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What black and white become, of each channel."""
        pairs = list(zip(self.preprocessing.mean, self.preprocessing.std, strict=True))
        return tuple(-m / s for m, s in pairs), tuple((1 - m) / s for m, s in pairs)

    def apply(self, prepared: Real[Any, "N H W C"]) -> Float[Array, "N *classes"]:
        """Scores of prepared images, before the softmax."""
        return _scores(self.network, self.precision, self.variables, jnp.asarray(prepared))

    def cut(self, layer: str) -> Callable[[Float[Array, "N H W C"]], Array]:
        """The function from prepared images to the features of a layer.

        It is of the network cut behind the layer, so that images of other sizes are taken unless
        the layer itself minds.

        Raises:
            AblaxError: There is no such layer.
        """
        refuse_unknown([layer], paths(self.network))
        layers = self.network.layers
        end = list(layers).index(layer.split("/")[0]) + 1
        kept = dict(list(layers.items())[:end])
        network = Network(Layers(kept), Layers(), Layers())
        variables = {
            kind: {name: tree[name] for name in kept if name in tree}
            for kind, tree in self.variables.items()
        }
        return lambda prepared: features(network, variables, prepared, at=[layer])[layer]

    def parameters(self) -> dict[str, Any]:
        """The parameters by path, in the order of the network."""
        order = {path: place for place, path in enumerate(paths(self.network))}
        found = leaves_by_path(self.variables["params"])

        def place(path: str) -> int:
            parts = path.split("/")
            known = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
            return next((order[name] for name in known if name in order), len(order))

        return dict(sorted(found.items(), key=lambda item: place(item[0])))

    def scores(self, images: Images) -> Float[np.ndarray, "N *classes"]:
        """Scores of images, before the softmax."""
        parts = [(self.apply(part), count) for part, count in self._portions(images)]
        return np.concatenate([np.asarray(found)[:count] for found, count in parts])

    def features(self, images: Images, at: Sequence[str]) -> dict[str, Float[np.ndarray, "N ..."]]:
        """What the named layers give for images: one row per image.

        Raises:
            AblaxError: A name that no layer has.
        """
        found: dict[str, list[np.ndarray]] = {name: [] for name in at}
        for part, count in self._portions(images):
            given = jax.device_get(features(self.network, self.variables, part, at))
            for name in at:
                found[name].append(given[name][:count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def loss(self, images: Images, labels: Int32[np.ndarray, " N"]) -> float:
        """Mean cross-entropy of images and their classes, in nats."""
        losses = softmax_cross_entropy(jnp.asarray(self.scores(images)), jnp.asarray(labels))
        return float(np.mean(np.asarray(losses), dtype=np.float64))

    def error(self, images: Images, labels: Int32[np.ndarray, " N"]) -> float:
        """Share of images whose highest score is not that of their class, in percent."""
        return 100 * float(np.mean(predictions(self.scores(images)) != labels))

    def evaluate(self, images: Images, labels: Int32[np.ndarray, " N"]) -> ErrorRates:
        """Top-1 and top-5 error of images, each with its interval.

        Raises:
            AblaxError: There is no image.
        """
        return error_rates(self.apply, self.batches(images, labels))

    def batches(
        self, images: np.ndarray, labels: np.ndarray, size: int = PORTION
    ) -> Iterator[Batch]:
        """Images as the network takes them and their labels, so many at a time."""
        for first in range(0, len(labels), size):
            yield self.normalized(images[first : first + size]), labels[first : first + size]

    def predict(self, pictures: Sequence[Image.Image], top: int = 5) -> list[list[Guess]]:
        """The most probable classes of each picture, of any size, the most probable first.

        Raises:
            AblaxError: A score is not finite.
        """
        found = []
        for picture in pictures:  # one by one: those that a person has at hand are few
            scores = np.asarray(self.apply(self.preprocessing.array(picture)[None]))[0]
            if not np.isfinite(scores).all():
                raise AblaxError(
                    f"{self.title} gives scores that are no finite numbers, from which no class "
                    "follows: look for the layer with `ablax doctor`"
                )
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            order = np.argsort(-scores, kind="stable")[:top]
            found.append([Guess(self.classes[k], int(k), float(shares[k])) for k in order])
        return found

    def _portions(self, images: np.ndarray) -> Iterator[tuple[Array, int]]:
        """Prepared batches of one size, the last filled up with zeros, and how many count."""
        size = min(PORTION, len(images))
        for part, _ in self.batches(images, images, size):
            padded = np.pad(part, [(0, size - len(part)), (0, 0), (0, 0), (0, 0)])
            yield jnp.asarray(padded), len(part)


def _kept(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: variables.get(kind, {}) for kind in ("params", "batch_stats")}


@partial(jax.jit, static_argnums=(0, 1))
def _scores(network: Network, precision: str, variables: Mapping[str, Any], images: Array) -> Array:
    params = jax.tree.map(lambda leaf: leaf.astype(precision), variables.get("params", {}))
    given = {**variables, "params": params}
    return network.apply(given, images.astype(precision)).astype(jnp.float32)


def error_rates(
    apply: Callable[[Float[np.ndarray, "N H W C"]], Float[Any, "N classes"]],
    batches: Iterable[Batch],
    progress: Callable[[int], None] | None = None,
) -> ErrorRates:
    """The share of images whose class is not the most probable, and not among the first five.

    No batch may be larger than the first; `progress` is told how many images are done.

    Raises:
        AblaxError: There is no image.
    """
    wrong1 = wrong5 = count = size = 0
    for images, labels in batches:
        size = max(size, len(images))
        missing = size - len(images)  # the last batch is filled up, so that nothing recompiles
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        scores = np.asarray(apply(padded))[: len(images)]
        # A class is among the best k if fewer than k score more; of equals the first counts.
        own = scores[np.arange(len(labels)), labels][:, None]
        earlier = np.arange(scores.shape[1]) < labels[:, None]
        rank = (scores > own).sum(1) + ((scores == own) & earlier).sum(1)
        # with a score that is no number nothing is right
        rank[np.asarray(predictions(scores)) < 0] = max(5, scores.shape[1])
        wrong1 += int((rank >= 1).sum())
        wrong5 += int((rank >= 5).sum())
        count += len(labels)
        if progress is not None:
            progress(count)
    if not count:
        raise AblaxError("there is no picture to evaluate")
    return ErrorRates(
        count,
        100 * wrong1 / count,
        100 * wrong5 / count,
        _percent(wilson(wrong1, count)),
        _percent(wilson(wrong5, count)),
    )


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    return 100 * low, 100 * high


def batches_of(
    pictures: Iterator[tuple[Float[np.ndarray, "H W C"], int]], size: int
) -> Iterator[Batch]:
    """Prepared pictures and labels, `size` at a time; the last batch may be smaller."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    for image, label in pictures:
        images.append(image)
        labels.append(label)
        if len(labels) == size:
            yield np.stack(images), np.asarray(labels)
            images, labels = [], []
    if labels:
        yield np.stack(images), np.asarray(labels)


def wilson(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, `count` of `total`.

    Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> low, high = wilson(10, 100)
        >>> round(low, 4), round(high, 4)
        (0.0552, 0.1744)
    """
    from scipy import stats  # slow to import, and only an evaluation needs it

    found = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
