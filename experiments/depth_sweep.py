"""Depth: plain and residual networks, deeper and deeper.

Question: Do deeper networks learn better, and why do plain ones stop doing so? Plain and residual
networks of 8 to 110 layers, initialized bit-equal wherever both have the same weights, and the
gradient that reaches each of their layers; the same without batch normalization and with tanh.

Source: The lectures (Risteski 2020, lecture 4, "really deep convnets do not train well", and
Redfern 2018 on residual networks), after He, Zhang, Ren and Sun (2015), Deep residual learning for
image recognition, section 4.2, table 6 and figure 6.

Prediction: On CIFAR-10 the deeper plain networks have the larger training error, not only the
larger test error; residual networks gain from depth up to 110 layers. On small images we expect
plain networks of 56 layers to end far above those of 20 also after 100 epochs, residual ones to
learn at every depth but to gain nothing from it: what they gain can be told on CIFAR-10 alone. The
reason: on its way down through 56 plain layers the gradient grows, by batch normalization, as it
does not through residual ones, before any step. Without batch normalization it should grow along
residual sums and fade along plain networks, and fade most with tanh. (Written after runs of 12
epochs, which showed the speed and the gradients; ability had not been looked at.)

Command: make experiment NAME=depth_sweep [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from collections.abc import Callable

from ablax.core import Edit, Network, compose, replace_kind, without
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import BatchNormalization, ReLU, Tanh
from ablax.measurements.gradients import gradient_norms
from ablax.measurements.times import COMPILE_SECONDS
from ablax.report.plots import Trend
from ablax.report.study import Claim, Published, Section
from ablax.zoo import CATALOG
from ablax.zoo.resnet import plain_cifar, resnet_cifar

EDITED = (8, 20, 56)
DEPTHS = (8, 20, 32, 44, 56, 110)
FAMILIES: dict[str, Callable[..., Network]] = {"plain": plain_cifar, "residual": resnet_cifar}
EDITS: dict[str, Edit] = {
    "bare": without(BatchNormalization),
    "tanh": replace_kind(ReLU, lambda _: Tanh()),
    "bare_tanh": compose(without(BatchNormalization), replace_kind(ReLU, lambda _: Tanh())),
}
WORDS = {
    "bare": "without batch normalization",
    "tanh": "with tanh",
    "bare_tanh": "with tanh, without batch normalization",
}


def network(family: str, depth: int, inputs: Inputs, change: str = "") -> Network:
    """The network of that family and depth, with 16 features at width 1, maybe edited."""
    features = max(1, round(16 * inputs.width))
    built = FAMILIES[family](depth, inputs.classes, features=features)
    return EDITS[change](built) if change else built


def names(depths: tuple[int, ...], edited: tuple[int, ...] = ()) -> tuple[str, ...]:
    """The variants of these depths, and those of the edited depths with every edit."""
    whole = [f"{family}_{depth}" for depth in depths for family in FAMILIES]
    more = [f"{family}_{d}_{edit}" for d in edited for edit in EDITS for family in FAMILIES]
    return (*whole, *more)


def treatment(name: str) -> Treatment:
    """The variant of that name, such as `plain_32_bare`."""
    family, depth, *change = name.split("_", 2)
    return Treatment(network=lambda inputs: network(family, int(depth), inputs, "".join(change)))


def label(name: str) -> str:
    """Such as "plain, 32 layers, with tanh"."""
    family, depth, *change = name.split("_", 2)
    return ", ".join([family, f"{depth} layers", *(WORDS[edit] for edit in change)])


BASELINE = "residual_20"
VARIANTS = names(DEPTHS, EDITED)
SERIES = {family: {float(depth): f"{family}_{depth}" for depth in DEPTHS} for family in FAMILIES}

PANELS = {"by depth": [names((depth,)) for depth in DEPTHS]} | {
    f"{depth} layers, changed": [
        tuple(f"{family}_{depth}{edit}" for family in FAMILIES)
        for edit in ("", *(f"_{name}" for name in EDITS))
    ]
    for depth in EDITED
}

# The paper's schedule: 64,000 steps of 128 images, 0.1 divided by ten at a half and three quarters.
PAPER = {
    "optimizer.name": "sgd",
    "optimizer.rate": 0.1,
    "optimizer.weight_decay": 1e-4,
    "optimizer.schedule": "step",
    "optimizer.drops": (0.5, 0.75),
    "optimizer.warmup": 1.0,
}

DIGITS = {
    **PAPER,
    "optimizer.schedule": "cosine",
    "data.image_size": 16,
    "width": 0.5,
    "train.epochs": 100,
    "train.evaluate_every": 10,
}

_PUBLISHED = {entry.name: entry.errors for entry in CATALOG}
_ERRORS = {depth: errors[0] for depth in DEPTHS if (errors := _PUBLISHED.get(f"resnet{depth}"))}

TABLE_6 = Published(
    short="He et al. 2015",
    source="He, Zhang, Ren and Sun (2015), Deep residual learning for image recognition, table 6",
    measure="test error on CIFAR-10, 16 features at width 1",
    unit="percentage points",
    drops={f"residual_{d}": round(error - _ERRORS[20], 2) for d, error in _ERRORS.items()},
    parameters_removed={},
    note=(
        f"The residual network of 20 layers has {_ERRORS[20]} % error; that of 110 layers is the "
        "best of five runs. Of plain networks the paper has curves, no figures."
    ),
)

DEGRADATION = Claim(
    "plain networks of 56 layers have a higher training error than those of 20",
    "plain_56:train_error",
    "plain_20:train_error",
)

EXPLODES = Claim(
    "before training the gradient at the first block, over that at the last, is larger in plain "
    "networks of 56 layers than in residual ones",
    "plain_56:gradient_at_start",
    "residual_56:gradient_at_start",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=lambda inputs: network("residual", 20, inputs),
    baseline=BASELINE,
    variants={name: treatment(name) for name in VARIANTS if name != BASELINE},
    labels={name: label(name) for name in VARIANTS},
    budgets={
        "smoke": Budget(
            {"data.image_size": 16, "width": 0.25},
            only=("plain_8",),
        ),
        "digits": Budget({**DIGITS, "most_seeds": 5}, only=names((20, 56))),
        "thorough": Budget({**DIGITS, "most_seeds": 8}, only=names((8, 20, 32, 56), edited=(20,))),
        "fashion_mnist": Budget(
            {**PAPER, "train.epochs": 20, "train.evaluate_every": 5, "width": 0.5},
            only=names((8, 20, 32, 56), edited=(20,)),
        ),
        "cifar10": Budget(
            {**PAPER, "train.epochs": 164, "train.evaluate_every": 20, "seeds": 3},
            only=names((20, 32, 44, 56, 110), edited=(56,)),
        ),
    },
    published=(TABLE_6,),
    claims=(
        DEGRADATION,
        Claim(
            "plain networks of 56 layers have a higher test error than those of 20",
            "plain_56",
            "plain_20",
        ),
        Claim(
            "at 56 layers plain networks have a higher test error than residual ones",
            "plain_56",
            "residual_56",
        ),
        Claim(
            "residual networks of 20 layers have a higher test error than those of 56",
            "residual_20",
            "residual_56",
        ),
    ),
    expectations=(
        EXPLODES,
        Claim(
            "in plain networks of 20 layers with tanh the gradient norm at the first layer is "
            "larger with batch normalization than without",
            "plain_20_tanh:gradient_at_start",
            "plain_20_bare_tanh:gradient_at_start",
        ),
        Claim(
            "in residual networks of 20 layers the gradient is larger without batch normalization",
            "residual_20_bare:sensitivity_at_start",
            "residual_20:sensitivity_at_start",
        ),
    ),
    decides=DEGRADATION,
    explains=EXPLODES,
    measurements=(gradient_norms(PANELS), COMPILE_SECONDS),
    sections=(
        Section(
            "Error by depth",
            "Training error is the mean over the last epoch, with augmentation on and while the "
            "weights change; test error is that of the weights after it.",
            (
                Trend(
                    "error_by_depth",
                    "Training and test error by depth",
                    "layers with weights",
                    SERIES,
                    (("train_error",), ("test_error",)),
                ).picture,
                Trend(
                    "compile_by_depth",
                    "Time to trace and compile the training step, by depth",
                    "layers with weights",
                    SERIES,
                    (("compile_unrolled", "compile_scanned"),),
                ).picture,
            ),
        ),
    ),
)
