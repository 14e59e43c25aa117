"""Whose weights each network of the zoo takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ablax.errors import WeightsError, nearest
from ablax.interop.origins import caffe, cifar, keras, timm, torchvision
from ablax.interop.origins.origin import KnownFile, Origin

__all__ = ["ORIGINS", "KnownFile", "Origin", "find_origin", "origins_of"]

_ALL = (torchvision.ORIGINS, timm.ORIGINS, caffe.ORIGINS, keras.ORIGINS, cifar.ORIGINS)

ORIGINS: Mapping[str, tuple[Origin, ...]] = MappingProxyType(
    {
        name: tuple(origin for origins in _ALL for origin in origins.get(name, ()))
        for name in dict.fromkeys(name for origins in _ALL for name in origins)
    }
)
"""From a network of the zoo to the implementations whose weights it takes."""


def origins_of(network: str) -> tuple[Origin, ...]:
    """Whose weights the network takes; nothing where nobody publishes any.

    Example:
        >>> [origin.title for origin in origins_of("vgg_d")]
        ['torchvision vgg16', 'caffe VGG_ILSVRC_16_layers']
    """
    return ORIGINS.get(network, ())


def find_origin(network: str, library: str) -> Origin:
    """The origin of that library.

    Raises:
        WeightsError: The network takes no weights of it.
    """
    for origin in origins_of(network):
        if origin.library == library:
            return origin
    libraries = [origin.library for origin in origins_of(network)]
    raise WeightsError(f"{network} takes no weights of {library!r}: {nearest(library, libraries)}")
