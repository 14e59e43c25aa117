"""Does every head of the zoo go on a network? Shared by the tests of the families."""

from ablax.core import Layers, Network, check, layer_shapes, with_head
from ablax.zoo import heads

HEADS = {
    "vectorize": lambda classes: heads.vectorize(classes, hidden=(6,)),
    "global_average_pool": heads.global_average_pool,
    "convolution": heads.convolution,
    "pixel_average": heads.pixel_average,
    "pixel_vote": heads.pixel_vote,
    "pixel_learned": heads.pixel_learned,
    "spatial_weights": heads.spatial_weights,
    "spatial_pyramid": lambda classes: heads.spatial_pyramid(classes, (2, 1), hidden=(6,)),
}


def heads_that_do_not_fit(network, image_shape, classes=7):
    """The names of the heads that the network refuses, or that refuse its last maps."""
    maps = layer_shapes(network, image_shape)[list(network.body)[-1]]
    refused = []
    for name, head in HEADS.items():
        try:
            edited = with_head(head(classes))(network)  # refuses a name that stands twice
            check(Network(Layers(), Layers(), edited.head), maps, classes)
        except Exception as error:
            refused.append(f"{name}: {error}")
    return refused
