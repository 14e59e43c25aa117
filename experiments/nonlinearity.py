"""Nonlinearity: sigmoid, tanh, ReLU, leaky ReLU and PReLU, by speed of learning and saturation.

Question: Which nonlinearity learns fastest, and does saturation explain it? One network without
normalization, five hidden layers deep, with ReLU, leaky ReLU, PReLU, tanh and sigmoid, each with
the initialization made for it and at its own best learning rate; how fast the training error falls,
and how many activations of each layer are saturated.

Source: The lectures (Xing 2020, lecture 10, "avoids saturation issues", "non-saturating
nonlinearity"). Krizhevsky, Sutskever and Hinton (2012), ImageNet classification, section 3.1 and
figure 1: a four-layer network with ReLUs reaches 25 % training error on CIFAR-10 six times faster
than one with tanh. Glorot and Bengio (2010), Understanding the difficulty of training deep
feedforward neural networks: sigmoids learn slowest, and their last hidden layer saturates. He,
Zhang, Ren and Sun (2015), Delving deep into rectifiers: learned slopes fit better than none.

Prediction: ReLU learns faster than tanh, but not six times: five layers of small images are easy,
and tanh with Glorot initialization starts in its linear part. Sigmoids learn slowest by far: their
slope is at most 1/4, so five layers pass on a thousandth of the gradient; weights drawn four times
as large, which make up for the slope, bring back most of the speed. Saturation by itself explains
little: ReLUs are 0 for about half of their responses from the start and learn fastest, and slow
sigmoids will hardly saturate at all, because their inputs stay near 0. Leaky ReLU and PReLU learn
about as fast as ReLU. A few units of the ReLU network die; none with a leak.

Command: make experiment NAME=nonlinearity [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form. The paper
chose the learning rate of each nonlinearity "to make training as fast as possible", and so do we,
on digits. (The grid below had been run when the claims were fixed: in it tanh at its best rate
learns faster than ReLU at its own, against the paper and our prediction, and sigmoids from Glorot's
initialization not at any.)
"""

import math

from ablax.core import (
    Edit,
    Layers,
    Network,
    Sequential,
    compose,
    replace_kind,
    sequential,
    with_initializer,
)
from ablax.experiment import Budget, Experiment, Grid, Inputs, Treatment
from ablax.layers import (
    Convolution,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    Sigmoid,
    Tanh,
)
from ablax.layers.initializers import GLOROT_NORMAL, GLOROT_TIMES_4
from ablax.measurements.learning import learning_speed
from ablax.measurements.units import SATURATION
from ablax.report.study import Claim


def network(inputs: Inputs) -> Network:
    """Four 3x3 convolutions, three max pools and a dense layer, ReLU behind each; no dropout."""

    def scaled(features: int) -> int:
        return max(1, round(features * inputs.width))

    def convolution(features: int) -> Sequential:
        return sequential(conv=Convolution(scaled(features), 3), relu=ReLU())

    pool = MaxPool(3, 2, padding="SAME")
    return Network(
        tail=Layers(conv1=convolution(32), pool1=pool),
        body=Layers(
            conv2=convolution(64),
            pool2=pool,
            conv3=convolution(64),
            conv4=convolution(64),
            pool4=pool,
        ),
        head=Layers(
            vectorize=Flatten(),
            fc5=sequential(dense=Dense(scaled(128)), relu=ReLU()),
            fc6=Dense(inputs.classes),
        ),
    )


as_sigmoid, glorot = replace_kind(ReLU, lambda _: Sigmoid()), with_initializer(GLOROT_NORMAL)

LABELS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "sigmoid_large": "sigmoid, 4 x Glorot std",
}

RATES = Grid(
    "optimizer.rate",
    "Training error over all epochs, %",
    "Digits under the budget of this experiment with 30 epochs, two seeds, four fifths of the "
    "training images (docs/scripts/tune_field.py).",
    {
        "relu": {
            0.00125: 22.6302,
            0.0025: 19.0441,
            0.005: 18.9323,
            0.01: 23.2184,
            0.02: 25.6847,
            0.04: 72.6624,
            0.08: 90.8578,
            0.16: math.nan,
        },
        "leaky_relu": {
            0.00125: 22.7819,
            0.0025: 18.5003,
            0.005: 19.4102,
            0.01: 22.5536,
            0.02: 24.9326,
            0.04: math.nan,
            0.08: math.nan,
            0.16: math.nan,
        },
        "prelu": {
            0.00125: 19.5236,
            0.0025: 16.1305,
            0.005: 13.1342,
            0.01: 13.655,
            0.02: math.nan,
            0.04: math.nan,
            0.08: math.nan,
            0.16: math.nan,
        },
        "tanh": {
            0.005: 21.4905,
            0.01: 14.4286,
            0.02: 10.5545,
            0.04: 8.5539,
            0.08: 8.2307,
            0.16: 12.8232,
        },
        "sigmoid": {
            0.005: 90.7935,
            0.01: 90.7767,
            0.02: 90.8487,
            0.04: 90.7935,
            0.08: 90.7047,
            0.16: 90.8318,
        },
        "sigmoid_large": {
            0.005: 82.5306,
            0.01: 80.9727,
            0.02: 75.9681,
            0.04: 80.4243,
            0.08: 80.7292,
            0.16: 90.3294,
        },
    },
)

# Constant, so that no variant is slowed down before it has learned.
CONSTANT_RATE = {
    "optimizer.name": "sgd",
    **RATES.fields("relu"),
    "optimizer.weight_decay": 0.0,
    "optimizer.schedule": "constant",
    "optimizer.warmup": 0.0,
}


def variant(name: str, *edits: Edit) -> Treatment:
    """A nonlinearity at its own rate."""
    return Treatment(edit=compose(*edits), fields=RATES.fields(name))


TANH_IS_SLOWER = Claim(
    "the training error, averaged over epochs, is higher with tanh than with ReLU",
    "tanh:mean_train_error",
    "relu:mean_train_error",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="relu",
    variants={
        "leaky_relu": variant("leaky_relu", replace_kind(ReLU, lambda _: LeakyReLU())),
        "prelu": variant("prelu", replace_kind(ReLU, lambda _: PReLU())),
        "tanh": variant("tanh", replace_kind(ReLU, lambda _: Tanh()), glorot),
        "sigmoid": variant("sigmoid", as_sigmoid, glorot),
        "sigmoid_large": variant("sigmoid_large", as_sigmoid, with_initializer(GLOROT_TIMES_4)),
    },
    labels=LABELS,
    budgets={
        "smoke": Budget(
            fields={**CONSTANT_RATE, "data.image_size": 16, "width": 0.125},
            only=("prelu",),
        ),
        "digits": Budget(
            fields={
                **CONSTANT_RATE,
                "data.image_size": 16,
                "augment.translate": 1.0,
                "train.epochs": 60,
                "width": 0.5,
            }
        ),
        "fashion_mnist": Budget(fields={**CONSTANT_RATE, "train.evaluate_every": 5}),
        "cifar10": Budget(fields={**CONSTANT_RATE, "train.epochs": 40}),
    },
    claims=(
        TANH_IS_SLOWER,
        Claim(
            "the training error, averaged over epochs, is higher with sigmoid than with tanh",
            "sigmoid:mean_train_error",
            "tanh:mean_train_error",
        ),
        Claim(
            "with sigmoids the last hidden layer saturates more than the first",
            "sigmoid:last_saturated",
            "sigmoid:first_saturated",
        ),
        Claim(
            "the training error is higher with ReLU than with PReLU",
            "relu:train_error",
            "prelu:train_error",
        ),
    ),
    expectations=(
        Claim(
            "with sigmoids, Glorot initialization has a higher mean training error than 4 x "
            "Glorot std",
            "sigmoid:mean_train_error",
            "sigmoid_large:mean_train_error",
        ),
        Claim(
            "after training more activations are saturated with ReLU than with tanh",
            "relu:saturated_at_end",
            "tanh:saturated_at_end",
        ),
        Claim(
            "after training more units are dead with ReLU than with leaky ReLU",
            "relu:dead_at_end",
            "leaky_relu:dead_at_end",
        ),
    ),
    decides=TANH_IS_SLOWER,
    measurements=(SATURATION,),
    sections=(learning_speed(25.0, tuple(LABELS)), RATES.section),
)
