"""MobileNet V2 beside torchvision's."""

from parity_case import Case

from ablax.core import Layers, edit
from ablax.layers import ReLU, ReLU6
from ablax.weights.names import mobilenet_v2 as names
from ablax.zoo.mobilenet import mobilenet_v2


def mobilenet_v2_unclipped():
    """Ours with ReLU for ReLU6: in float32 some units fall on the other side of a kink.

    Under drawn weights the clipped network has norms of gradients off by up to 1 % in float32; in
    float64 they are torchvision's to 3e-15.
    """

    def unclip(path, layer):
        return Layers({path.rsplit("/", 1)[-1]: ReLU()}) if isinstance(layer, ReLU6) else None

    return edit(mobilenet_v2(), unclip)


def unclipped(model):
    """torchvision's with ReLU for ReLU6."""
    for module in model.modules():
        if type(module).__name__ == "ReLU6":
            module.max_val = float("inf")
    return model


CASES = (
    Case(
        name="mobilenet_v2",
        build=mobilenet_v2,
        image_size=224,
        torch_name=names,
        source="torchvision.models.mobilenet_v2",
    ),
    Case(
        name="mobilenet_v2_unclipped",
        build=mobilenet_v2_unclipped,
        image_size=224,
        torch_name=names,
        source="torchvision.models.mobilenet_v2",
        change=unclipped,
        gradients=True,
    ),
)
