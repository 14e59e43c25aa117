"""The register of networks: for which images each is, what it costs, and what others report of it.

`@network(...)` over a function says all of it, once; `find`, `names` and `create` look it up. What
papers leave open and libraries decide differently, `conventions` reads off a network.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, ValuesView
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any, TypeVar

from ablax import lazy
from ablax.core import ImageShape, Network, walk
from ablax.errors import AblaxError, brief, nearest, others_code
from ablax.layers import AveragePool, BatchNormalization, LocalResponseNormalization, MaxPool
from ablax.model import Model

TORCHVISION, TIMM = "torchvision 0.28", "timm 1.0.31"
BY_HAND = "by hand from the paper's table"

Build = Callable[..., Network]
"""A function of the zoo. All arguments have defaults, the paper's; the first is `classes`."""


@dataclass(frozen=True)
class Entry:
    """A network of the zoo or of another package: its images, its counts, its published errors.

    Parameters are numbers it learns, without running statistics; multiply-accumulates those of
    convolutions and dense layers for one image, padded taps counted. Both are 0, and height and
    width None, where another package does not say them. The tests count every network of the zoo
    again, and hold the figures against the count of a library, `counted`, or where that is empty a
    derivation from the paper (`tests/zoo/derivations`).

    Errors are top-1 and top-5 in percent, or top-1 alone, on ImageNet's validation images, of
    networks of 32 pixels on CIFAR-10: others' figures, none of ours; `source` says whose, and of
    which views of an image. `called` is what finds it, where that is not the function's name.
    """

    build: Build
    image_size: int | None
    parameters: int = 0
    macs: int = 0
    channels: int = 3
    counted: str = ""
    errors: tuple[float, ...] = ()
    source: str = ""
    called: str = ""

    @property
    def name(self) -> str:
        """The name of the function, or what finds it."""
        return self.called or self.build.__name__

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return self.shape()

    @property
    def error(self) -> str:
        """The published errors and their source; empty where there are none.

        Example:
            >>> find("squeezenet_1_0").error
            '42.5 / 19.7 (Iandola et al. 2016, table 3)'
        """
        errors = " / ".join(f"{error:g}" for error in self.errors)
        return f"{errors} ({self.source})" if errors else ""

    def shape(self, image_size: int | None = None) -> ImageShape:
        """(H, W, C) of the images, of another height and width where one is given.

        Raises:
            AblaxError: No size is given, and the network has none of its own.

        Example:
            >>> find("lenet5").shape(), find("alexnet").shape(64)
            ((32, 32, 1), (64, 64, 3))
        """
        size = self.image_size if image_size is None else image_size
        if size is None:
            raise AblaxError(
                f"{self.name} does not say for which images it is: give --image-size 32, or write "
                "@network(image=32), of ablax.zoo, above its function"
            )
        return (size, size, self.channels)


_SAID = "ablax_entry"
_ENTRIES: dict[str, Entry] = {}

CATALOG: ValuesView[Entry] = _ENTRIES.values()
"""All networks of the zoo, family by family."""

_Build = TypeVar("_Build", bound=Build)


def network(
    image: int,
    parameters: int = 0,
    macs: int = 0,
    *,
    channels: int = 3,
    counted: str = "",
    errors: tuple[float, ...] = (),
    source: str = "",
) -> Callable[[_Build], _Build]:
    """Says of a function for which images its network is, and what is known of it.

    The function's arguments all have defaults, and the first is `classes`, the scores of an image.
    `ablax table my_package:my_network` and the other commands then find it; `ablax.networks` among
    the entry points of your package gives it a name of one word. What is said are the fields of an
    `Entry`, which stand below the function's docstring, too.

    Example:
        >>> from ablax.zoo import lenet5
        >>> @network(image=28, channels=1)
        ... def small(classes: int = 10) -> Network:
        ...     return lenet5(classes, image_size=28)
        >>> entry_of("mine:small", small).image_shape
        (28, 28, 1)
    """

    def said(build: _Build) -> _Build:
        known = (parameters, macs, channels, counted, errors, source if errors else "")
        vars(build)[_SAID] = entry = Entry(build, image, *known)
        about = inspect.cleandoc(build.__doc__ or f"See the table of `{build.__module__}`.")
        build.__doc__ = f"{about}\n\n{_told_of(entry)}"
        return build

    return said


def row(
    make: Callable[..., Network],
    image: int,
    arguments: tuple[Any, ...],
    parameters: int,
    macs: int,
    errors: tuple[float, ...] = (),
    *,
    counted: str = "",
    source: str = "",
) -> Build:
    """A network that a row of a paper's table makes: `make` whose first arguments are given.

    Its own arguments are what is left of `make`'s, `classes` first; the others are those of
    `network`.
    """

    def build(*given: Any, **named: Any) -> Network:
        return make(*arguments, *given, **named)

    build.__module__ = make.__module__
    left = inspect.signature(functools.partial(make, *arguments))
    vars(build)["__signature__"] = left
    return network(image, parameters, macs, counted=counted, errors=errors, source=source)(build)


def family(file: ModuleType) -> dict[str, Build]:
    """Take up the networks that a file of the zoo defines, each under the name it has there."""
    found = {
        name: build
        for name, build in vars(file).items()
        if hasattr(build, _SAID) and build.__module__ == file.__name__
    }
    for name, build in found.items():
        build.__name__ = build.__qualname__ = name
        _ENTRIES[name] = vars(build)[_SAID]
    return found


def _told_of(entry: Entry) -> str:
    """The last lines of a docstring."""
    height, width, channels = entry.image_shape
    lines = [f"Images of {height}x{width}x{channels}."]
    if entry.parameters:
        lines.append(f"{entry.parameters:,} parameters, {entry.macs:,} multiply-accumulates.")
    if entry.errors:
        lines.append(f"Error, %: {entry.error}.")
    return "\n".join(lines)


def entry_of(name: str, value: object) -> Entry:
    """The entry of a network of another package, which `name` finds.

    Raises:
        AblaxError: The value is neither an entry nor a function that builds a network, with or
            without `@network(...)`.
    """
    if isinstance(value, Entry):
        entry = value
    elif callable(value) and not isinstance(value, type):
        entry = getattr(value, _SAID, Entry(value, None))
    else:
        raise AblaxError(
            f"{name} is {brief(repr(value))}: expected a function that returns a Network, such as "
            "ablax.zoo:lenet5"
        )
    return dataclasses.replace(entry, build=_told(name, entry.build), called=name)


def _told(name: str, build: Callable[..., Any]) -> Build:
    """The function, with errors that say which one fails."""

    @functools.wraps(build)
    def told(*arguments: Any, **named: Any) -> Network:
        with others_code(f"{name} fails with"):
            built = build(*arguments, **named)
        if not isinstance(built, Network):
            raise AblaxError(
                f"{name} gives {type(built).__name__}: expected a Network, as ablax.zoo:lenet5 "
                "gives one"
            )
        return built

    return told


PACKAGES = "ablax.networks"
"""The group of entry points by which packages of others name their networks."""


def find(name: str) -> Entry:
    """The entry of a network, by its name in the zoo, or in another package.

    There it is that of an entry point of the group `ablax.networks`, or `module:function`.

    Raises:
        AblaxError: There is none; the message names the nearest.

    Example:
        >>> find("alexnet").parameters
        60965224
        >>> find("ablax.zoo.lenet:lenet5").image_shape
        (32, 32, 1)
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    if ":" in name:
        return entry_of(name, lazy.named(name))
    others = lazy.offered(PACKAGES)
    if name in others:
        return entry_of(name, lazy.offer(PACKAGES, name))
    raise AblaxError(f"there is no network {name!r}: {nearest(name, [*_ENTRIES, *others])}")


def names(pattern: str = "*") -> list[str]:
    """The names of the zoo's networks that fit a pattern, family by family.

    In it `*` stands for any letters, `?` for one, `[ab]` for one of these.

    Example:
        >>> names("vgg_?")
        ['vgg_a', 'vgg_b', 'vgg_c', 'vgg_d', 'vgg_e']
    """
    return [name for name in _ENTRIES if fnmatchcase(name, pattern)]


def create(name: str, /, **arguments: Any) -> Network:
    """The network that `find` finds, with arguments of its function: `classes`, or `width`.

    An argument that it does not have is refused with the nearest.

    Example:
        >>> create("resnet20", classes=3).head["classifier"].features
        3
    """
    build = find(name).build
    known = inspect.signature(build).parameters
    for given in arguments:
        if given not in known:
            raise AblaxError(f"{name} has no argument {given!r}: {nearest(given, known)}")
    return build(**arguments)


def untrained(
    name: str, seed: int | None = 0, image_size: int | None = None, classes: int | None = None
) -> Model:
    """The model of a network by its name, randomly initialized.

    Size and classes are the paper's by default. Without a seed, weights are left as shapes
    (`Model.untrained`).

    Raises:
        AblaxError: There is no such network, or it does not take images of this size.

    Example:
        >>> untrained("lenet5", seed=3).title
        'lenet5, untrained, seed 3'
    """
    entry = find(name)
    shape = entry.shape(image_size)
    if shape[0] < 1:
        raise AblaxError(f"the image size is {shape[0]}: expected at least 1")
    network = entry.build() if classes is None else entry.build(classes)
    return Model.untrained(network, shape, seed, name=entry.name)


def conventions(network: Network) -> tuple[str, ...]:
    """What the network rounds, counts and adds, one remark a convention, each once.

    How a pool rounds the number of its windows; whether an average counts its padding; the epsilon
    of batch normalization; what multiplies the sum of squares in local response normalization, as
    here, and as PyTorch and Caffe write it, who divide by the number of channels first.

    Example:
        >>> from ablax.zoo import alexnet
        >>> conventions(alexnet())
        ('LRN alpha 0.0001 on the sum (0.0005 on the mean), k 2.0', 'max pool rounds down')
    """
    every = (remark for _, layer in walk(network.layers) for remark in _remarks(layer))
    return tuple(sorted(set(every)))


def _remarks(layer: object) -> Iterator[str]:
    if isinstance(layer, MaxPool):
        yield f"max pool rounds {'up' if layer.ceil_mode else 'down'}"
    elif isinstance(layer, AveragePool):
        yield f"average pool rounds {'up' if layer.ceil_mode else 'down'}"
        if layer.padding not in ("VALID", 0):
            counts = "counts" if layer.count_include_pad else "leaves out"
            yield f"average pool {counts} its padding"
    elif isinstance(layer, BatchNormalization):
        yield f"batch-norm epsilon {layer.epsilon:g}"
    elif isinstance(layer, LocalResponseNormalization):
        mean = layer.alpha * layer.size
        yield f"LRN alpha {layer.alpha:.3g} on the sum ({mean:.3g} on the mean), k {layer.k}"
