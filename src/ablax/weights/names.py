"""What other libraries call the layers of each family: our path to theirs, a table a family.

A table has the paths that are known as they stand, and patterns for the others, whose groups are
given to a function that writes the name. A path stands without its leaf (`res2a/conv1/conv`), a
name likewise (`layer1.0.conv1`); a path of which nothing is known is its own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ablax.zoo.vgg import Stages

ModuleName = Callable[[str], str]
"""From the path of a layer to its name in another library."""

Rules = Mapping[str, Callable[..., str]]
"""From patterns of whole paths to what writes the name: of their groups, numbers as `int`."""


def table(
    known: Mapping[str, str], rules: Rules, otherwise: ModuleName | None = None
) -> ModuleName:
    r"""The names of a family: those known, else of the first rule that matches, else `otherwise`.

    Example:
        >>> names = table({"fc": "classifier"}, {r"conv(\d)/conv": lambda n: f"features.{n - 1}"})
        >>> names("fc"), names("conv3/conv"), names("gate")
        ('classifier', 'features.2', 'gate')
    """
    compiled = [(re.compile(pattern), write) for pattern, write in rules.items()]

    def name(path: str) -> str:
        if path in known:
            return known[path]
        for pattern, write in compiled:
            if found := pattern.fullmatch(path):
                return write(*map(_read, found.groups()))
        return path if otherwise is None else otherwise(path)

    return name


def _read(group: str | None) -> Any:
    return int(group) if group and group.isdecimal() else group


def _place(block: str) -> int:
    """Of a block within its stage: 0 for `a`, 1 for `b` or `b1`, 22 for `b22`."""
    return int(block[1:] or "abcdef".index(block))


def _step(kind: str) -> int:
    """A convolution, then its normalization."""
    return ("conv", "bn").index(kind)


_KIND = {"conv": "conv", "bn": "norm"}

# torchvision. Numbers count all layers of `features` or `classifier`: ReLU, pools, dropout.

alexnet = table(
    {
        **{"conv1/conv": "features.0", "conv2/conv": "features.3", "conv3/conv": "features.6"},
        **{"conv4/conv": "features.8", "conv5/conv": "features.10"},
        **{"fc6/dense": "classifier.1", "fc7/dense": "classifier.4", "fc8": "classifier.6"},
    },
    {},
)

densenet = table(
    {
        **{"conv1/conv": "features.conv0", "conv1/bn": "features.norm0"},
        "activation/bn": "features.norm5",
    },
    {
        r"dense(\d)_(\d+)/conv([12])/(conv|bn)": lambda block, number, layer, kind: (
            f"features.denseblock{block}.denselayer{number}.{_KIND[kind]}{layer}"
        ),
        r"transition(\d)/(conv|bn)": lambda n, kind: f"features.transition{n}.{_KIND[kind]}",
    },
)

_BRANCH = {"1x1": 1, "3x3": 2, "5x5": 3, "_pool": 4}

googlenet = table(
    {
        "classifier/dense": "fc",
        **{f"auxiliary{n}/hidden/dense": f"aux{n}.fc1" for n in (1, 2)},
        **{f"auxiliary{n}/classifier": f"aux{n}.fc2" for n in (1, 2)},
    },
    {
        r"auxiliary(\d)/conv/(conv|bn)": lambda n, kind: f"aux{n}.conv.{kind}",
        r"inception_(\w\w)/branch(1x1)/(conv|bn)": lambda module, branch, kind: (
            f"inception{module}.branch{_BRANCH[branch]}.{kind}"
        ),
        r"inception_(\w\w)/branch(3x3|5x5|_pool)/(\w+)/(conv|bn)": lambda module, branch, step, k: (
            f"inception{module}.branch{_BRANCH[branch]}.{int(step != 'reduce')}.{k}"
        ),
        r"conv1/(\w+)": lambda kind: f"conv1.{kind}",
        r"conv2_reduce/(\w+)": lambda kind: f"conv2.{kind}",
        r"conv2/(\w+)": lambda kind: f"conv3.{kind}",
    },
)


def _mixed(module: str, branch: str, step: int | str | None, kind: str) -> str:
    """A branch of several convolutions numbers them: `branch5x5_1`."""
    double = "7x7dbl" if module in ("6b", "6c", "6d", "6e") else "3x3dbl"
    there = {"_double": double, "7x7": "7x7x3" if module == "7a" else "7x7"}.get(branch, branch)
    return f"Mixed_{module}.branch{there}{'' if step is None else f'_{step}'}.{kind}"


inception_v3 = table(
    {"classifier/dense": "fc", "auxiliary/classifier": "AuxLogits.fc"},
    {
        r"conv_(3b)/(conv|bn)": lambda place, kind: f"Conv2d_{place}_1x1.{kind}",
        r"conv_(\d[ab])/(conv|bn)": lambda place, kind: f"Conv2d_{place}_3x3.{kind}",
        r"auxiliary/(conv[01])/(conv|bn)": lambda layer, kind: f"AuxLogits.{layer}.{kind}",
        r"mixed_(\w\w)/branch(\w+)/fork/(row|column)/(conv|bn)": lambda module, branch, way, kind: (
            # 1x3 and 3x1 side by side have letters
            _mixed(module, branch, ("3" if branch == "_double" else "2") + "ab"[way != "row"], kind)
        ),
        r"mixed_(\w\w)/branch(\w+?)(?:/conv(\d)|/project)?/(conv|bn)": _mixed,
    },
)

_FIRST_OF_LINE = {2: 1, 3: 2, 4: 4, 5: 7, 6: 11, 7: 14, 8: 17}
"""Where the blocks of each line of MobileNet V2's table begin among torchvision's `features`."""


def _inverted(line: int, number: int, layer: str, kind: str) -> str:
    """All one less in the first block, which does not widen."""
    widens = int(line > 2)
    inside = {
        "expand": f"0.{_step(kind)}",
        "depthwise": f"{widens}.{_step(kind)}",
        "project": f"{widens + 1 + _step(kind)}",
    }[layer]
    return f"features.{_FIRST_OF_LINE[line] + number - 1}.conv.{inside}"


mobilenet_v2 = table(
    {
        **{"conv1/conv": "features.0.0", "conv1/bn": "features.0.1"},
        **{"conv9/conv": "features.18.0", "conv9/bn": "features.18.1"},
        "classifier/dense": "classifier.1",
    },
    {r"bottleneck(\d)_(\d)/(expand|depthwise|project)/(conv|bn)": _inverted},
)

resnet = table(
    {"conv1/conv": "conv1", "conv1/bn": "bn1", "classifier": "fc"},
    {
        r"res(\d)([a-f]\d*)/projection/(conv|bn)": lambda stage, block, kind: (
            f"layer{stage - 1}.{_place(block)}.downsample.{_step(kind)}"
        ),
        r"res(\d)([a-f]\d*)/conv(\d)/(conv|bn)": lambda stage, block, layer, kind: (
            f"layer{stage - 1}.{_place(block)}.{kind}{layer}"
        ),
    },
)

_SHUFFLED = {"shortcut": (1, (0, 2)), "residual": (2, (0, 3, 5))}
"""Number of a branch, and the place of each convolution in it; its normalization is the next."""


def _unit(stage: int, number: int, way: str, layer: int, kind: str) -> str:
    branch, places = _SHUFFLED[way]
    return f"stage{stage}.{number - 1}.branch{branch}.{places[layer - 1] + _step(kind)}"


shufflenet_v2 = table(
    {"classifier": "fc"},
    {
        r"(conv[15])/(conv|bn)": lambda layer, kind: f"{layer}.{_step(kind)}",
        r"stage(\d)_(\d)/branches/(shortcut|residual)/conv(\d)/(conv|bn)": _unit,
    },
)


def _squeezenet(*pooled: int) -> ModuleName:
    """Of the network with pools in front of these fire modules."""
    return table(
        {"conv1/conv": "features.0", "classifier/conv": "classifier.1"},
        {
            r"fire(\d)/(?:expand/)?(squeeze|expand1x1|expand3x3)/conv": lambda number, layer: (
                f"features.{number + 1 + sum(first <= number for first in pooled)}.{layer}"
            )
        },
    )


squeezenet_1_0, squeezenet_1_1 = _squeezenet(5, 9), _squeezenet(4, 6)


def vgg(stages: Stages) -> ModuleName:
    """The names in torchvision of the layers of `ablax.zoo.vgg.vgg(stages)`.

    Each convolution counts as two layers of `features`, its ReLU being the second, and each pool as
    one.
    """
    before = [sum(2 * len(each) + 1 for each in stages[:stage]) for stage in range(len(stages))]
    return table(
        {"fc6/dense": "classifier.0", "fc7/dense": "classifier.3", "fc8": "classifier.6"},
        {r"conv(\d)_(\d)/conv": lambda stage, n: f"features.{before[stage - 1] + 2 * (n - 1)}"},
    )


# timm. Its classifiers are often 1x1 convolutions.

_PARTS = {"conv1": "c1x1_a", "conv2": "c3x3_b", "conv3": "c1x1_c"}

dpn = table(
    {
        **{"conv1/conv": "features.conv1_1.conv", "conv1/bn": "features.conv1_1.bn"},
        "activation/bn": "features.conv5_bn_ac.bn",
    },
    {
        r"(conv(\d)_\d+)/projection/(conv|bn)": lambda block, stage, kind: (
            f"features.{block}.c1x1_w_s{1 if stage == 2 else 2}.{kind}"
        ),
        r"(conv\d_\d+)/(conv\d)/(conv|bn)": lambda block, layer, kind: (
            f"features.{block}.{_PARTS[layer]}.{kind}"
        ),
    },
)

_REPEATED = {"a": "repeat", "b": "repeat_1", "c": "repeat_2"}
_ALONE = {"mixed_5b": "mixed_5b", "reduction_a": "mixed_6a", "reduction_b": "mixed_7a"}
_BRANCHES = {"1x1": 0, "3x3": 1, "5x5": 1, "7x7": 1, "_second": 1, "_double": 2, "_pool": 3}


def _repeat(kind: str, number: int) -> str:
    """The last block of the last kind stands alone."""
    return "block8" if (kind, number) == ("c", 10) else f"{_REPEATED[kind]}.{number - 1}"


def _residual(place: str, branch: str, step: int | str | None, kind: str) -> str:
    index = _BRANCHES[branch]
    if place == "mixed_6a" or (place == "mixed_7a" and branch == "3x3"):  # none is 1x1
        index = int(branch == "_double")
    order = "" if step is None else f".{step - 1 if isinstance(step, int) else 1}"
    return f"{place}.branch{index}{order}.{kind}"


_INSIDE = r"/branch(\dx\d|_second|_double|_pool)(?:/(?:conv)?(\d|project))?/(conv|bn)"

inception_resnet = table(
    {"classifier/dense": "classif"},
    {
        r"conv_(\d[ab])/(conv|bn)": lambda place, kind: f"conv2d_{place}.{kind}",
        r"inception_resnet_([abc])(\d+)/linear": lambda *block: f"{_repeat(*block)}.conv2d",
        rf"inception_resnet_([abc])(\d+)/module{_INSIDE}": lambda block, number, *inside: _residual(
            _repeat(block, number), *inside
        ),
        rf"(mixed_5b|reduction_[ab]){_INSIDE}": lambda layer, *inside: _residual(
            _ALONE[layer], *inside
        ),
    },
)

# Layers and modules in front of the average are numbered `features.0` to `features.21`.
_FEATURES = {
    **{"conv_1a": 0, "conv_2a": 1, "conv_2b": 2, "mixed_3a": 3, "mixed_4a": 4, "mixed_5a": 5},
    **{f"inception_a{n}": 5 + n for n in range(1, 5)},
    "reduction_a": 10,
    **{f"inception_b{n}": 10 + n for n in range(1, 8)},
    "reduction_b": 18,
    **{f"inception_c{n}": 18 + n for n in range(1, 4)},
}
# Modules with two branches that have weights, none of which is a 1x1.
_TWO = {
    "mixed_4a": ("3x3", "7x7"),
    "reduction_a": ("3x3", "_double"),
    "reduction_b": ("3x3", "7x7"),
}
_CROSSED = {"row": "a", "column": "b"}


def _module(layer: str, branch: str, step: int | str | None, way: str | None, kind: str) -> str:
    place = _TWO[layer].index(branch) if layer in _TWO else _BRANCHES[branch]
    if way is not None:
        order = f"{3 if branch == '_double' else 1}{_CROSSED[way]}"
    elif isinstance(step, int):
        order = f"{step - 1}"
    else:
        order = "" if step is None else "1"
    joint = "_" if layer.startswith("inception_c") and step != "project" else "."
    return f"features.{_FEATURES[layer]}.branch{place}{joint if order else ''}{order}.{kind}"


inception_v4 = table(
    {"classifier/dense": "last_linear"},
    {
        rf"({'|'.join(_FEATURES)})/branch(\dx\d|_double|_pool)"
        r"(?:/(?:conv)?(\d|project)|/fork/(row|column))?/(conv|bn)": _module,
        r"(mixed_[35]a)/conv/(conv|bn)": lambda layer, k: f"features.{_FEATURES[layer]}.conv.{k}",
        r"(conv_\d[ab])/(conv|bn)": lambda layer, kind: f"features.{_FEATURES[layer]}.{kind}",
    },
)

_FIRST_OF_BLOCK = (2, 3, 5, 7, 13)
"""Our number of the first separable layer of each of timm's blocks, of equally many features."""


def _separable(number: int, which: str, kind: str) -> str:
    block = sum(first <= number for first in _FIRST_OF_BLOCK) - 1
    leaf = f"conv_{which}" if kind == "conv" else f"bn{1 + (which == 'pw')}"
    return f"blocks.{block}.{number - _FIRST_OF_BLOCK[block]}.{leaf}"


mobilenet_v1 = table(
    {"conv1/conv": "conv_stem", "conv1/bn": "bn1", "fc": "classifier"},
    {r"conv(\d+)_(dw|pw)/(conv|bn)": _separable},
)

resnet_preactivation = table(
    {"conv1/conv": "stem.conv", "activation/bn": "norm", "classifier": "head.fc"},
    {
        r"res(\d)([a-f]\d*)/projection/conv": lambda stage, block: (
            f"stages.{stage - 2}.blocks.{_place(block)}.downsample.conv"
        ),
        # the normalization in front of `conv1` is `norm1`, and so on
        r"res(\d)([a-f]\d*)/preactivation/bn": lambda stage, block: (
            f"stages.{stage - 2}.blocks.{_place(block)}.norm1"
        ),
        r"res(\d)([a-f]\d*)/conv(\d)/(conv|bn)": lambda stage, block, layer, kind: (
            f"stages.{stage - 2}.blocks.{_place(block)}.{_KIND[kind]}{layer}"
        ),
    },
)

_GATE = {"reduce": "fc1", "excite": "fc2"}

senet = table(
    {
        **{"classifier": "last_linear", "classifier/dense": "last_linear"},
        **{"conv1/conv": "layer0.conv1", "conv1/bn": "layer0.bn1"},
    },
    {
        r"conv1_(\d)/(conv|bn)": lambda number, kind: f"layer0.{kind}{number}",
        r"res(\d)([a-f]\d*)/se/(reduce|excite)": lambda stage, block, layer: (
            f"layer{stage - 1}.{_place(block)}.se_module.{_GATE[layer]}"
        ),
    },
    otherwise=resnet,
)

_BEFORE = {"entry": 0, "middle": 3, "exit": 11}
"""Blocks in front of each flow of Xception."""
_LEAVES = {"depthwise": ".conv1", "pointwise": ".pointwise", "bn": ""}


def _flow(flow: str, number: int, separable: int, leaf: str) -> str:
    """In `block1`, which begins without a ReLU, the first is `rep.0`, in the others `rep.1`."""
    block = _BEFORE[flow] + number
    place = 3 * separable - (3 if block == 1 else 2) + (leaf == "bn")
    return f"block{block}.rep.{place}{_LEAVES[leaf]}"


xception = table(
    {"classifier/dense": "fc"},
    {
        r"conv([12])/(conv|bn)": lambda number, kind: f"{kind}{number}",
        r"(entry|exit)(\d)/projection/(conv|bn)": lambda flow, number, kind: (
            f"block{_BEFORE[flow] + number}.skip{'bn' if kind == 'bn' else ''}"
        ),
        r"(entry|middle|exit)(\d+)/sep(\d)/(depthwise|pointwise|bn)": _flow,
        r"exit(\d)/(depthwise|pointwise|bn)": lambda number, leaf: (
            f"{'bn' if leaf == 'bn' else 'conv'}{number + 1}{_LEAVES[leaf]}"
        ),
    },
)

# Caffe, Keras, and the residual networks for CIFAR-10 of others.


def caffe_chain(path: str) -> str:
    """The names of the layers of a chain are ours: `conv1/conv` is `conv1`.

    Example:
        >>> caffe_chain("conv3_1/conv"), caffe_chain("fc8")
        ('conv3_1', 'fc8')
    """
    return path.removesuffix("/conv").removesuffix("/dense")


_CAFFE_BRANCHES = {
    **{"1x1": "1x1", "_pool/project": "pool_proj"},
    **{"3x3/reduce": "3x3_reduce", "3x3/large": "3x3"},
    **{"5x5/reduce": "5x5_reduce", "5x5/large": "5x5"},
}

caffe_googlenet = table(
    {
        **{"conv1/conv": "conv1/7x7_s2", "conv2_reduce/conv": "conv2/3x3_reduce"},
        **{"conv2/conv": "conv2/3x3", "classifier/dense": "loss3/classifier"},
    },
    {
        rf"(inception_\w\w)/branch({'|'.join(_CAFFE_BRANCHES)})/conv": lambda module, branch: (
            f"{module}/{_CAFFE_BRANCHES[branch]}"
        )
    },
)

_CAFFE = {"conv": "res", "bn": "bn"}

caffe_resnet = table(
    {"conv1/conv": "conv1", "conv1/bn": "bn_conv1", "classifier": "fc1000"},
    {
        r"res(\d\w+)/projection/(conv|bn)": lambda block, kind: f"{_CAFFE[kind]}{block}_branch1",
        r"res(\d\w+)/conv(\d)/(conv|bn)": lambda block, layer, kind: (
            f"{_CAFFE[kind]}{block}_branch2{'abc'[layer - 1]}"
        ),
    },
)

keras_mobilenet_v1 = table(
    {"conv1/conv": "conv1", "conv1/bn": "conv1_bn", "fc": "conv_preds"},
    {
        r"conv(\d+)_(dw|pw)/conv": lambda number, kind: f"conv_{kind}_{number - 1}",
        r"conv(\d+)_(dw|pw)/bn": lambda number, kind: f"conv_{kind}_{number - 1}_bn",
    },
)

_KERAS_BEFORE = {"entry": 1, "middle": 4, "exit": 12}
_KERAS_LEAVES = {"depthwise": ".depthwise", "pointwise": ".pointwise", "bn": "_bn"}

keras_xception = table(
    {
        **{f"conv{n}/conv": f"block1_conv{n}" for n in (1, 2)},
        **{f"conv{n}/bn": f"block1_conv{n}_bn" for n in (1, 2)},
        "classifier/dense": "predictions",
    },
    {
        # unnamed there, and called so by `numbered_in_order`
        r"(entry|exit)(\d)/projection/(conv|bn)": lambda flow, number, kind: (
            f"projection{4 if flow == 'exit' else number}{'_bn' if kind == 'bn' else ''}"
        ),
        r"(entry|middle|exit)(\d+)/sep(\d)/(depthwise|pointwise|bn)": lambda flow, n, unit, leaf: (
            f"block{_KERAS_BEFORE[flow] + n}_sepconv{unit}{_KERAS_LEAVES[leaf]}"
        ),
        # the last two separable convolutions share block 14
        r"exit(\d)/(depthwise|pointwise|bn)": lambda number, leaf: (
            f"block14_sepconv{number - 1}{_KERAS_LEAVES[leaf]}"
        ),
    },
)

cifar_resnet = table({"classifier": "linear"}, {}, otherwise=resnet)
