"""Where weights come from, and what has to be known to use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ablax.core import Edit
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_weights import ModuleName

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class KnownFile:
    """A published file of weights.

    Attributes:
        name: Of the file; a part `-1a2b3c4d` in front of the suffix is the start of its SHA-256.
        resize: Pixels of the shorter side, where it is not that of the origin.
        top1: The error its publisher reports, in percent.
        top5: Likewise.
    """

    name: str
    resize: int | None = None
    top1: float | None = None
    top5: float | None = None


@dataclass(frozen=True)
class Origin:
    """One implementation whose weights a network of ours takes.

    Attributes:
        library: Whose, such as `torchvision`; what `--from` names.
        model: What the network is called there.
        form: Of its files: `torch` (`.pth` and safetensors), `caffe` or `keras`.
        names: From our paths to the names of its layers.
        preprocessing: What belongs to its weights.
        classes: Names of its classes: `imagenet`, `cifar10`, or empty where they are not known.
        files: Files it publishes.
        home: Where they are, without the name.
        change: What makes our network compute what theirs does; None where it does already.
        prepare: From the tensors of a file to those of today's definition, where an older one
            called them otherwise, or kept the channels in another order.
        left_out: Beginnings of the names of tensors that are not needed: side classifiers.
    """

    library: str
    model: str
    form: str
    names: ModuleName
    preprocessing: Preprocessing
    classes: str = "imagenet"
    files: tuple[KnownFile, ...] = ()
    home: str = ""
    change: Edit | None = None
    prepare: Callable[[Tensors], Tensors] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Library and model, `torchvision resnet18`."""
        return f"{self.library} {self.model}"


Origins = dict[str, tuple[Origin, ...]]
"""From a network of the zoo to those whose weights it takes."""
