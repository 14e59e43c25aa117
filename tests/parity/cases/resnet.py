"""Residual networks beside torchvision's; the paper's stride beside torchvision's, moved."""

from parity_case import Case

from ablax.weights.names import resnet
from ablax.zoo.resnet import (
    resnet18,
    resnet34,
    resnet50,
    resnet50_v1,
    resnet101,
    resnet101_v1,
    resnet152,
    resnet152_v1,
)


def stride_in_the_first_1x1(model):
    """torchvision's network with the stride of each block moved from its 3x3 to its first 1x1."""
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return model


CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=resnet,
        source=f"torchvision.models.{build.__name__.removesuffix('_v1')}",
        change=stride_in_the_first_1x1 if build.__name__.endswith("_v1") else None,
        gradients=build is resnet18,
    )
    for build in (
        *(resnet18, resnet34, resnet50, resnet101, resnet152),
        *(resnet50_v1, resnet101_v1, resnet152_v1),
    )
)
