"""Deep supervision: auxiliary losses, contrast normalization, ReLU against vanishing gradients.

Question: What helps a network that is too deep for its gradient? Twelve convolutions with sigmoids,
trained as they are; with auxiliary classifiers on inner layers; with contrast normalization behind
every convolution; with ReLUs; and with all three, each at its own best learning rate. How much of
the gradient arrives at the first layer, and how fast does each learn?

Source: The lectures (Xing 2020, lecture 10, "Training CNN: depth matters!"): "Gradient vanishes
when the network is too deep: lazy to learn!", with three remedies: "add intermediate loss layers to
produce error signals", "do contrast normalization after each conv layer", "use ReLU to avoid
saturation". Auxiliary classifiers are those of Szegedy et al. (2014), Going deeper with
convolutions, section 5, whose losses count 0.3 times, and of Lee, Xie, Gallagher, Zhang and Tu
(2014), Deeply-supervised nets.

Prediction: With sigmoids from the initialization of ReLUs (He's) the gradient fades by about a
factor of three per layer, to less than a ten-thousandth at the first, and nothing is learned: so
the network to be helped starts from Glorot's std times 4, which makes up for a sigmoid's slope of
1/4, and learns, slowly. Auxiliary classifiers bring a gradient to the layers below them, so the
first layer gets more of it and the training error falls faster. Contrast normalization undoes the
shrinking on every layer and helps more; the response normalization that GoogLeNet has does not,
because it scales what is small by a constant. ReLU alone does most: the gradient keeps its size and
the error falls as fast as with all three. To the test error of a ReLU network auxiliary classifiers
make no difference of half a point. (The grid of rates, which came after this, has the sigmoid
network, with and without auxiliary classifiers, at chance with every rate.)

Command: make experiment NAME=deep_supervision [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form. Gradients
are clipped to a norm of 1.
"""

from ablax.core import (
    Edit,
    Layers,
    Network,
    compose,
    edit,
    insert_after,
    replace_kind,
    sequential,
    with_initializer,
)
from ablax.experiment import Budget, Experiment, Grid, Inputs, Treatment
from ablax.layers import (
    Auxiliary,
    Convolution,
    LocalContrastNormalization,
    LocalResponseNormalization,
    MaxPool,
    ReLU,
    Sigmoid,
)
from ablax.layers.initializers import GLOROT_TIMES_4, HE_NORMAL
from ablax.measurements.gradients import training_gradient_norms
from ablax.report.study import Claim
from ablax.zoo import heads

STAGES = 3
CONVOLUTIONS = 4
"""In a stage."""

CONTRAST = LocalContrastNormalization(window=5, deviation=1.25)
RESPONSE = LocalResponseNormalization(size=5, alpha=1e-4 / 5, beta=0.75, k=1.0)
"""With the constants of Caffe's GoogLeNet."""


def network(inputs: Inputs) -> Network:
    """Three stages of four 3x3 convolutions with sigmoids, 16, 32 and 64 features at width 1.

    Kernels have Glorot's initialization times 4.
    """
    stages = [stage(number, max(1, round(2**number * 8 * inputs.width))) for number in (1, 2, 3)]
    head = heads.global_average_pool(inputs.classes)
    return with_initializer(GLOROT_TIMES_4)(Network(stages[0], stages[1] + stages[2], head))


def stage(number: int, features: int) -> Layers:
    """The convolutions of one stage; a max pool in front of all but the first."""
    layer = sequential(conv=Convolution(features, 3), act=Sigmoid())
    pool = Layers({f"pool{number - 1}": MaxPool(2, 2, padding="SAME")} if number > 1 else {})
    names = [f"conv{number}_{place}" for place in range(1, CONVOLUTIONS + 1)]
    return pool + Layers(dict.fromkeys(names, layer))


def supervised(classes: int) -> Edit:
    """Auxiliary classifiers behind the first two stages."""
    side = Auxiliary(heads.global_average_pool(classes))
    return compose(
        *(
            insert_after(f"conv{number}_{CONVOLUTIONS}", **{f"side{number}": side})
            for number in range(1, STAGES)
        )
    )


def normalized(normalization: LocalContrastNormalization | LocalResponseNormalization) -> Edit:
    """A normalization behind the nonlinearity of every convolution."""

    def behind(path: str, layer: object) -> Layers | None:
        if not path.endswith("/act"):
            return None
        return Layers(act=layer, norm=normalization)

    return lambda network: edit(network, behind)


small = with_initializer(HE_NORMAL)
rectified = compose(replace_kind(Sigmoid, lambda _: ReLU()), small)

RATES = Grid(
    "optimizer.rate",
    "Training error over all epochs, %",
    "Digits under the budget of this experiment, two seeds, four fifths of the training images "
    "(docs/scripts/tune_field.py).",
    {
        "sigmoid": {0.01: 90.5722, 0.03: 90.5239, 0.1: 90.7192, 0.3: 90.6733},
        "sides": {0.01: 90.5407, 0.03: 90.5109, 0.1: 90.7192, 0.3: 90.6748},
        "contrast": {0.01: 33.8802, 0.03: 21.4606, 0.1: 15.4213, 0.3: 21.263},
        "response": {0.01: 90.5722, 0.03: 90.5254, 0.1: 90.7177, 0.3: 90.674},
        "relu": {0.01: 30.2037, 0.03: 17.7252, 0.1: 13.6221, 0.3: 62.7773},
        "relu_sides": {0.01: 36.8742, 0.03: 29.3987, 0.1: 19.2747, 0.3: 64.7725},
        "relu_contrast": {0.01: 16.1068, 0.03: 9.0188, 0.1: 7.9029, 0.3: 8.1066},
        "all_three": {0.01: 15.8195, 0.03: 9.8376, 0.1: 7.4885, 0.3: 8.3624},
    },
)


def variant(name: str, *edits: Edit, sides: bool = False) -> Treatment:
    """The baseline with edits, and with auxiliary classifiers where they are wanted."""

    def build(inputs: Inputs) -> Network:
        last = (supervised(inputs.classes),) if sides else ()
        return compose(*edits, *last)(network(inputs))

    return Treatment(network=build, fields=RATES.fields(name))


# Plain descent: Adam would divide every gradient by its own size and hide that it vanishes.
DESCENT = {
    "optimizer.name": "sgd",
    **RATES.fields("sigmoid"),
    "optimizer.clip": 1.0,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 0.0,
    "optimizer.warmup": 1.0,
    "optimizer.schedule": "cosine",
    "train.auxiliary_weight": 0.3,
}

PANELS: dict[str, list[tuple[str, ...]]] = {
    "each remedy alone": [
        ("sigmoid", "small"),
        ("sides",),
        ("contrast",),
        ("response",),
        ("relu",),
    ],
    "together": [("sigmoid",), ("relu", "relu_sides"), ("relu_contrast", "all_three")],
}

RELU_HELPS = Claim(
    "sigmoids learn more slowly than ReLUs: their training error over all epochs is higher",
    "sigmoid:mean_train_error",
    "relu:mean_train_error",
)
GRADIENT_FADES = Claim(
    "before training the gradient at the first layer, over that at the last, is smaller with "
    "sigmoids from the same weights than with ReLUs",
    "relu:gradient_at_start",
    "small:gradient_at_start",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="sigmoid",
    variants={
        "small": Treatment(edit=small),
        "sides": variant("sides", sides=True),
        "contrast": variant("contrast", normalized(CONTRAST)),
        "response": variant("response", normalized(RESPONSE)),
        "relu": variant("relu", rectified),
        "relu_sides": variant("relu_sides", rectified, sides=True),
        "relu_contrast": variant("relu_contrast", rectified, normalized(CONTRAST)),
        "all_three": variant("all_three", rectified, normalized(CONTRAST), sides=True),
    },
    labels={
        "small": "sigmoid, He init",
        "sides": "sigmoid, auxiliary losses",
        "contrast": "sigmoid, contrast norm.",
        "response": "sigmoid, response norm.",
        "relu": "ReLU",
        "relu_sides": "ReLU, auxiliary losses",
        "relu_contrast": "ReLU, contrast norm.",
        "all_three": "all three",
    },
    budgets={
        "smoke": Budget(fields={**DESCENT, "data.image_size": 12, "width": 0.25}, only=("sides",)),
        "digits": Budget(
            fields={
                **DESCENT,
                "data.image_size": 12,
                "augment.translate": 0.75,
                "train.epochs": 60,
                "width": 0.375,
                "most_seeds": 8,
            }
        ),
        "fashion_mnist": Budget(fields={**DESCENT, "train.evaluate_every": 5}),
        "cifar10": Budget(fields={**DESCENT, "train.epochs": 60, "train.evaluate_every": 10}),
    },
    claims=(
        RELU_HELPS,
        Claim(
            "with sigmoids, training is slower without auxiliary losses",
            "sigmoid:mean_train_error",
            "sides:mean_train_error",
        ),
        Claim(
            "with sigmoids, training is slower without contrast normalization",
            "sigmoid:mean_train_error",
            "contrast:mean_train_error",
        ),
        Claim(
            "auxiliary losses raise the gradient norm at the first layer",
            "sides:gradient_at_start",
            "sigmoid:gradient_at_start",
        ),
        Claim(
            "the ReLU network has a higher test error without auxiliary losses",
            "relu",
            "relu_sides",
        ),
    ),
    expectations=(
        GRADIENT_FADES,
        Claim(
            "contrast normalization raises the gradient norm at the first layer",
            "contrast:gradient_at_start",
            "sigmoid:gradient_at_start",
        ),
        Claim(
            "the gradient norm at the first layer is larger with ReLU than with auxiliary losses",
            "relu:gradient_at_start",
            "sides:gradient_at_start",
        ),
        Claim(
            "training is slower with response than with contrast normalization",
            "response:mean_train_error",
            "contrast:mean_train_error",
        ),
    ),
    decides=RELU_HELPS,
    explains=GRADIENT_FADES,
    measurements=(training_gradient_norms(PANELS),),
    sections=(RATES.section,),
)
