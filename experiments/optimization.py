"""Optimization: optimizers, learning rates, initializations and batch sizes for a plain network.

Question: Which choices decide whether, and how fast, a plain network learns? Six convolutions and
two dense layers, without normalization and without dropout, trained by SGD with momentum from He
initialization at a decaying learning rate; every variant changes one thing: the optimizer, the
schedule or the rate of single layers, the initialization, or the batch size. Each optimizer,
schedule and initialization that learns at all, and batches of 256, have a learning rate of their
own; batches of 16 a fourth of the baseline's.

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

(The grid of rates had been run when the claims were fixed, nothing else.) At 2 x He std the one run
that was tried diverged in its first epoch, and at std 0.0001 nothing was learned, as at 0.01; so
the initializations beside He's are closer to it.

Command: make experiment NAME=optimization [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from dataclasses import replace

from ablax.core import Edit, Layers, Network, Sequential, sequential, with_initializer
from ablax.experiment import Budget, Experiment, Grid, Inputs, Treatment
from ablax.layers import Convolution, Dense, Flatten, MaxPool, ReLU
from ablax.layers.initializers import (
    ALL_EQUAL,
    GAUSSIAN_001,
    GLOROT_NORMAL,
    HE_NORMAL,
    ORTHOGONAL_RELU,
    Initializer,
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


BASELINE, BATCH = "momentum", 64
RATES = Grid(
    "optimizer.rate",
    "Training loss after the last epoch",
    "Digits under the budget of this experiment with 25 epochs, two seeds, four fifths of the "
    "training images (docs/scripts/tune_field.py); a dash: not tried, or it diverged.",
    {
        "momentum": {
            0.005: 0.7878,
            0.01: 0.7283,
            0.02: 0.6673,
            0.05: 0.6623,
            0.1: 0.6985,
            0.2: 1.1169,
        },
        "nesterov": {
            0.005: 0.7624,
            0.01: 0.693,
            0.02: 0.6548,
            0.05: 0.7466,
            0.1: 0.7495,
            0.2: 2.3027,
        },
        "without_momentum": {
            0.005: 1.5584,
            0.01: 1.051,
            0.02: 0.8896,
            0.05: 0.7798,
            0.1: 0.7171,
            0.2: 0.6844,
        },
        "adagrad": {
            0.005: 0.885,
            0.01: 0.7768,
            0.02: 0.7277,
            0.05: 0.7339,
            0.1: 0.9885,
            0.2: 1.6631,
        },
        "lars": {0.005: 0.606, 0.01: 0.5815, 0.02: 1.551, 0.05: 2.3026, 0.1: 2.3027, 0.2: 2.3027},
        "adam": {0.001: 0.8035, 0.002: 0.7249, 0.004: 0.6605, 0.008: 0.6288, 0.016: 0.7034},
        "rmsprop": {0.001: 0.8017, 0.002: 0.7013, 0.004: 0.6175, 0.008: 0.5827, 0.016: 0.6113},
        "constant": {0.005: 0.7189, 0.01: 0.6657, 0.02: 0.6433, 0.05: 0.6573, 0.1: 1.1217},
        "step": {0.005: 0.7916, 0.01: 0.7295, 0.02: 0.6757, 0.05: 0.6739, 0.1: 1.0524},
        "exponential": {0.005: 1.1038, 0.01: 0.8666, 0.02: 0.7924, 0.05: 0.7214, 0.1: 0.7383},
        "glorot": {0.005: 1.043, 0.01: 0.7688, 0.02: 0.6823, 0.05: 0.6204, 0.1: 0.7869},
        "orthogonal": {0.005: 0.7387, 0.01: 0.6918, 0.02: 0.643, 0.05: 0.6413, 0.1: 0.6728},
        "too_large": {0.005: 1.9417, 0.01: 2.2526, 0.02: 2.3026, 0.05: 2.3027, 0.1: 2.3027},
        "too_small": {0.005: 2.3003, 0.01: 2.2914, 0.02: 0.9858, 0.05: 0.6876, 0.1: 1.4598},
        "batch_256": {0.005: 1.6511, 0.01: 1.2009, 0.02: 0.9651, 0.05: 0.8953, 0.1: 1.576},
    },
)


def rule(variant: str, name: str, **fields: object) -> Treatment:
    """Another optimizer, at its own rate."""
    chosen = {f"optimizer.{key}": value for key, value in {"name": name, **fields}.items()}
    return Treatment(fields=chosen | RATES.fields(variant))


def falling(variant: str, **fields: object) -> Treatment:
    """Another learning-rate schedule, at its own rate."""
    chosen = {"optimizer.schedule": variant} | {f"optimizer.{k}": v for k, v in fields.items()}
    return Treatment(fields=chosen | RATES.fields(variant))


def factors(*pairs: tuple[str, float]) -> Treatment:
    """Learning rates by layer."""
    return Treatment(fields={"optimizer.rate_factors": pairs})


def start(variant: str, initializer: Initializer) -> Treatment:
    """Another initialization, at its own rate."""
    return Treatment(edit=with_initializer(initializer), fields=RATES.fields(variant))


RULES = {
    "without_momentum": rule("without_momentum", "sgd", momentum=0.0),
    "nesterov": rule("nesterov", "sgd", nesterov=True),
    "adam": rule("adam", "adamw"),
    "adagrad": rule("adagrad", "adagrad"),
    "rmsprop": rule("rmsprop", "rmsprop"),
    "lars": rule("lars", "lars"),
}
SCHEDULES = {
    "constant": falling("constant"),
    "step": falling("step"),
    "exponential": falling("exponential", drop_factor=0.01),
    "biases_doubled": factors(("*/bias", 2.0)),
    "last_layer_tenfold": factors(("fc8/*", 10.0)),
}
STARTS: dict[str, Edit | Treatment] = {
    "glorot": start("glorot", GLOROT_NORMAL),
    "orthogonal": start("orthogonal", ORTHOGONAL_RELU),
    "gaussian": with_initializer(GAUSSIAN_001),
    "too_large": start("too_large", TOO_LARGE),
    "too_small": start("too_small", TOO_SMALL),
    "all_equal": with_initializer(ALL_EQUAL),
}
BATCHES = {
    # a fourth of the images, a fourth of the rate
    "batch_16": Treatment(
        fields={"train.batch": 16, "optimizer.rate": RATES.best(BASELINE) * 16 / BATCH}
    ),
    "batch_256": Treatment(fields={"train.batch": 256} | RATES.fields("batch_256")),
}

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
        "learning-rate schedules": (BASELINE, *SCHEDULES),
        "initialization": (BASELINE, *STARTS),
        "batch size": (BASELINE, *BATCHES),
    },
)
BY_BATCH = Trend(
    name="by_batch",
    title="Batch size: training error and training time",
    x_label="batch size",
    series={
        "equal epochs": {
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
    **RATES.fields(BASELINE),
    "optimizer.schedule": "cosine",
    "optimizer.weight_decay": 0.0,
    "optimizer.warmup": 0.0,
    "train.batch": BATCH,
}

MOMENTUM_HELPS = Claim(
    "without momentum, at its own best rate, SGD learns more slowly: the training error over all "
    "epochs is higher",
    worse="without_momentum:mean_train_error",
    better=f"{BASELINE}:mean_train_error",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline=BASELINE,
    variants={**RULES, **SCHEDULES, **STARTS, **BATCHES},
    labels=LABELS,
    budgets={
        "smoke": Budget({**ALIKE, "data.image_size": 16, "width": 0.5}, only=("adam", "all_equal")),
        "digits": Budget(
            {
                **ALIKE,
                "data.image_size": 16,
                "width": 0.375,
                "augment.translate": 1.0,
                "train.epochs": 30,
                "most_seeds": 8,
            }
        ),
        "fashion_mnist": Budget(ALIKE),
        "cifar10": Budget(ALIKE),
    },
    claims=(
        MOMENTUM_HELPS,
        Claim(
            "initialization with std 0.01 slows learning: the training error over all epochs is "
            "higher than with He's",
            worse="gaussian:mean_train_error",
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
            "equal initial weights slow learning (symmetry)",
            worse="all_equal:mean_train_error",
            better=f"{BASELINE}:mean_train_error",
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
    decides=MOMENTUM_HELPS,
    measurements=(
        replace(GRADIENTS, moments=("start", "end"), only=(BASELINE, *STARTS)),
        symmetry(only=(BASELINE, "all_equal")),
    ),
    sections=(
        Section(
            "Training loss by family",
            "Training loss is the mean over an epoch, with augmentation. Initializations, "
            "schedules and batch sizes keep the baseline's optimizer, each at a learning rate of "
            "its own.",
            (LEARNING.picture,),
        ),
        Section(
            "Batch size: training error and training time",
            "In an epoch larger batches take fewer steps. "
            "Training error is averaged over all epochs: the lower it is, the faster the training.",
            (BY_BATCH.picture,),
        ),
        RATES.section,
    ),
)
