"""A network with weights, seen from outside: scores, features of a layer, and pictures as shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.core import Layers, Network, features, initialize, layer_shapes, leaves_by_path, paths
from ablax.errors import AblaxError, nearest
from ablax.weights.load import Foreign
from ablax.weights.preprocessing import Preprocessing
from ablax.zoo import find


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked into.

    Attributes:
        name: Of the network in the zoo.
        weights: Whose weights, for captions: `"untrained, seed 0"`.
        network: The network.
        variables: Its weights and statistics.
        preprocessing: From a picture to what it takes.
        classes: Their names.
    """

    name: str
    weights: str
    network: Network
    variables: Mapping[str, Any]
    preprocessing: Preprocessing
    classes: tuple[str, ...]

    @property
    def title(self) -> str:
        """For captions."""
        return f"{self.name}, {self.weights}"

    def scores(self, images: Float[Array, "N H W C"]) -> Float[Array, "N classes"]:
        """Of the classes, before the softmax."""
        return self.network.apply(self.variables, images)  # type: ignore[return-value]

    def features(self, layer: str) -> Callable[[Float[Array, "N H W C"]], Array]:
        """The function from images to the features of a layer.

        It is of the network cut behind the layer, so that images of other sizes are taken unless
        the layer itself minds.
        """
        top = layer.split("/")[0]
        names = list(self.network.layers)
        kept = {name: self.network.layers[name] for name in names[: names.index(top) + 1]}
        network = Network(Layers(kept), Layers(), Layers())
        params = self.variables["params"]
        variables = {
            **self.variables,
            "params": {name: params[name] for name in kept if name in params},
        }
        return lambda images: features(network, variables, images, at=[layer])[layer]

    def kernels(self) -> dict[str, Any]:
        """The parameters by path, in the order of the network."""
        order = {path: place for place, path in enumerate(paths(self.network))}
        found = leaves_by_path(self.variables["params"])

        def place(path: str) -> int:
            parts = path.split("/")
            known = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
            return next((order[name] for name in known if name in order), len(order))

        return dict(sorted(found.items(), key=lambda item: place(item[0])))

    def shown(self, images: Float[Any, "*N H W C"]) -> Float[np.ndarray, "*N H W C"]:
        """Images as people see them: levels in [0, 1], red first."""
        fields = self.preprocessing
        levels = np.asarray(images) * np.asarray(fields.std) + np.asarray(fields.mean)
        if fields.channels == "BGR":
            levels = levels[..., ::-1]
        return np.clip(levels, 0, 1).astype(np.float32)

    @property
    def range(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What black and white become, of each channel."""
        pairs = list(zip(self.preprocessing.mean, self.preprocessing.std, strict=True))
        return tuple(-m / s for m, s in pairs), tuple((1 - m) / s for m, s in pairs)


def untrained(name: str, seed: int, image_size: int | None = None) -> Subject:
    """A network with weights as drawn; its pictures are stretched to a deviation of about 1.

    Raises:
        AblaxError: There is no such network, or it does not take images of this size.
    """
    entry = find(name)
    size = entry.image_size if image_size is None else image_size
    if entry.channels not in (1, 3):
        raise AblaxError(f"{name} takes {entry.channels} channels: expected pictures, of 1 or 3")
    shape = (size, size, entry.channels)
    network = entry.build()
    preprocessing = Preprocessing(
        size,
        size,
        mean=(0.5,) * entry.channels,
        std=(0.25,) * entry.channels,
        channels="RGB" if entry.channels == 3 else "L",
    )
    variables = initialize(network, seed, shape)
    scores = layer_shapes(network, shape)[list(network.layers)[-1]]
    classes = tuple(f"class {k}" for k in range(scores[-1]))
    return Subject(name, f"untrained, seed {seed}", network, variables, preprocessing, classes)


def trained(weights: Foreign, title: str) -> Subject:
    """A network with the weights of a folder or file."""
    return Subject(
        weights.name,
        title,
        weights.network,
        weights.variables,
        weights.preprocessing,
        weights.classes,
    )


def chosen_layers(subject: Subject, asked: Sequence[str], count: int = 4) -> list[str]:
    """The layers asked for; by default some that give maps, from the first to the last.

    Raises:
        AblaxError: There is no such layer, or it gives no maps.
    """
    shapes = layer_shapes(subject.network, subject.preprocessing.image_shape)
    for name in asked:
        if name not in shapes:
            raise AblaxError(f"the network has no layer {name!r}: {nearest(name, list(shapes))}")
        if len(shapes[name]) != 3:
            raise AblaxError(
                f"{name} gives {shapes[name]} for an image: choose a layer that gives maps"
            )
    if asked:
        return list(asked)
    maps = [
        name
        for name, shape in shapes.items()
        if "/" not in name and len(shape) == 3 and max(shape[:2]) > 1
    ]
    places = np.unique(np.linspace(0, len(maps) - 1, min(count, len(maps))).round().astype(int))
    return [maps[place] for place in places]


def top_layers(subject: Subject) -> list[str]:
    """Every layer of the first level that gives features, the scores left out."""
    shapes = layer_shapes(subject.network, subject.preprocessing.image_shape)
    return [name for name in shapes if "/" not in name][:-1]


def as_batch(pictures: Sequence[Float[np.ndarray, "H W C"]]) -> Float[Array, "N H W C"]:
    """Prepared pictures as one array."""
    return jnp.asarray(np.stack(pictures))
