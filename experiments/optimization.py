"""Optimization: optimizers, learning rates, initializations and batch sizes for a plain network.

Question: Which choices decide whether, and how fast, a plain network learns? Six convolutions and
two dense layers, without normalization and without dropout, trained by SGD with momentum from He
initialization at a decaying learning rate; every variant changes one thing: the optimizer, the
schedule or the rate of single layers, the initialization, or the batch size.

Source: The lectures (Xing 2020, lecture 10, "Training CNN: highly nonconvex objective": add
momentum, decrease the learning rate regularly, different layers use different learning rates,
initialization really cares; the handwritten lecture, "Variants of SGD: momentum, adaptive learning
rate, Adam; Initialization: exploding / vanishing, symmetry").

Prediction: Without momentum learning is slower at any rate; adaptive rates learn about as fast as
momentum with its rate chosen well. A constant rate ends at a larger loss than one that falls. Rates
by layer change little where every layer has the same kind of initialization. From weights that are
too small nothing is learned, because neither images nor gradients get through eight layers; from
equal ones as much as a network of one unit per layer can learn. Batches of 256 take fewer seconds
per epoch than batches of 16, and learn less in as many epochs.

Each optimizer has its own rate: among rates that differ by factors of two, the one with the least
training loss after the last epoch, mean of seeds 100 and 101, which the experiment does not use
(rates that were worse by half with seed 100 were not tried again; the best one lies inside its
grid). Grids: momentum and Nesterov's 0.00625 to 0.2, without momentum 0.05 to 0.8, Adam 0.0005 to
0.016, AdaGrad 0.005 to 0.08, RMSProp 0.00025 to 0.016, LARS 0.0025 to 0.04. Neighbors often differ
by less than the two seeds do. Initializations, schedules, rates by layer and batches keep the rate
of the baseline, that of a batch in proportion to its images. At 2 x He std the one run that was
tried diverged in its first epoch, and at std 0.0001 nothing was learned, as at 0.01; so the
initializations beside He's are closer to it.

Command: make experiment NAME=optimization [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: about 7 minutes for digits on 2 CPU cores, half a minute for smoke.
"""

from dataclasses import replace

from ablax.core import Layers, Network, Sequential, sequential, with_initializer
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import Convolution, Dense, Flatten, MaxPool, ReLU
from ablax.layers.initializers import (
    ALL_EQUAL,
    GAUSSIAN_001,
    GLOROT_NORMAL,
    HE_NORMAL,
    ORTHOGONAL_RELU,
    variance_scaling,
)
from ablax.measurements.gradients import gradient_norms
from ablax.measurements.units import symmetry
from ablax.report.plots import CurvePanels, Trend
from ablax.report.study import Claim, Section

TOO_LARGE = variance_scaling(4.5, lambda inputs, _: inputs)
"""1.5 x He std."""
TOO_SMALL = variance_scaling(0.5, lambda inputs, _: inputs)
"""0.5 x He std."""


def network(inputs: Inputs) -> Network:
    """3x3 convolutions of 16, 16, 32, 32, 64, 64 features at width 1, three pools, 64 units."""

    def scaled(features: int) -> int:
        return max(1, round(features * inputs.width))

    def convolution(features: int) -> Sequential:
        conv = Convolution(scaled(features), 3, kernel_init=HE_NORMAL)
        return sequential(conv=conv, relu=ReLU())

    return Network(
        tail=Layers(conv1=convolution(16), conv2=convolution(16), pool2=MaxPool(2, 2)),
        body=Layers(
            conv3=convolution(32),
            conv4=convolution(32),
            pool4=MaxPool(2, 2),
            conv5=convolution(64),
            conv6=convolution(64),
            pool6=MaxPool(2, 2),
        ),
        head=Layers(
            vectorize=Flatten(),
            fc7=sequential(dense=Dense(scaled(64), kernel_init=HE_NORMAL), relu=ReLU()),
            fc8=Dense(inputs.classes, kernel_init=HE_NORMAL),
        ),
    )


def rule(name: str, rate: float, **fields: object) -> Treatment:
    """Another optimizer, at its own rate."""
    chosen = {"name": name, "rate": rate, **fields}
    return Treatment(fields={f"optimizer.{key}": value for key, value in chosen.items()})


def falling(schedule: str, **fields: object) -> Treatment:
    """Another learning-rate schedule."""
    chosen = {"schedule": schedule, **fields}
    return Treatment(fields={f"optimizer.{key}": value for key, value in chosen.items()})


def factors(*pairs: tuple[str, float]) -> Treatment:
    """Learning rates by layer."""
    return Treatment(fields={"optimizer.rate_factors": pairs})


def batches(images: int) -> Treatment:
    """Batches of another size, with a rate in proportion to it."""
    return Treatment(
        fields={"train.batch": images, "optimizer.rate": RATE * images / BATCH},
    )


RATE, BATCH = 0.0125, 64
BASELINE = "momentum"
RULES = {
    "without_momentum": rule("sgd", 0.2, momentum=0.0),
    "nesterov": rule("sgd", 0.025, nesterov=True),
    "adam": rule("adamw", 0.008),
    "adagrad": rule("adagrad", 0.02),
    "rmsprop": rule("rmsprop", 0.008),
    "lars": rule("lars", 0.005),
}
RATES = {
    "constant": falling("constant"),
    "step": falling("step"),
    "exponential": falling("exponential", drop_factor=0.01),
    "biases_doubled": factors(("*/bias", 2.0)),
    "last_layer_tenfold": factors(("fc8/*", 10.0)),
}
STARTS = {
    "glorot": with_initializer(GLOROT_NORMAL),
    "orthogonal": with_initializer(ORTHOGONAL_RELU),
    "gaussian": with_initializer(GAUSSIAN_001),
    "too_large": with_initializer(TOO_LARGE),
    "too_small": with_initializer(TOO_SMALL),
    "all_equal": with_initializer(ALL_EQUAL),
}
BATCHES = {"batch_16": batches(16), "batch_256": batches(256)}

LABELS = {
    "momentum": "momentum, He, cosine, 64",
    "adam": "Adam",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "lars": "LARS",
    "nesterov": "Nesterov momentum",
    "constant": "constant learning rate",
    "step": "step decay",
    "exponential": "exponential decay",
    "biases_doubled": "2 x rate for biases",
    "last_layer_tenfold": "10 x rate for last layer",
    "glorot": "Glorot init",
    "orthogonal": "orthogonal init",
    "gaussian": "std 0.01",
    "too_large": "1.5 x He std",
    "too_small": "0.5 x He std",
    "all_equal": "all weights equal",
    "batch_16": "batch size 16",
    "batch_256": "batch size 256",
}

LEARNING = CurvePanels(
    name="learning",
    title="Training loss by family",
    panels={
        "optimizers": (BASELINE, *RULES),
        "learning-rate schedules": (BASELINE, *RATES),
        "initialization": (BASELINE, *STARTS),
        "batch size": (BASELINE, *BATCHES),
    },
)
BY_BATCH = Trend(
    name="by_batch",
    title="Batch size: training error and training time",
    x_label="batch size",
    series={
        "equal epochs, rate proportional to batch size": {
            16.0: "batch_16",
            64.0: BASELINE,
            256.0: "batch_256",
        }
    },
    panels=(("mean_train_error",), ("seconds",)),
    logarithmic_x=True,
)
GRADIENTS = gradient_norms(panels={"initialization": [(name,) for name in (BASELINE, *STARTS)]})

# No decay and no warm-up, so that variants differ in nothing else.
ALIKE = {
    "optimizer.name": "sgd",
    "optimizer.rate": RATE,
    "optimizer.schedule": "cosine",
    "optimizer.weight_decay": 0.0,
    "optimizer.warmup": 0.0,
    "train.batch": BATCH,
}

STARTS_MATTER = Claim(
    "initialization with std 0.01 leaves a higher training loss than He initialization",
    worse="gaussian:train_loss",
    better=f"{BASELINE}:train_loss",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline=BASELINE,
    variants={**RULES, **RATES, **STARTS, **BATCHES},
    labels=LABELS,
    budgets={
        "smoke": Budget({**ALIKE, "data.image_size": 16, "width": 0.5}, only=("adam", "all_equal")),
        "digits": Budget(
            {
                **ALIKE,
                "data.image_size": 16,
                "width": 0.375,
                "augment.translate": 1.0,
                "train.epochs": 25,
                "train.evaluate_every": 5,
                "seeds": 4,
            }
        ),
        "fashion_mnist": Budget(ALIKE),
        "cifar10": Budget(ALIKE),
    },
    claims=(
        STARTS_MATTER,
        Claim(
            "the training error, averaged over epochs, is higher without momentum",
            worse="without_momentum:mean_train_error",
            better=f"{BASELINE}:mean_train_error",
        ),
        Claim(
            "a constant learning rate leaves a higher training loss than cosine decay",
            worse="constant:train_loss",
            better=f"{BASELINE}:train_loss",
        ),
        Claim(
            "initialization with 1.5 x He std raises the gradient norm at the first layer "
            "(explodes)",
            worse="too_large:gradient_at_start",
            better=f"{BASELINE}:gradient_at_start",
        ),
        Claim(
            "initialization with std 0.01 lowers the gradient norm at the first layer (vanishes)",
            worse=f"{BASELINE}:gradient_at_start",
            better="gaussian:gradient_at_start",
        ),
    ),
    expectations=(
        Claim(
            "equal initial weights leave a higher training loss (symmetry)",
            worse="all_equal:train_loss",
            better=f"{BASELINE}:train_loss",
        ),
        Claim(
            "the training error, averaged over epochs, is higher with SGD without momentum "
            "than with Adam",
            worse="without_momentum:mean_train_error",
            better="adam:mean_train_error",
        ),
        Claim(
            "the training error, averaged over epochs, is higher with batch size 256 than with 64",
            worse="batch_256:mean_train_error",
            better=f"{BASELINE}:mean_train_error",
        ),
        Claim(
            "training takes longer with batch size 16 than with 256",
            worse="batch_16:seconds",
            better="batch_256:seconds",
        ),
    ),
    decides=STARTS_MATTER,
    measurements=(
        replace(GRADIENTS, moments=("start", "end"), only=(BASELINE, *STARTS)),
        symmetry(only=(BASELINE, "all_equal")),
    ),
    sections=(
        Section(
            "Training loss by family",
            "Training loss is the mean over an epoch, with augmentation. Initializations, "
            "schedules "
            "and batch sizes keep the baseline's optimizer; every optimizer has a learning rate of "
            "its own, chosen by training loss.",
            (LEARNING.picture,),
        ),
        Section(
            "Batch size: training error and training time",
            "In an epoch larger batches take fewer steps, at a rate proportional to batch size. "
            "Training error is averaged over all epochs: the lower it is, the faster the training.",
            (BY_BATCH.picture,),
        ),
    ),
)
