"""Fields of the preprocessing on the command line, for weights whose own are others."""

from __future__ import annotations

import argparse
import dataclasses

from ablax.errors import AblaxError
from ablax.interop.foreign import Foreign


def add_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """What commands take that use weights: the network, the weights, and the preprocessing."""
    parser.add_argument("network", help="a network of the zoo (ablax list)")
    parser.add_argument(
        "--weights", required=True, help="a folder that `ablax import` wrote, or a file of weights"
    )
    parser.add_argument("--from", dest="library", help="whose file it is, if its names fit several")
    add_preprocessing_arguments(parser)


def add_preprocessing_arguments(parser: argparse.ArgumentParser) -> None:
    """The fields of the preprocessing; those that are not given stay those of the weights."""
    group = parser.add_argument_group("preprocessing, where it is not that of the origin")
    group.add_argument("--resize", type=int, help="pixels of the shorter side before the crop")
    group.add_argument("--interpolation", choices=("bilinear", "bicubic"))
    group.add_argument("--mean", type=float, nargs="+", help="of each channel, in [0, 1]")
    group.add_argument("--std", type=float, nargs="+", help="deviation of each channel")
    group.add_argument("--channels", choices=("RGB", "BGR", "L"), help="their order")


def with_options(foreign: Foreign, options: argparse.Namespace) -> Foreign:
    """The weights with the preprocessing that the command line asks for.

    Raises:
        AblaxError: A field has no such value, or the weights are for another number of channels.
    """
    asked = {
        **{name: getattr(options, name) for name in ("resize", "interpolation", "channels")},
        **{
            name: tuple(getattr(options, name)) if getattr(options, name) else None
            for name in ("mean", "std")
        },
    }
    fields = {name: value for name, value in asked.items() if value is not None}
    changed = dataclasses.replace(foreign.preprocessing, **fields)
    if changed.image_shape != foreign.preprocessing.image_shape:
        raise AblaxError(
            f"--channels {changed.channels}: the weights of {foreign.name} are for "
            f"{len(foreign.preprocessing.channels)} channels, {foreign.preprocessing.channels}"
        )
    return dataclasses.replace(foreign, preprocessing=changed)
