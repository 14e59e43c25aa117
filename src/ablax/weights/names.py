"""What torchvision and timm call the parameters of each family: our path to theirs."""

from __future__ import annotations

import re
from collections.abc import Callable

from ablax.zoo.vgg import Stages

ModuleName = Callable[[str], str]
"""From the path of a layer (`res2a/conv1/conv`) to PyTorch's module (`layer1.0.conv1`)."""

# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of its AlexNet.

_ALEXNET_NAMES = {
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
    return _ALEXNET_NAMES.get(path, path)


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of its DenseNets.

_DENSENET_DENSE = re.compile(r"dense(\d)_(\d+)/conv([12])/(conv|bn)")
_TRANSITION = re.compile(r"transition(\d)/(conv|bn)")
_KIND = {"conv": "conv", "bn": "norm"}


def densenet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.densenet`.

    Dense layer n of block b is `features.denseblock{b}.denselayer{n}`, with `norm1`, `conv1`,
    `norm2` and `conv2`; transition t is `features.transition{t}`; the first convolution and the
    normalizations behind it and in front of the head are `conv0`, `norm0` and `norm5`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> densenet("dense3_24/conv2/bn"), densenet("transition1/conv")
        ('features.denseblock3.denselayer24.norm2', 'features.transition1.conv')
        >>> densenet("conv1/conv")
        'features.conv0'
    """
    known = {
        "conv1/conv": "features.conv0",
        "conv1/bn": "features.norm0",
        "activation/bn": "features.norm5",
    }
    if dense := _DENSENET_DENSE.fullmatch(path):
        block, number, layer, kind = dense.groups()
        return f"features.denseblock{block}.denselayer{number}.{_KIND[kind]}{layer}"
    if transition := _TRANSITION.fullmatch(path):
        number, kind = transition.groups()
        return f"features.transition{number}.{_KIND[kind]}"
    return known.get(path, path)


# ------------------------------------------------------------------------------------------
# What timm calls the layers of its dual path networks.

_DPN_BLOCK = re.compile(r"(conv(\d)_\d+)/(\w+)/(conv|bn)")
_PARTS = {"conv1": "c1x1_a", "conv2": "c3x3_b", "conv3": "c1x1_c"}


def dpn(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.dpn`.

    A block has our name there, and `c1x1_a`, `c3x3_b`, `c1x1_c` for its convolutions; the
    projection is `c1x1_w_s1` or, with stride 2, `c1x1_w_s2`. The last normalization is
    `conv5_bn_ac`. timm's classifier is a 1x1 convolution.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> dpn("conv4_20/conv2/bn"), dpn("conv3_1/projection/conv")
        ('features.conv4_20.c3x3_b.bn', 'features.conv3_1.c1x1_w_s2.conv')
        >>> dpn("activation/bn")
        'features.conv5_bn_ac.bn'
    """
    known = {
        "conv1/conv": "features.conv1_1.conv",
        "conv1/bn": "features.conv1_1.bn",
        "activation/bn": "features.conv5_bn_ac.bn",
    }
    block = _DPN_BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    name, stage, layer, kind = block.groups()
    projection = "c1x1_w_s1" if stage == "2" else "c1x1_w_s2"
    return f"features.{name}.{_PARTS.get(layer, projection)}.{kind}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of GoogLeNet.

_GOOGLENET_MODULE = re.compile(r"inception_(\w\w)/branch(1x1|3x3|5x5|_pool)(?:/(\w+))?/(conv|bn)")
_GOOGLENET_SIDE = re.compile(r"auxiliary(\d)/(conv/conv|conv/bn|hidden/dense|classifier)")
_GOOGLENET_BRANCHES = ("1x1", "3x3", "5x5", "_pool")
_GOOGLENET_FIRST = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
_WITHIN_SIDE = {
    "conv/conv": "conv.conv",
    "conv/bn": "conv.bn",
    "hidden/dense": "fc1",
    "classifier": "fc2",
}


def googlenet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.googlenet.googlenet_bn`.

    Module 3a is `inception3a`, with `branch1` to `branch4` in the order of the table; the side
    classifiers are `aux1` and `aux2`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> googlenet("conv2/conv"), googlenet("inception_3a/branch5x5/large/bn")
        ('conv3.conv', 'inception3a.branch3.1.bn')
        >>> googlenet("inception_5b/branch1x1/conv"), googlenet("auxiliary2/hidden/dense")
        ('inception5b.branch1.conv', 'aux2.fc1')
    """
    if path == "classifier/dense":
        return "fc"
    if side := _GOOGLENET_SIDE.fullmatch(path):
        return f"aux{side[1]}.{_WITHIN_SIDE[side[2]]}"
    if module := _GOOGLENET_MODULE.fullmatch(path):
        number, branch, step, kind = module.groups()
        place = f"inception{number}.branch{_GOOGLENET_BRANCHES.index(branch) + 1}"
        return f"{place}.{kind}" if step is None else f"{place}.{int(step != 'reduce')}.{kind}"
    first, _, kind = path.partition("/")
    return f"{_GOOGLENET_FIRST[first]}.{kind}" if first in _GOOGLENET_FIRST else path


# ------------------------------------------------------------------------------------------
# What timm calls the layers of Inception-ResNet V2.

_INCEPTION_RESNET_STEM = re.compile(r"conv_(\d[ab])/(conv|bn)")
_LINEAR = re.compile(r"inception_resnet_([abc])(\d+)/linear")
_INCEPTION_RESNET_MODULE = re.compile(
    r"(mixed_5b|reduction_[ab]|inception_resnet_[abc]\d+/module)"
    r"/branch(1x1|3x3|5x5|7x7|_second|_double|_pool)(?:/(conv(\d)|project))?/(conv|bn)"
)
_REPEATED = {"a": "repeat", "b": "repeat_1", "c": "repeat_2"}
_INCEPTION_RESNET_ALONE = {
    "mixed_5b": "mixed_5b",
    "reduction_a": "mixed_6a",
    "reduction_b": "mixed_7a",
}
_INCEPTION_RESNET_BRANCHES = {
    "1x1": 0,
    "3x3": 1,
    "5x5": 1,
    "7x7": 1,
    "_second": 1,
    "_double": 2,
    "_pool": 3,
}


def inception_resnet(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.inception_v4.inception_resnet_v2`.

    The blocks are `repeat`, `repeat_1` and `repeat_2`, the last of all `block8`, each with branches
    `branch0` to `branch2` and the convolution in front of the sum `conv2d`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_resnet("inception_resnet_b20/module/branch7x7/conv3/bn")
        'repeat_1.19.branch1.2.bn'
        >>> inception_resnet("inception_resnet_c10/linear"), inception_resnet("conv_7b/conv")
        ('block8.conv2d', 'conv2d_7b.conv')
    """
    if stem := _INCEPTION_RESNET_STEM.fullmatch(path):
        return f"conv2d_{stem[1]}.{stem[2]}"
    if linear := _LINEAR.fullmatch(path):
        return f"{_block(linear[1], int(linear[2]))}.conv2d"
    module = _INCEPTION_RESNET_MODULE.fullmatch(path)
    if module is None:
        return "classif" if path == "classifier/dense" else path
    layer, branch, step, number, kind = module.groups()
    if layer in _INCEPTION_RESNET_ALONE:
        place = _INCEPTION_RESNET_ALONE[layer]
    else:
        name = layer.removesuffix("/module").removeprefix("inception_resnet_")
        place = _block(name[0], int(name[1:]))
    index = _INCEPTION_RESNET_BRANCHES[branch]
    if layer == "reduction_a" or (layer == "reduction_b" and branch == "3x3"):
        index = int(branch == "_double")
    order = "" if step is None else f".{int(number) - 1 if number else 1}"
    return f"{place}.branch{index}{order}.{kind}"


def _block(kind: str, number: int) -> str:
    """The last block of the last kind stands alone."""
    return "block8" if (kind, number) == ("c", 10) else f"{_REPEATED[kind]}.{number - 1}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of Inception V3.

_INCEPTION_V3_STEM = re.compile(r"conv_(1a|2a|2b|3b|4a)/(conv|bn)")
_INCEPTION_V3_MODULE = re.compile(
    r"mixed_(\w\w)/branch(1x1|3x3|5x5|7x7|_double|_pool)"
    r"(?:/(?:conv(\d)|fork/(row|column)|project))?/(conv|bn)"
)
_INCEPTION_V3_SIDE = re.compile(r"auxiliary/(conv[01])/(conv|bn)")
_LETTERS = {"row": "a", "column": "b"}


def inception_v3(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.inception_v3`.

    A branch of several convolutions numbers them: `branch5x5_1`. Those that end side by side have
    letters: `branch3x3_2a` for 1x3 and `branch3x3_2b` for 3x1.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_v3("conv_3b/conv"), inception_v3("mixed_6b/branch_double/conv4/bn")
        ('Conv2d_3b_1x1.conv', 'Mixed_6b.branch7x7dbl_4.bn')
        >>> inception_v3("mixed_7c/branch_double/fork/column/conv")
        'Mixed_7c.branch3x3dbl_3b.conv'
    """
    known = {"classifier/dense": "fc", "auxiliary/classifier": "AuxLogits.fc"}
    if stem := _INCEPTION_V3_STEM.fullmatch(path):
        return f"Conv2d_{stem[1]}_{'1x1' if stem[1] == '3b' else '3x3'}.{stem[2]}"
    if side := _INCEPTION_V3_SIDE.fullmatch(path):
        return f"AuxLogits.{side[1]}.{side[2]}"
    if module := _INCEPTION_V3_MODULE.fullmatch(path):
        return _within(*module.groups())
    return known.get(path, path)


def _within(module: str, branch: str, number: str | None, fork: str | None, kind: str) -> str:
    double = "7x7dbl" if module in ("6b", "6c", "6d", "6e") else "3x3dbl"
    there = {"_double": double, "7x7": "7x7x3" if module == "7a" else "7x7"}.get(branch, branch)
    if fork is not None:
        number = ("3" if branch == "_double" else "2") + _LETTERS[fork]
    step = "" if number is None else f"_{number}"
    return f"Mixed_{module}.branch{there}{step}.{kind}"


# ------------------------------------------------------------------------------------------
# What timm calls the layers of Inception V4.

_PATH = re.compile(
    r"(conv_\d[ab]|mixed_[345]a|inception_[abc]\d|reduction_[ab])"
    r"(?:/branch(1x1|3x3|7x7|_double|_pool))?"
    r"(?:/(conv\d|conv(?=/)|fork/row|fork/column|project))?/(conv|bn)"
)
_INCEPTION_V4_FIRST = {"inception_a": 5, "inception_b": 10, "inception_c": 18}
"""What stands in front of the first module of a kind, in timm's `features`."""
_INCEPTION_V4_ALONE = {
    **{name: number for number, name in enumerate(("conv_1a", "conv_2a", "conv_2b"))},
    **{name: number for number, name in enumerate(("mixed_3a", "mixed_4a", "mixed_5a"), start=3)},
    "reduction_a": 10,
    "reduction_b": 18,
}
_INCEPTION_V4_BRANCHES = {"1x1": 0, "3x3": 1, "7x7": 1, "_double": 2, "_pool": 3}
_FORKS = {("3x3", "fork/row"): "1a", ("3x3", "fork/column"): "1b"} | {
    ("_double", "fork/row"): "3a",
    ("_double", "fork/column"): "3b",
}


def inception_v4(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.inception_v4`.

    All layers and modules in front of the average are numbered `features.0` to `features.21`, the
    branches of a module `branch0` to `branch3`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_v4("inception_b1/branch_double/conv5/bn"), inception_v4("mixed_3a/conv/conv")
        ('features.11.branch2.4.bn', 'features.3.conv.conv')
        >>> inception_v4("inception_c3/branch_double/fork/column/conv")
        'features.21.branch2_3b.conv'
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return "last_linear" if path == "classifier/dense" else path
    layer, branch, step, kind = found.groups()
    number = (
        _INCEPTION_V4_ALONE[layer]
        if layer in _INCEPTION_V4_ALONE
        else _INCEPTION_V4_FIRST[layer[:-1]] + int(layer[-1])
    )
    inside = _branch(layer, branch, step) if branch else ("conv" if step else "")
    return ".".join(part for part in ("features", str(number), inside, kind) if part)


def _branch(layer: str, branch: str, step: str | None) -> str:
    place = _INCEPTION_V4_BRANCHES[branch]
    if layer in ("mixed_4a", "reduction_b"):  # two branches with weights, of which none is 1x1
        place = ("3x3", "7x7").index(branch)
    elif layer == "reduction_a":
        place = ("3x3", "_double").index(branch)
    if step is None:
        return f"branch{place}"
    if step == "project":
        return f"branch{place}.1"
    order = _FORKS[branch, step] if step.startswith("fork") else str(int(step[-1]) - 1)
    return f"branch{place}{'_' if layer.startswith('inception_c') else '.'}{order}"


# ------------------------------------------------------------------------------------------
# What timm calls the layers of MobileNet V1.

_SEPARABLE = re.compile(r"conv(\d+)_(dw|pw)/(conv|bn)")
_FIRST_OF_BLOCK = (2, 3, 5, 7, 13)
"""Our number of the first separable layer of each of timm's blocks."""


def mobilenet_v1(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.mobilenet_v1`.

    timm gathers the separable layers of as many features in a block: `blocks.3.1.conv_pw` is the
    1x1 convolution of our `conv8_pw`; its batch normalization is `bn2`, that of the depthwise one
    `bn1`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> mobilenet_v1("conv2_dw/conv"), mobilenet_v1("conv8_pw/bn"), mobilenet_v1("fc")
        ('blocks.0.0.conv_dw', 'blocks.3.1.bn2', 'classifier')
    """
    known = {"conv1/conv": "conv_stem", "conv1/bn": "bn1", "fc": "classifier"}
    layer = _SEPARABLE.fullmatch(path)
    if layer is None:
        return known.get(path, path)
    number, which, kind = int(layer[1]), layer[2], layer[3]
    block = sum(first <= number for first in _FIRST_OF_BLOCK) - 1
    place = f"blocks.{block}.{number - _FIRST_OF_BLOCK[block]}"
    return f"{place}.conv_{which}" if kind == "conv" else f"{place}.bn{1 + (which == 'pw')}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of MobileNet V2.

_MOBILENET_V2_BLOCK = re.compile(r"bottleneck(\d)_(\d)/(expand|depthwise|project)/(conv|bn)")
_KNOWN = {
    "conv1/conv": "features.0.0",
    "conv1/bn": "features.0.1",
    "conv9/conv": "features.18.0",
    "conv9/bn": "features.18.1",
    "classifier/dense": "classifier.1",
}
_FIRST_OF_LINE = {2: 1, 3: 2, 4: 4, 5: 7, 6: 11, 7: 14, 8: 17}
"""Where the blocks of each line of the paper's table begin among torchvision's `features`."""


def mobilenet_v2(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.mobilenet_v2`.

    torchvision numbers the blocks through, and the layers in a block: `conv.0` and `conv.1` are the
    widening and the depthwise convolution with their normalizations, `conv.2` and `conv.3` the
    narrowing one and its normalization; all one less in the first block, which does not widen.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> mobilenet_v2("bottleneck3_2/expand/bn"), mobilenet_v2("bottleneck2_1/project/conv")
        ('features.3.conv.0.1', 'features.1.conv.1')
    """
    block = _MOBILENET_V2_BLOCK.fullmatch(path)
    if block is None:
        return _KNOWN.get(path, path)
    line, number, layer, kind = int(block[1]), int(block[2]), block[3], block[4]
    first = 1 if line > 2 else 0
    place = f"features.{_FIRST_OF_LINE[line] + number - 1}.conv"
    if layer == "project":
        return f"{place}.{first + (1 if kind == 'conv' else 2)}"
    return f"{place}.{0 if layer == 'expand' else first}.{0 if kind == 'conv' else 1}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of its ResNets.

_RESNET_BLOCK = re.compile(r"res(\d)([a-f])(\d*)/(\w+)/(conv|bn)")


def resnet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.resnet`.

    `conv1` and `classifier` are `conv1`, `bn1` and `fc`; block n of stage s is `layer{s-1}.{n}`,
    with `conv1`, `conv2`, `conv3`, `bn1` and so on, and `downsample` for the projection.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> resnet("res2a/conv1/conv"), resnet("res4b22/conv3/bn")
        ('layer1.0.conv1', 'layer3.22.bn3')
        >>> resnet("res3a/projection/bn")
        'layer2.0.downsample.1'
    """
    known = {"conv1/conv": "conv1", "conv1/bn": "bn1", "classifier": "fc"}
    block = _RESNET_BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    stage, letter, number, layer, kind = block.groups()
    place = f"layer{int(stage) - 1}.{number or 'abcdef'.index(letter)}"
    if layer == "projection":
        return f"{place}.downsample.{('conv', 'bn').index(kind)}"
    return f"{place}.{kind}{layer.removeprefix('conv')}"


# ------------------------------------------------------------------------------------------
# What timm calls the layers of its pre-activated ResNets, `resnetv2_*`.

_RESNET_PREACTIVATION_BLOCK = re.compile(r"res(\d)([a-f])(\d*)/(\w+)/(conv|bn)")


def resnet_preactivation(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.resnet_preactivation`.

    Block n of stage s is `stages.{s-2}.blocks.{n}`; the normalization in front of `conv1` is
    `norm1`, and so on. timm's classifier is a 1x1 convolution, `head.fc`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> resnet_preactivation("res2a/preactivation/bn"), resnet_preactivation("res4b22/conv2/bn")
        ('stages.0.blocks.0.norm1', 'stages.2.blocks.22.norm2')
        >>> resnet_preactivation("res3a/projection/conv")
        'stages.1.blocks.0.downsample.conv'
    """
    known = {"conv1/conv": "stem.conv", "activation/bn": "norm", "classifier": "head.fc"}
    block = _RESNET_PREACTIVATION_BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    stage, letter, number, layer, kind = block.groups()
    place = f"stages.{int(stage) - 2}.blocks.{number or 'abcdef'.index(letter)}"
    if layer == "projection":
        return f"{place}.downsample.conv"
    if layer == "preactivation":
        return f"{place}.norm1"
    return f"{place}.{'norm' if kind == 'bn' else 'conv'}{layer.removeprefix('conv')}"


# ------------------------------------------------------------------------------------------
# What timm's `legacy_` networks call the layers of squeeze-and-excitation networks.

_SENET_GATE = re.compile(r"(\w+)/se/(reduce|excite)")
_SENET_TAIL = re.compile(r"conv1(?:_(\d))?/(conv|bn)")


def senet(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.senet`.

    The blocks are called as in torchvision's ResNet, with `se_module.fc1` and `fc2` for the gate;
    the tail is `layer0`, the classifier `last_linear`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> senet("res2b/conv1/conv"), senet("res2b/se/excite"), senet("conv1_3/bn")
        ('layer1.1.conv1', 'layer1.1.se_module.fc2', 'layer0.bn3')
    """
    if path in ("classifier", "classifier/dense"):
        return "last_linear"
    if tail := _SENET_TAIL.fullmatch(path):
        return f"layer0.{tail[2]}{tail[1] or 1}"
    if gate := _SENET_GATE.fullmatch(path):
        block = resnet(f"{gate[1]}/conv1/conv").removesuffix(".conv1")
        return f"{block}.se_module.{'fc1' if gate[2] == 'reduce' else 'fc2'}"
    return resnet(path)


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of ShuffleNet V2.

_SHUFFLENET_V2_UNIT = re.compile(
    r"stage(\d)_(\d)/branches/(shortcut|residual)/conv(\d)/(conv|bn)",
)
_SHUFFLENET_V2_LAYER = re.compile(r"conv([15])/(conv|bn)")
_PLACES = {"shortcut": (0, 2), "residual": (0, 3, 5)}
"""Of each convolution among the layers of a branch; its normalization is the next."""


def shufflenet_v2(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.shufflenet_v2`.

    The way round is `branch1`, the way through `branch2`; units and layers are numbered from 0, and
    `classifier` is `fc`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> shufflenet_v2("conv5/bn"), shufflenet_v2("stage2_1/branches/shortcut/conv2/conv")
        ('conv5.1', 'stage2.0.branch1.2')
        >>> shufflenet_v2("stage3_8/branches/residual/conv3/bn")
        'stage3.7.branch2.6'
    """
    if path == "classifier":
        return "fc"
    if layer := _SHUFFLENET_V2_LAYER.fullmatch(path):
        return f"conv{layer[1]}.{0 if layer[2] == 'conv' else 1}"
    unit = _SHUFFLENET_V2_UNIT.fullmatch(path)
    if unit is None:
        return path
    stage, number, way, layer_number, kind = unit.groups()
    branch = 1 if way == "shortcut" else 2
    place = _PLACES[way][int(layer_number) - 1] + (kind == "bn")
    return f"stage{stage}.{int(number) - 1}.branch{branch}.{place}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of SqueezeNet: numbers that depend on where the pools stand.

_SQUEEZENET_FIRE = re.compile(r"fire(\d)/(?:expand/)?(squeeze|expand1x1|expand3x3)/conv")
# The fire module behind each pool within the body, counted from 2.
_POOLED_1_0 = (5, 9)
_POOLED_1_1 = (4, 6)


def squeezenet_1_0(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.squeezenet.squeezenet_1_0`.

    `features` counts the first convolution, its ReLU, every pool and every fire module.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> squeezenet_1_0("conv1/conv"), squeezenet_1_0("fire9/expand/expand3x3/conv")
        ('features.0', 'features.12.expand3x3')
    """
    return _squeezenet(path, _POOLED_1_0)


def squeezenet_1_1(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.squeezenet.squeezenet_1_1`.

    As `squeezenet_1_0`, with the pools where version 1.1 has them.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> squeezenet_1_1("fire4/squeeze/conv"), squeezenet_1_1("classifier/conv")
        ('features.6.squeeze', 'classifier.1')
    """
    return _squeezenet(path, _POOLED_1_1)


def _squeezenet(path: str, pooled: tuple[int, ...]) -> str:
    known = {"conv1/conv": "features.0", "classifier/conv": "classifier.1"}
    fire = _SQUEEZENET_FIRE.fullmatch(path)
    if fire is None:
        return known.get(path, path)
    number = int(fire[1])
    return f"features.{number + 1 + sum(first <= number for first in pooled)}.{fire[2]}"


# ------------------------------------------------------------------------------------------
# What torchvision calls the layers of VGG: numbers that depend on how many stand in front.

_CONVOLUTION = re.compile(r"conv(\d)_(\d)/conv")
_VGG_DENSE = {"fc6/dense": "classifier.0", "fc7/dense": "classifier.3", "fc8": "classifier.6"}


def vgg(stages: Stages) -> Callable[[str], str]:
    """The names in torchvision of the layers of `ablax.zoo.vgg.vgg(stages)`.

    Each convolution counts as two layers of `features`, its ReLU being the second, and each pool as
    one.

    Args:
        stages: The column of the paper's table 1.

    Returns:
        From our path of a layer that holds parameters, without the leaf, to the module there; to
        the path itself where nothing is known of it.

    Example:
        >>> from ablax.zoo.vgg import A, D
        >>> vgg(A)("conv3_1/conv"), vgg(D)("conv3_1/conv"), vgg(D)("fc8")
        ('features.6', 'features.10', 'classifier.6')
    """

    def name(path: str) -> str:
        found = _CONVOLUTION.fullmatch(path)
        if found is None:
            return _VGG_DENSE.get(path, path)
        stage, number = int(found[1]), int(found[2])
        before = sum(2 * len(windows) + 1 for windows in stages[: stage - 1])
        return f"features.{before + 2 * (number - 1)}"

    return name


# ------------------------------------------------------------------------------------------
# What timm's `legacy_xception` calls the layers of Xception.

_XCEPTION_TAIL = re.compile(r"conv([12])/(conv|bn)")
_XCEPTION_BLOCK = re.compile(r"(entry|middle|exit)(\d)/(?:sep(\d)/)?(depthwise|pointwise|bn)")
_PROJECTION = re.compile(r"(entry|exit)(\d)/projection/(conv|bn)")
_BEFORE = {"entry": 0, "middle": 3, "exit": 11}
"""Blocks in front of each flow."""


def xception(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.xception`.

    timm numbers the twelve residual blocks through, and the layers of a block: in `block1`, which
    begins without a ReLU, the separable convolutions are `rep.0` and `rep.3`, in the others `rep.1`
    and `rep.4` (and `rep.7`); the next number is the normalization. Projections are `skip` and
    `skipbn`, the last two separable convolutions `conv3` and `conv4`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> xception("entry1/sep2/depthwise"), xception("middle8/sep3/bn")
        ('block1.rep.3.conv1', 'block11.rep.8')
        >>> xception("exit1/projection/bn"), xception("exit3/pointwise")
        ('block12.skipbn', 'conv4.pointwise')
    """
    if path == "classifier/dense":
        return "fc"
    if tail := _XCEPTION_TAIL.fullmatch(path):
        return f"{tail[2]}{tail[1]}"
    if projection := _PROJECTION.fullmatch(path):
        block = _BEFORE[projection[1]] + int(projection[2])
        return f"block{block}.skip{'bn' if projection[3] == 'bn' else ''}"
    layer = _XCEPTION_BLOCK.fullmatch(path)
    if layer is None:
        return path
    flow, number, separable, kind = layer[1], int(layer[2]), layer[3], layer[4]
    inside = {"depthwise": ".conv1", "pointwise": ".pointwise"}.get(kind, "")
    if separable is None:  # the end of the exit flow
        return f"bn{number + 1}" if kind == "bn" else f"conv{number + 1}{inside}"
    place = 3 * int(separable) - (3 if path.startswith("entry1/") else 2) + (kind == "bn")
    return f"block{_BEFORE[flow] + number}.rep.{place}{inside}"
