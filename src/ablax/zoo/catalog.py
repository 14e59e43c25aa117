"""What `ablax list` shows and `ablax show` finds: the networks of the zoo, family by family."""

from __future__ import annotations

from ablax.core import plugins
from ablax.errors import AblaxError, nearest
from ablax.model import Model
from ablax.zoo.alexnet import CAFFENET_ENTRIES as CAFFENET
from ablax.zoo.alexnet import ENTRIES as ALEXNET
from ablax.zoo.densenet import DENSENET_CIFAR_ENTRIES as DENSENET_CIFAR
from ablax.zoo.densenet import ENTRIES as DENSENET
from ablax.zoo.dpn import ENTRIES as DPN
from ablax.zoo.googlenet import ENTRIES as GOOGLENET
from ablax.zoo.googlenet import INCEPTION_SMALL_ENTRIES as INCEPTION_SMALL
from ablax.zoo.inception_v2 import ENTRIES as INCEPTION_V2
from ablax.zoo.inception_v3 import ENTRIES as INCEPTION_V3
from ablax.zoo.inception_v4 import ENTRIES as INCEPTION_V4
from ablax.zoo.inception_v4 import INCEPTION_RESNET_ENTRIES as INCEPTION_RESNET
from ablax.zoo.lenet import ENTRIES as LENET
from ablax.zoo.mobilenet_v1 import ENTRIES as MOBILENET_V1
from ablax.zoo.mobilenet_v2 import ENTRIES as MOBILENET_V2
from ablax.zoo.msdnet import ENTRIES as MSDNET
from ablax.zoo.register import Entry, entry_of
from ablax.zoo.resnet import ENTRIES as RESNET
from ablax.zoo.resnet import RESNET_CIFAR_ENTRIES as RESNET_CIFAR
from ablax.zoo.resnet_preactivation import ENTRIES as RESNET_PREACTIVATION
from ablax.zoo.resnet_preactivation import RESNET_SHORTCUTS_ENTRIES as RESNET_SHORTCUTS
from ablax.zoo.resnext import ENTRIES as RESNEXT
from ablax.zoo.senet import ENTRIES as SENET
from ablax.zoo.shiftnet import ENTRIES as SHIFTNET
from ablax.zoo.shufflenet_v1 import ENTRIES as SHUFFLENET_V1
from ablax.zoo.shufflenet_v2 import ENTRIES as SHUFFLENET_V2
from ablax.zoo.squeezenet import ENTRIES as SQUEEZENET
from ablax.zoo.vgg import ENTRIES as VGG
from ablax.zoo.xception import ENTRIES as XCEPTION

CATALOG: tuple[Entry, ...] = (
    *LENET,
    *ALEXNET,
    *CAFFENET,
    *VGG,
    *MOBILENET_V1,
    *GOOGLENET,
    *INCEPTION_V2,
    *INCEPTION_V3,
    *INCEPTION_V4,
    *INCEPTION_RESNET,
    *INCEPTION_SMALL,
    *SQUEEZENET,
    *RESNET,
    *RESNET_CIFAR,
    *RESNET_PREACTIVATION,
    *RESNET_SHORTCUTS,
    *RESNEXT,
    *SENET,
    *DENSENET,
    *DENSENET_CIFAR,
    *MSDNET,
    *DPN,
    *MOBILENET_V2,
    *XCEPTION,
    *SHUFFLENET_V1,
    *SHUFFLENET_V2,
    *SHIFTNET,
)


PACKAGES = "ablax.networks"
"""The group of entry points by which packages of others name their networks."""


def find(name: str) -> Entry:
    """The entry of a network.

    Args:
        name: Of a network of the zoo; of an entry point of an installed package, in the group
            `ablax.networks`; or `module:function`.

    Raises:
        AblaxError: There is none; the message names the nearest.

    Example:
        >>> find("alexnet").parameters
        60965224
        >>> find("ablax.zoo.lenet:lenet5").image_shape
        (32, 32, 1)
    """
    for entry in CATALOG:
        if entry.name == name:
            return entry
    if ":" in name:
        named = plugins.named(name)
        return entry_of(name, next((each for each in CATALOG if each.build is named), named))
    others = plugins.offered(PACKAGES)
    if name in others:
        return entry_of(name, plugins.offer(PACKAGES, name))
    names = [*(entry.name for entry in CATALOG), *others]
    raise AblaxError(f"there is no network {name!r}: {nearest(name, names)}")


def untrained(
    name: str,
    seed: int | None = 0,
    image_size: int | None = None,
    classes: int | None = None,
) -> Model:
    """The model of a network by its name, randomly initialized.

    Args:
        name: As `find` takes it.
        seed: Of the weights; None leaves them as shapes (`Model.untrained`).
        image_size: Height and width in pixels; the paper's by default.
        classes: How many scores an image gets; the paper's by default.

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
