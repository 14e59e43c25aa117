"""Residual variants: what stands on the shortcut, and in which order a block activates.

Question: Must the shortcut be an identity, and where do normalization and ReLU belong? A residual
network with seven other shortcuts (scaled, gated, convolved, dropped), with four other orders of
weight layers, normalizations and ReLUs, and with residuals that are initially 0.

Source: The lectures (Redfern 2018, "Design"), "Residual - ResNet", after He, Zhang, Ren and Sun
(2016), Identity mappings in deep residual networks, tables 1 and 2. That a block learns an "F not
too far from 0" (Risteski 2020, lecture 4) suggests to begin there: a scale of 0 in each residual's
last normalization, as in Goyal et al. (2017), Accurate, large minibatch SGD, section 5.1.

Prediction: Our narrow networks have 56 layers, in which a signal passes 27 blocks instead of 54:
what ruins 110 layers costs these less. Worst will be the shortcuts that lose signal or add noise in
every block: dropout, and half the shortcut beside a whole residual; the exclusive gate is bad too,
because it starts by closing the residuals. A convolution on the shortcut and full pre-activation
lie within half a point of the original, and so do residuals that are initially 0. (In a former run
of 20 layers with three seeds dropout never left the loss of guessing in 24 epochs; so of dropout we
say how fast it learns.) The paper finds the identity best of all shortcuts, at 110 layers by 0.3
percentage points (a gate that starts nearly open) to more than 13, and full pre-activation best of
all orders, by 0.24 points at 110 layers and 0.47 at 164.

Command: make experiment NAME=residual_variants [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

import re
from collections.abc import Callable

from ablax.core import Layers, Network, edit
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import BatchNormalization
from ablax.layers.initializers import ZEROS
from ablax.report.study import Claim, Published
from ablax.zoo import find
from ablax.zoo.resnet import (
    BASIC,
    Block,
    activate_ends,
    basic,
    bn_after_addition,
    constant_scaling,
    dropout_shortcut,
    exclusive_gating,
    option_a,
    option_c,
    original,
    preactivation_cifar,
    relu_before_addition,
    relu_preactivation,
    resnet_cifar,
    shortcut_gating,
)


def depth(inputs: Inputs) -> int:
    """The paper's 110 layers at 28 pixels and more; 56 below; 8 below 16."""
    return 110 if inputs.image_size >= 28 else 56 if inputs.image_size >= 16 else 8


def features(inputs: Inputs) -> int:
    """Of the first stage: the paper's 16 times the width."""
    return max(1, round(16 * inputs.width))


def of_blocks(block: Block) -> Callable[[Inputs], Network]:
    """The network whose blocks are all of one kind."""
    return lambda inputs: resnet_cifar(depth(inputs), inputs.classes, block, features(inputs))


def zero_residuals(network: Network) -> Network:
    """The last normalization of each residual with scales that are initially 0."""

    def change(path: str, layer: object) -> Layers | None:
        if isinstance(layer, BatchNormalization) and re.fullmatch(r"res\w+/conv2/bn", path):
            return Layers(bn=layer.copy(scale_init=ZEROS))
        return None

    return edit(network, change)


def relu_only(inputs: Inputs) -> Network:
    """Figure 4(d): ReLU in front of each weight layer, normalization behind."""
    return activate_ends(of_blocks(relu_preactivation(basic, option_a))(inputs))


def full_preactivation(inputs: Inputs) -> Network:
    """Figure 4(e): normalization and ReLU in front of each weight layer."""
    return preactivation_cifar(depth(inputs), inputs.classes, features(inputs))


_SHORTCUTS = {
    "half_of_both": constant_scaling(0.5, 0.5),
    "half_shortcut": constant_scaling(0.5, 1.0),
    "exclusive_gate": exclusive_gating(-6.0),
    "shortcut_gate": shortcut_gating(0.0),
    "shortcut_gate_open": shortcut_gating(-6.0),
    "convolution": original(basic, option_c),
    "dropout": dropout_shortcut(0.5),
}
_ORDERS = {
    "bn_after_addition": of_blocks(bn_after_addition(basic, option_a)),
    "relu_before_addition": of_blocks(relu_before_addition(basic, option_a)),
    "relu_preactivation": relu_only,
    "full_preactivation": full_preactivation,
}

_PAPER = "He, Zhang, Ren and Sun (2016), Identity mappings in deep residual networks"
_IDENTITY = 6.61
_ERRORS = {
    "half_of_both": 12.35,
    "exclusive_gate": 8.70,
    "shortcut_gate": 12.86,
    "shortcut_gate_open": 6.91,
    "convolution": 12.22,
    "bn_after_addition": 8.17,
    "relu_before_addition": 7.84,
    "relu_preactivation": 6.71,
    "full_preactivation": find("preactivation110").errors[0],
}
"""Tables 1 and 2, percent, median of five runs."""

TABLES = Published(
    short="He et al. 2016, 110 layers",
    source=f"{_PAPER}, tables 1 and 2",
    measure="test error on CIFAR-10, ResNet-110, median of five runs",
    unit="percentage points",
    drops={name: round(error - _IDENTITY, 2) for name, error in _ERRORS.items() if error},
    parameters_removed={},
    note=(
        f"The original has {_IDENTITY} % error. With half the shortcut beside a whole residual, "
        "and with dropout on the shortcut, the paper has no figure but 'fail': an error above "
        "20 %."
    ),
)

WORSE_THAN_THE_IDENTITY = Claim(
    "scaling shortcut and residual by 0.5 raises test error", "half_of_both", "original"
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=of_blocks(BASIC),
    baseline="original",
    variants={
        **{name: Treatment(network=of_blocks(block)) for name, block in _SHORTCUTS.items()},
        **{name: Treatment(network=network) for name, network in _ORDERS.items()},
        "zero_residuals": zero_residuals,
    },
    labels={
        "half_of_both": "0.5 x shortcut and residual",
        "half_shortcut": "0.5 x shortcut",
        "exclusive_gate": "exclusive gate, bias -6",
        "shortcut_gate": "shortcut gate, bias 0",
        "shortcut_gate_open": "shortcut gate, bias -6",
        "convolution": "1x1 convolution on the shortcut",
        "dropout": "dropout on the shortcut",
        "bn_after_addition": "BN after addition",
        "relu_before_addition": "ReLU before addition",
        "relu_preactivation": "ReLU-only pre-activation",
        "full_preactivation": "full pre-activation",
        "zero_residuals": "residuals initially 0",
    },
    budgets={
        "smoke": Budget(
            fields={"data.image_size": 12, "width": 0.25},
            only=("exclusive_gate", "dropout", "full_preactivation"),
        ),
        "digits": Budget(
            fields={
                "data.image_size": 16,
                "augment.translate": 1.0,
                "train.epochs": 30,
                "width": 0.5,
                "most_seeds": 5,
            }
        ),
        "cifar10": Budget(
            fields={
                "optimizer.name": "sgd",
                "optimizer.rate": 0.1,
                "optimizer.momentum": 0.9,
                "optimizer.weight_decay": 1e-4,
                "optimizer.schedule": "step",
                "optimizer.drops": (0.5, 0.75),
                "optimizer.drop_factor": 0.1,
                "optimizer.warmup": 1.0,
                "train.batch": 128,
                "train.epochs": 164,
                "width": 1.0,
                "seeds": 5,
            }
        ),
    },
    published=(TABLES,),
    claims=(
        WORSE_THAN_THE_IDENTITY,
        Claim("scaling the shortcut alone by 0.5 raises test error", "half_shortcut", "original"),
        Claim("an exclusive gate raises test error", "exclusive_gate", "original"),
        Claim("a gate on the shortcut raises test error", "shortcut_gate", "original"),
        Claim(
            "a shortcut gate that is initially open raises test error",
            "shortcut_gate_open",
            "original",
        ),
        Claim("a convolution on the shortcut raises test error", "convolution", "original"),
        Claim(
            "dropout on the shortcut slows learning: it raises the training error over all epochs",
            "dropout:mean_train_error",
            "original:mean_train_error",
        ),
        Claim("BN after addition raises test error", "bn_after_addition", "original"),
        Claim("ReLU before addition raises test error", "relu_before_addition", "original"),
        Claim(
            "the original has a higher test error than full pre-activation",
            "original",
            "full_preactivation",
        ),
    ),
    expectations=(
        Claim(
            "dropout on the shortcut learns more slowly than a convolution there",
            "dropout:mean_train_error",
            "convolution:mean_train_error",
        ),
        Claim(
            "residuals that are initially 0 raise test error",
            "zero_residuals",
            "original",
        ),
    ),
    decides=WORSE_THAN_THE_IDENTITY,
)
