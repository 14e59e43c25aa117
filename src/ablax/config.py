"""Recipes: what a run trains on, how, and for how long, as frozen typed values.

A recipe in `configs/` is one of these; the command line overrides any field by its dotted name
(`--train.epochs 3`). Every field is checked here, so a bad value is refused before data are read.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from typeguard import TypeCheckError, check_type

from ablax.data.augment import Augmentation
from ablax.errors import AblaxError, brief, nearest


class ConfigError(AblaxError):
    """A field of a recipe with a value that it cannot have."""


def check_types(part: Any, prefix: str) -> None:
    """Refuse a field whose value is not of its declared type, as a recipe file may hold one.

    The ConfigError has the field's dotted name, and the nearest choice where there are choices.
    """
    for name, hint in get_type_hints(type(part)).items():
        _check_type(getattr(part, name), hint, f"{prefix}{name}")


def _check_type(value: Any, hint: Any, name: str) -> None:
    dotted = name.replace("_", "-")
    try:
        # True is a 1 for Python, and a slip where a number is meant
        check_type(str(value) if isinstance(value, bool) and hint is not bool else value, hint)
    except TypeCheckError:
        if get_origin(hint) is Literal:
            raise ConfigError(
                f"{dotted} is {value!r}: {nearest(str(value), get_args(hint))}"
            ) from None
        expected = hint.__name__ if isinstance(hint, type) else str(hint)
        raise ConfigError(f"{dotted} is {brief(repr(value))}, and {expected} is expected") from None


def require(holds: bool, name: str, given: object, expected: str) -> None:
    """Refuse a field's value in one sentence, by a ConfigError."""
    if not holds:
        raise ConfigError(f"{name} is {brief(repr(given))}, and {expected} is expected")


@dataclass(frozen=True)
class DataConfig:
    """Which images."""

    source: str = "digits"
    """digits, digits:distorted or clothes (embedded), or tfds:NAME, of tensorflow-datasets."""
    dir: Path | None = None
    """Folder of prepared tensorflow-datasets; default: the environment's TFDS_DATA_DIR."""
    image_size: int | None = None
    """Height and width in pixels to resize to; default: the images' own size."""
    stream: bool = False
    """Decode while training, for sets too large to keep in memory."""
    workers: int = 0
    """Processes that decode a streamed set; 0 decodes in threads."""
    held_out: float = 0.0
    """Fraction of the training images held out for validation."""
    share: float = 1.0
    """Fraction of the remaining training images, the same for every seed; nested."""
    classes: tuple[int, ...] = ()
    """Labels of the classes to keep, in training and test images; default: all."""

    def __post_init__(self) -> None:
        check_types(self, "data.")
        require(bool(self.source), "data.source", self.source, "a name such as 'digits'")
        size = self.image_size
        fits = size is None or 0 < size <= 10_000
        require(fits, "data.image-size", size, "at least 1 pixel and at most 10000")
        require(0 <= self.workers <= 1024, "data.workers", self.workers, "0 to 1024 processes")
        require(
            not self.stream or size is not None,
            "data.image-size",
            size,
            "a size in pixels, because data.stream is on,",
        )
        held_out, share, kept = self.held_out, self.share, self.classes
        require(0 <= held_out < 1, "data.held-out", held_out, "0 or more, below 1,")
        require(0 < share <= 1, "data.share", share, "above 0 and at most 1")
        labels = len(kept) != 1 and len(set(kept)) == len(kept) and min(kept, default=0) >= 0
        require(labels, "data.classes", kept, "two or more different labels, counted from 0,")
        chosen = (held_out, share, kept) != (0, 1, ())
        require(
            not (self.stream and chosen),
            "data.stream",
            self.stream,
            "False (data.held-out, data.share and data.classes choose among images in memory)",
        )


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move. Weight decay acts on kernels alone, outside the loss."""

    name: Literal["sgd", "adamw", "adagrad", "rmsprop", "lars"] = "sgd"
    """SGD with momentum; Adam, AdaGrad and RMSProp with decoupled weight decay; or LARS."""
    rate: float = 0.05
    """Peak learning rate."""
    momentum: float = 0.9
    """Momentum coefficient, of sgd and lars."""
    nesterov: bool = False
    """Nesterov momentum, of sgd and lars."""
    weight_decay: float = 5e-4
    """Decoupled weight decay, kernels only."""
    schedule: Literal["constant", "step", "cosine", "exponential", "inverse", "linear"] = "cosine"
    """Learning-rate schedule after the warm-up."""
    warmup: float = 0.0
    """Epochs of linear warm-up from 0."""
    drops: tuple[float, ...] = (0.5, 0.75)
    """Step schedule: fractions of training at which the rate is multiplied by the drop factor."""
    drop_factor: float = 0.1
    """Step schedule: factor at each drop; exponential and inverse: final over peak rate."""
    clip: float | None = None
    """Clip gradients to this global norm; None: no clipping."""
    rate_factors: tuple[tuple[str, float], ...] = ()
    """Patterns of parameters' paths, such as `*/bias` or `conv1/*`, and the factors on the rate of
    those that match; where several match, they multiply. A factor of 0 freezes, and the running
    statistics whose paths match with it: `conv1/*` holds both."""

    def __post_init__(self) -> None:
        check_types(self, "optimizer.")

        def positive(value: float) -> bool:
            return math.isfinite(value) and value > 0

        require(positive(self.rate), "optimizer.rate", self.rate, "a number above 0")
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 or more, below 1,")
        decay, warmup = self.weight_decay, self.warmup
        require(0 <= decay < math.inf, "optimizer.weight-decay", decay, "a number of 0 or more")
        require(0 <= warmup < math.inf, "optimizer.warmup", warmup, "0 or more epochs")
        rising = all(0 < share < 1 for share in self.drops) and list(self.drops) == sorted(
            set(self.drops)
        )
        require(rising, "optimizer.drops", self.drops, "rising shares between 0 and 1")
        factor = self.drop_factor
        require(0 < factor <= 1, "optimizer.drop-factor", factor, "above 0 and at most 1")
        require(
            self.clip is None or positive(self.clip), "optimizer.clip", self.clip, "above 0 or None"
        )
        for pattern, factor in self.rate_factors:
            name = f"optimizer.rate-factors, {pattern!r},"
            require(0 <= factor < math.inf, name, factor, "a factor of 0 or more")


@dataclass(frozen=True)
class TrainConfig:
    """For how long, and in what portions."""

    epochs: int = 20
    """Passes over the training images."""
    batch: int = 128
    """Images per step, over all devices together."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the computation; parameters, statistics and loss stay in float32."""
    label_smoothing: float = 0.0
    """Label smoothing: fraction of the target spread evenly over all classes."""
    auxiliary_weight: float = 0.3
    """Weight of each auxiliary classifier's loss, in networks that have any; GoogLeNet: 0.3."""
    evaluate_every: int = 1
    """Epochs between evaluations on the test images; the last epoch is always evaluated."""
    checkpoint_seconds: float = 30.0
    """Minimum seconds between checkpoints; the end of a run always writes one."""
    chunk: int = 0
    """Steps per compiled loop; 0 chooses: an epoch, or about 50 steps on a CPU."""
    cores: int | None = None
    """Cores of a CPU that a run computes with; runs stand side by side on the others. Its last
    digits depend on them. None: on all that the machine has."""

    def __post_init__(self) -> None:
        check_types(self, "train.")
        for name in ("epochs", "batch", "evaluate_every"):
            value = getattr(self, name)
            dotted = f"train.{name.replace('_', '-')}"
            require(value >= 1, dotted, value, "at least 1")
            require(value <= 1_000_000, dotted, value, "at most 1000000")
        smoothing, seconds = self.label_smoothing, self.checkpoint_seconds
        require(0 <= smoothing < 1, "train.label-smoothing", smoothing, "0 or more, below 1,")
        weight = self.auxiliary_weight
        require(0 <= weight < math.inf, "train.auxiliary-weight", weight, "a number of 0 or more")
        require(0 <= seconds < math.inf, "train.checkpoint-seconds", seconds, "0 or more seconds")
        require(0 <= self.chunk <= 1_000_000, "train.chunk", self.chunk, "0 to 1000000 steps")
        cores = self.cores
        require(cores is None or 1 <= cores <= 1024, "train.cores", cores, "1 to 1024 or None")


@dataclass(frozen=True)
class Recipe:
    """Data, schedule and budget: what any question is asked with."""

    data: DataConfig = field(default_factory=DataConfig)
    """Which images."""
    augment: Augmentation = field(default_factory=Augmentation)
    """How each training image is varied at every step."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How the weights move."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """For how long."""
    width: float = 1.0
    """Width multiplier: factor on the features of the network's layers."""
    seeds: int | Literal["auto"] = 3
    """Runs of every variant, from seeds 0, 1, 2, ...; auto adds seeds until every claim is decided.
    """
    most_seeds: int = 24
    """The largest number of seeds that auto runs."""
    conclusions: bool = True
    """Whether the budget is large enough for the report to draw a conclusion."""

    def __post_init__(self) -> None:
        check_types(self, "")
        check_types(self.augment, "augment.")
        require(0 < self.width <= 64, "width", self.width, "above 0 and at most 64")
        fixed, most = 1 if self.seeds == "auto" else self.seeds, self.most_seeds
        require(fixed >= 1, "seeds", fixed, "at least 1, or auto,")
        require(fixed <= 10_000, "seeds", fixed, "at most 10000")
        require(2 <= most <= 10_000, "most-seeds", most, "2 to 10000")


def with_fields(recipe: Recipe, fields: Mapping[str, Any]) -> Recipe:
    """The recipe with some fields changed, named as on the command line: dotted, with '_' or '-'.

    Raises:
        ConfigError: There is no such field, or it cannot have that value.

    Example:
        >>> changed = with_fields(Recipe(), {"train.epochs": 3, "optimizer.weight-decay": 0.0})
        >>> changed.train.epochs, changed.optimizer.weight_decay
        (3, 0.0)
    """
    for name, value in fields.items():
        require(isinstance(name, str), "the name of a field", name, "a string")
        recipe = _with_field(recipe, name.replace("-", "_").split("."), value, name)
    return recipe


def _with_field(part: Any, path: list[str], value: Any, name: str) -> Any:
    first, *rest = path
    known = [field.name for field in dataclasses.fields(part)]
    if first not in known or bool(rest) != dataclasses.is_dataclass(getattr(part, first)):
        raise ConfigError(_no_field(name))
    if rest:
        value = _with_field(getattr(part, first), rest, value, name)
    return dataclasses.replace(part, **{first: value})


def _no_field(name: str) -> str:
    known = list(flat(Recipe()))
    given = name.replace("-", "_")
    inside = [one for one in known if one.startswith(f"{given}.")]
    if inside:
        return f"{name!r} is no field of a recipe but a part of it: choose from {', '.join(inside)}"
    ends = [one for one in known if one.rpartition(".")[2] == given.rpartition(".")[2]]
    hint = f"did you mean {ends[0]!r}?" if ends else nearest(given, known)
    return f"a recipe has no field {name!r}: {hint}"


def flat(recipe: Recipe) -> dict[str, Any]:
    """A recipe's fields under their dotted names, as JSON holds them; `unflat` is the inverse.

    Example:
        >>> flat(Recipe())["train.batch"]
        128
    """
    return _flat(recipe, "")


def _flat(value: Any, name: str) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value):
        return {name: _for_json(value)}
    found: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        dotted = f"{name}.{one.name}" if name else one.name
        found |= _flat(getattr(value, one.name), dotted)
    return found


def _for_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_for_json(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def unflat(fields: Mapping[str, Any]) -> Recipe:
    """The recipe of which `flat` gives these fields, no more and no less, as JSON gives them back.

    Raises:
        ConfigError: A field is unknown or missing, or has a value that it cannot have.

    Example:
        >>> unflat(flat(Recipe(width=0.5))) == Recipe(width=0.5)
        True
    """
    known = flat(Recipe())
    for name in fields:
        if name not in known:
            raise ConfigError(f"a recipe has no field {name!r}: {nearest(name, known)}")
    for name in known:
        if name not in fields:
            raise ConfigError(
                f"the recipe lacks the field {name!r}, and every field is expected: its usual "
                f"value is {known[name]!r}"
            )
    return cast(Recipe, _part(Recipe, fields, ""))


def _part(kind: type[Any], fields: Mapping[str, Any], prefix: str) -> Any:
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        dotted = f"{prefix}{name}"
        if dataclasses.is_dataclass(hint):
            values[name] = _part(cast("type[Any]", hint), fields, f"{dotted}.")
        else:
            values[name] = _from_json(fields[dotted], hint)
            _check_type(values[name], hint, dotted)
    return kind(**values)


def _from_json(value: Any, hint: Any) -> Any:
    """A value as the recipe holds it: JSON has lists for tuples, and strings for paths."""
    if isinstance(value, list):
        return tuple(_from_json(one, None) for one in value)
    return Path(value) if isinstance(value, str) and Path in get_args(hint) else value
