"""A residual network for CIFAR-10 beside the form in which others publish theirs in PyTorch.

Its shortcuts put half of the zeros in front; the import reorders the channels.
"""

from parity_case import Case

from ablax.weights.names import cifar_resnet
from ablax.weights.sources import zeros_behind
from ablax.zoo.resnet import resnet20

CASES = (
    Case(
        name="resnet20",
        build=resnet20,
        image_size=32,
        torch_name=cifar_resnet,
        source="torch_resnet_cifar.resnet20",
        prepare=zeros_behind,
    ),
)
