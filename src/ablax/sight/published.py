"""Receptive fields that others published, beside ours: the page docs/receptive_fields.md."""

from __future__ import annotations

from dataclasses import dataclass

from ablax.costs.tables import Table, written
from ablax.sight.network import network_receptive_fields
from ablax.zoo import find

ARAUJO = "Araujo et al. 2019"
HAND = "by hand"


@dataclass(frozen=True)
class PublishedField:
    """The theoretical receptive field of one layer.

    Attributes:
        network: A network of the zoo.
        layer: Its layer.
        size: Pixels.
        stride: Pixels.
        source: Who says so, or "by hand": walked back through the paper's table.
    """

    network: str
    layer: str
    size: int
    stride: int
    source: str


PUBLISHED_FIELDS = (
    PublishedField("alexnet", "conv1", 11, 4, HAND),
    PublishedField("alexnet", "conv2", 51, 8, HAND),
    PublishedField("alexnet", "conv3", 99, 16, HAND),
    PublishedField("alexnet", "conv4", 131, 16, HAND),
    PublishedField("alexnet", "conv5", 163, 16, HAND),
    PublishedField("alexnet", "pool5", 195, 32, ARAUJO),
    PublishedField("vgg_a", "pool5", 150, 32, HAND),
    PublishedField("vgg_d", "conv5_3", 196, 16, HAND),
    PublishedField("vgg_d", "pool5", 212, 32, ARAUJO),
    PublishedField("vgg_e", "pool5", 268, 32, HAND),
    PublishedField("mobilenet_v1", "conv14_pw", 315, 32, ARAUJO),
    PublishedField("resnet18", "res5b", 435, 32, HAND),
    PublishedField("resnet34", "res5c", 899, 32, HAND),
    PublishedField("resnet50", "res5c", 427, 32, HAND),
    PublishedField("resnet50_v1", "res5c", 483, 32, ARAUJO),
    PublishedField("resnet101_v1", "res5c", 1027, 32, ARAUJO),
    PublishedField("resnet152_v1", "res5c", 1507, 32, ARAUJO),
    PublishedField("inception_v2", "inception_5b", 699, 32, ARAUJO),
    PublishedField("inception_v3", "mixed_7c", 1311, 32, ARAUJO),
    PublishedField("inception_v4", "inception_c3", 2071, 32, ARAUJO),
    PublishedField("inception_resnet_v2", "conv_7b", 3039, 32, ARAUJO),
)
"""All fields are squares. Those of Araujo et al. are of the networks of TF-Slim."""


def published_table(form: str) -> str:
    """Every published field beside ours, in one of the forms of a table."""
    fields = {
        name: network_receptive_fields(find(name).build(), find(name).image_shape, depth=1)
        for name in dict.fromkeys(each.network for each in PUBLISHED_FIELDS)
    }
    rows = []
    for each in PUBLISHED_FIELDS:
        ours = fields[each.network][each.layer]
        same = set(ours.size) == {each.size} and set(ours.stride) == {each.stride}
        rows.append(
            (
                *(each.network, each.layer, each.size, each.stride, each.source),
                *(ours.size[0], str(ours.stride[0]), "yes" if same else "no"),
            )
        )
    columns = ("network", "layer", "size", "stride", "source", "our size", "our stride", "equal")
    return written(Table("Theoretical receptive fields", columns, tuple(rows)), form)
