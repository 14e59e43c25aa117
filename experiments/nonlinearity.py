"""Nonlinearity: sigmoid, tanh, ReLU, leaky ReLU and PReLU, by speed of learning and saturation.

Question: Which nonlinearity learns fastest, and does saturation explain it? One network without
normalization, five hidden layers deep, with ReLU, leaky ReLU, PReLU, tanh and sigmoid, each with
the initialization made for it; how fast the training error falls, and how many activations of each
layer are saturated.

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

Cost: about 4 minutes for digits on 2 CPU cores, half a minute for smoke. The paper chose the best
learning rate of each nonlinearity. Here all share one, a third of that of a pilot run with one
seed, in which the training loss of ReLU rose in the end; three variants have that rate of the pilot
run, to show how much the order owes to it.
"""

from ablax.core import (
    Layers,
    Network,
    Sequential,
    compose,
    replace_kind,
    sequential,
    with_initializer,
)
from ablax.experiment import Budget, Experiment, Inputs, Treatment
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
from ablax.layers.initializers import GLOROT_NORMAL, variance_scaling
from ablax.measurements.learning import learning_speed
from ablax.measurements.units import SATURATION
from ablax.report.study import Claim

GLOROT_TIMES_4 = variance_scaling(16.0, lambda inputs, outputs: (inputs + outputs) / 2)
"""Glorot's std times 4, the reciprocal of a sigmoid's slope at 0."""


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


tanh = compose(replace_kind(ReLU, lambda _: Tanh()), with_initializer(GLOROT_NORMAL))
sigmoid_large = compose(replace_kind(ReLU, lambda _: Sigmoid()), with_initializer(GLOROT_TIMES_4))

LABELS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "sigmoid_large": "sigmoid, 4 x Glorot std",
    "relu_fast": "ReLU, 3 x rate",
    "tanh_fast": "tanh, 3 x rate",
    "sigmoid_large_fast": "sigmoid, 4 x Glorot std, 3 x rate",
}

# Constant, so that no variant is slowed down before it has learned.
CONSTANT_RATE = {
    "optimizer.name": "sgd",
    "optimizer.rate": 0.01,
    "optimizer.weight_decay": 0.0,
    "optimizer.schedule": "constant",
    "optimizer.warmup": 0.0,
}
FAST = {"optimizer.rate": 0.03}

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
        "leaky_relu": replace_kind(ReLU, lambda _: LeakyReLU()),
        "prelu": replace_kind(ReLU, lambda _: PReLU()),
        "tanh": tanh,
        "sigmoid": compose(
            replace_kind(ReLU, lambda _: Sigmoid()), with_initializer(GLOROT_NORMAL)
        ),
        "sigmoid_large": sigmoid_large,
        "relu_fast": Treatment(fields=FAST),
        "tanh_fast": Treatment(edit=tanh, fields=FAST),
        "sigmoid_large_fast": Treatment(edit=sigmoid_large, fields=FAST),
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
                "train.epochs": 30,
                "train.evaluate_every": 5,
                "width": 0.5,
                "seeds": 4,
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
    sections=(learning_speed(25.0, tuple(LABELS)),),
)
