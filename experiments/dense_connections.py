"""Dense connections: accuracy per parameter, against residual connections.

Question: Do layers that are given the features of all layers before them need fewer parameters than
layers that add to a sum? Densely connected and residual networks of about 20 layers, in three sizes
that have equal parameters in pairs; and which earlier features the trained kernels use.

Source: The lectures (Risteski 2020, lecture 4, "Dense convolutional networks": they help vanishing
gradients, encourage reuse of features, and hence reduce the parameter count; Redfern 2018,
"Design", "Dense - DenseNet"), after Huang, Liu, van der Maaten and Weinberger (2016), Densely
connected convolutional networks, figures 4 and 5.

Prediction: With a growth equal to the features of the first residual stage both networks have the
same parameters within 6 %, at every width; the dense one needs twice the multiply-accumulates,
because its weights are spread over all sizes of maps and those of the residual one lie mostly in
the last, smallest. At equal parameters we expect the residual network to have the higher error
where both are small, and no clear difference where both have enough; per multiply-accumulate and
per second the dense network should be the worse one. The lecture says that dense connections reduce
the parameters. Figure 4 of the paper shows DenseNet-BC below residual networks of the same
parameters on CIFAR-10; its figure 5 shows layers that use features from all over their block, the
outputs of transitions least, and a classifier that leans on the last features.

Command: make experiment NAME=dense_connections [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from operator import attrgetter

from ablax.core import Layers, Network, sequential
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.measurements.feature_reuse import feature_reuse
from ablax.report.plots import Trend
from ablax.report.study import Claim, Picture, Section
from ablax.zoo import heads
from ablax.zoo.densenet import blocks, plain
from ablax.zoo.resnet import preactivation_cifar, weights

SIZES = {"small": 8, "medium": 16, "large": 24}
"""Growth of the dense network, and features of the residual one's first stage, at width 1."""


def layers(inputs: Inputs) -> int:
    """3x3 layers at each size of maps: six; two for images that are smaller than 16 pixels."""
    return 6 if inputs.image_size >= 16 else 2


def residual(features: int, inputs: Inputs) -> Network:
    """Pre-activated, 20 layers: three stages of three blocks of two 3x3, identities around."""
    return preactivation_cifar(3 * layers(inputs) + 2, inputs.classes, features)


def dense(growth: int, inputs: Inputs) -> Network:
    """22 layers: three blocks of six 3x3 layers; transitions keep half of the channels."""
    return Network(
        tail=Layers(conv1=sequential(conv=weights(growth, 3))),
        body=blocks((layers(inputs),) * 3, growth, growth, plain, compression=0.5),
        head=heads.global_average_pool(inputs.classes),
    )


FAMILIES = {"residual": residual, "dense": dense}


def network(family: str, size: str, inputs: Inputs) -> Network:
    """The network of that family and size."""
    return FAMILIES[family](max(1, round(SIZES[size] * inputs.width)), inputs)


def treatment(family: str, size: str) -> Treatment:
    """That network as a variant."""
    return Treatment(network=lambda inputs: network(family, size, inputs))


BASELINE = "residual_medium"
NAMES = {f"{family}_{size}": (family, size) for size in SIZES for family in FAMILIES}
DENSE = tuple(name for name, (family, _) in NAMES.items() if family == "dense")
SERIES = {
    family: {float(SIZES[size]): name for name, (own, size) in NAMES.items() if own == family}
    for family in FAMILIES
}


def error_by(cost: str, of_one: str, x_label: str) -> Picture:
    """Test error against what a variant costs, one line per family."""
    return Trend(
        f"error_by_{cost}",
        f"Error per {of_one}",
        x_label,
        SERIES,
        (("test_error",),),
        logarithmic_x=True,
        number=attrgetter(cost),
    ).picture


PER_PARAMETER = Claim(
    "at equal parameters the medium residual network has a higher test error than the dense one",
    "residual_medium",
    "dense_medium",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=lambda inputs: network("residual", "medium", inputs),
    baseline=BASELINE,
    variants={name: treatment(*of) for name, of in NAMES.items() if name != BASELINE},
    labels={name: f"{family}, {size}" for name, (family, size) in NAMES.items()},
    budgets={
        "smoke": Budget({"data.image_size": 12, "width": 0.125}, only=("dense_medium",)),
        "digits": Budget(
            {
                "data.image_size": 16,
                "augment.translate": 1.0,
                "width": 0.25,
                "most_seeds": 8,
            }
        ),
        "fashion_mnist": Budget({"train.epochs": 20, "train.evaluate_every": 5}),
    },
    claims=(
        PER_PARAMETER,
        Claim(
            "at equal parameters the small residual network has a higher test error than the "
            "dense one",
            "residual_small",
            "dense_small",
        ),
        Claim(
            "at equal parameters the large residual network has a higher test error than the "
            "dense one",
            "residual_large",
            "dense_large",
        ),
        Claim(
            "dense layers use each other's outputs more than those of transitions",
            "dense_large:reuse_inside",
            "dense_large:reuse_transition",
        ),
        Claim(
            "the classifier uses late layers more than early ones",
            "dense_large:classifier_late",
            "dense_large:classifier_early",
        ),
    ),
    expectations=(
        Claim(
            "training takes longer with dense connections than with residual ones, large networks",
            "dense_large:seconds",
            "residual_large:seconds",
        ),
        Claim(
            "a dense layer uses the layer right before it more than earlier ones",
            "dense_large:reuse_nearest",
            "dense_large:reuse_distant",
        ),
    ),
    decides=PER_PARAMETER,
    measurements=(feature_reuse(only=DENSE),),
    sections=(
        Section(
            "Error per parameter and per multiply-accumulate",
            "Pairs have the same parameters within 6 %; the dense network of a pair takes twice "
            "the multiply-accumulates of the residual one.",
            (
                error_by("parameters", "parameter", "parameters"),
                error_by("macs", "multiply-accumulate", "multiply-accumulates of one image"),
            ),
        ),
    ),
)
