"""MobileNet V1 beside timm's, which cuts every ReLU off at 6."""

from parity_case import Case

from ablax.weights.names import mobilenet_v1 as names
from ablax.zoo.mobilenet import clipped, mobilenet_v1


def mobilenet_v1_clipped():
    """Ours as timm has it."""
    return clipped(mobilenet_v1())


def unclipped(model):
    """timm's as the paper has it."""
    for module in model.modules():
        if type(module).__name__ == "ReLU6":
            module.max_val = float("inf")
    return model


CASES = (
    Case(
        name="mobilenet_v1",
        build=mobilenet_v1,
        image_size=224,
        torch_name=names,
        source="timm:mobilenetv1_100",
        change=unclipped,
        gradients=True,
    ),
    Case(
        name="mobilenet_v1_clipped",
        build=mobilenet_v1_clipped,
        image_size=224,
        torch_name=names,
        source="timm:mobilenetv1_100",
    ),
)
