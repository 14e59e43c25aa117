"""torchvision's weights, trained on ImageNet.

File names, sizes and errors are those of torchvision 0.28, one crop of the middle. The `_V2` files
of a network were trained longer and resize the shorter side to 232 pixels instead of 256.
"""

from __future__ import annotations

import dataclasses
import re

from ablax.interop.origins.origin import KnownFile, Origin, Origins, Tensors
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_names import squeezenet as squeezenet_names
from ablax.interop.torch_names.alexnet import alexnet
from ablax.interop.torch_names.densenet import densenet
from ablax.interop.torch_names.googlenet import googlenet
from ablax.interop.torch_names.inception_v3 import inception_v3
from ablax.interop.torch_names.mobilenet_v2 import mobilenet_v2
from ablax.interop.torch_names.resnet import resnet
from ablax.interop.torch_names.shufflenet_v2 import shufflenet_v2
from ablax.interop.torch_names.vgg import vgg
from ablax.interop.torch_weights import ModuleName
from ablax.zoo.vgg import A, B, D, E

_HOME = "https://download.pytorch.org/models/"
_HALF = (0.5, 0.5, 0.5)


def _usual(model: str, names: ModuleName, *files: KnownFile, crop: int = 224) -> Origin:
    """Resized to 256 pixels, the middle 224 cut out, ImageNet's mean and deviation."""
    return Origin(
        *("torchvision", model, "torch", names, Preprocessing(crop, 256)), files=files, home=_HOME
    )


def _of_tensorflow(origin: Origin, resize: int, *left_out: str) -> Origin:
    """Weights taken over from TensorFlow: levels from -1 to 1 (`transform_input` there)."""
    size = dataclasses.replace(origin.preprocessing, resize=resize, mean=_HALF, std=_HALF)
    return dataclasses.replace(origin, preprocessing=size, left_out=left_out)


_OLD_DENSE = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def numbered_as_today(tensors: Tensors) -> Tensors:
    """DenseNet's files say `norm.1` where torchvision's definition says `norm1`.

    Args:
        tensors: By the names of the file.

    Example:
        >>> import numpy as np
        >>> theirs = {"features.denseblock1.denselayer2.conv.1.weight": np.zeros(1)}
        >>> list(numbered_as_today(theirs))
        ['features.denseblock1.denselayer2.conv1.weight']
    """
    return {_OLD_DENSE.sub(r"\1\2", name): array for name, array in tensors.items()}


def _densenet(depth: int, file: str, top1: float, top5: float) -> Origin:
    origin = _usual(f"densenet{depth}", densenet, KnownFile(file, 256, top1, top5))
    return dataclasses.replace(origin, prepare=numbered_as_today)


ORIGINS: Origins = {
    "alexnet_one_weird_trick": (
        _usual("alexnet", alexnet, KnownFile("alexnet-owt-7be5be79.pth", 256, 43.478, 20.934)),
    ),
    "vgg_a": (_usual("vgg11", vgg(A), KnownFile("vgg11-8a719046.pth", 256, 30.98, 11.372)),),
    "vgg_b": (_usual("vgg13", vgg(B), KnownFile("vgg13-19584684.pth", 256, 30.072, 10.754)),),
    "vgg_d": (_usual("vgg16", vgg(D), KnownFile("vgg16-397923af.pth", 256, 28.408, 9.618)),),
    "vgg_e": (_usual("vgg19", vgg(E), KnownFile("vgg19-dcbb9e9d.pth", 256, 27.624, 9.124)),),
    "googlenet_bn": (
        _of_tensorflow(
            _usual("googlenet", googlenet, KnownFile("googlenet-1378be20.pth", 256, 30.222, 10.47)),
            256,
            *("aux1.", "aux2."),
        ),
    ),
    "inception_v3": (
        _of_tensorflow(
            _usual(
                "inception_v3",
                inception_v3,
                KnownFile("inception_v3_google-0cc3c7bd.pth", 342, 22.706, 6.55),
                crop=299,
            ),
            342,
            "AuxLogits.",
        ),
    ),
    "squeezenet_1_0": (
        _usual(
            "squeezenet1_0",
            squeezenet_names.squeezenet_1_0,
            KnownFile("squeezenet1_0-b66bff10.pth", 256, 41.908, 19.58),
        ),
    ),
    "squeezenet_1_1": (
        _usual(
            "squeezenet1_1",
            squeezenet_names.squeezenet_1_1,
            KnownFile("squeezenet1_1-b8a52dc0.pth", 256, 41.822, 19.376),
        ),
    ),
    "mobilenet_v2": (
        _usual(
            "mobilenet_v2",
            mobilenet_v2,
            KnownFile("mobilenet_v2-b0353104.pth", 256, 28.122, 9.714),
            KnownFile("mobilenet_v2-7ebf99e0.pth", 232, 27.846, 9.178),
        ),
    ),
    "resnet18": (
        _usual("resnet18", resnet, KnownFile("resnet18-f37072fd.pth", 256, 30.242, 10.922)),
    ),
    "resnet34": (
        _usual("resnet34", resnet, KnownFile("resnet34-b627a593.pth", 256, 26.686, 8.58)),
    ),
    "resnet50": (
        _usual(
            "resnet50",
            resnet,
            KnownFile("resnet50-0676ba61.pth", 256, 23.87, 7.138),
            KnownFile("resnet50-11ad3fa6.pth", 232, 19.142, 4.566),
        ),
    ),
    "resnet101": (
        _usual(
            "resnet101",
            resnet,
            KnownFile("resnet101-63fe2227.pth", 256, 22.626, 6.454),
            KnownFile("resnet101-cd907fc2.pth", 232, 18.114, 4.22),
        ),
    ),
    "resnet152": (
        _usual(
            "resnet152",
            resnet,
            KnownFile("resnet152-394f9c45.pth", 256, 21.688, 5.954),
            KnownFile("resnet152-f82ba261.pth", 232, 17.716, 3.998),
        ),
    ),
    "resnext50_32x4d": (
        _usual(
            "resnext50_32x4d",
            resnet,
            KnownFile("resnext50_32x4d-7cdf4587.pth", 256, 22.382, 6.302),
            KnownFile("resnext50_32x4d-1a0047aa.pth", 232, 18.802, 4.66),
        ),
    ),
    "resnext101_64x4d": (
        _usual(
            "resnext101_64x4d",
            resnet,
            KnownFile("resnext101_64x4d-173b62eb.pth", 232, 16.754, 3.546),
        ),
    ),
    "shufflenet_v2_0_5": (
        _usual(
            "shufflenet_v2_x0_5",
            shufflenet_v2,
            KnownFile("shufflenetv2_x0.5-f707e7126e.pth", 256, 39.448, 18.254),
        ),
    ),
    "shufflenet_v2_1_0": (
        _usual(
            "shufflenet_v2_x1_0",
            shufflenet_v2,
            KnownFile("shufflenetv2_x1-5666bf0f80.pth", 256, 30.638, 11.684),
        ),
    ),
    "shufflenet_v2_1_5": (
        _usual(
            "shufflenet_v2_x1_5",
            shufflenet_v2,
            KnownFile("shufflenetv2_x1_5-3c479a10.pth", 232, 27.004, 8.914),
        ),
    ),
    "shufflenet_v2_2_0": (
        _usual(
            "shufflenet_v2_x2_0",
            shufflenet_v2,
            KnownFile("shufflenetv2_x2_0-8be3c8ee.pth", 232, 23.77, 6.994),
        ),
    ),
    "densenet121": (_densenet(121, "densenet121-a639ec97.pth", 25.566, 8.028),),
    "densenet161": (_densenet(161, "densenet161-8d451a50.pth", 22.862, 6.44),),
    "densenet169": (_densenet(169, "densenet169-b2777c0a.pth", 24.4, 7.194),),
    "densenet201": (_densenet(201, "densenet201-c1103571.pth", 23.104, 6.63),),
}
