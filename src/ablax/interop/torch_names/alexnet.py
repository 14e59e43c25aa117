"""What torchvision calls the layers of its AlexNet."""

from __future__ import annotations

_NAMES = {
    "conv1/conv": "features.0",
    "conv2/conv": "features.3",
    "conv3/conv": "features.6",
    "conv4/conv": "features.8",
    "conv5/conv": "features.10",
    "fc6/dense": "classifier.1",
    "fc7/dense": "classifier.4",
    "fc8": "classifier.6",
}


def alexnet(path: str) -> str:
    """The name in torchvision of a layer of `alexnet_one_weird_trick`.

    Numbers count all layers of `features` and of `classifier`, ReLU, pools and dropout included.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> alexnet("conv2/conv"), alexnet("fc6/dense")
        ('features.3', 'classifier.1')
    """
    return _NAMES.get(path, path)
