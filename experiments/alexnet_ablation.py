"""AlexNet's ablation: remove layers and train what is left.

Question: What does depth buy? AlexNet without its layers 7; 6 and 7; 3 and 4; and 3, 4, 6 and 7,
each trained from scratch; parameters of equal name and shape start from the same random
initialization. And is it depth, or the parameters that go with it? The last one again, widened
until it has as many parameters as the whole network.

Source: The lecture (Risteski 2020, lecture 4), slides "AlexNet: ablation study", after R. Fergus.
The experiment is that of Zeiler and Fergus (2014), Visualizing and understanding convolutional
networks, section 5.1 and table 3.

Prediction: On ImageNet the network without 7 loses 1.1 percentage points, without 3 and 4 it loses
3.0, without 6 and 7 it loses 5.7, and without all four 33.5: "depth of the network is the key". On
small images we expect the last to be worst, and the others too close together to be distinguished.
Widened to equal parameters it should have no higher error than the whole network: digits of 8
pixels need few layers. (Written after pilot runs with four seeds and 30 to 90 epochs: the longer,
the smaller were all differences; the widened network had not been run.)

Command: make experiment NAME=alexnet_ablation [CONFIG=smoke|digits|fashion_mnist|cifar10|imagenet]

Cost: 7 and a half minutes for digits on 2 CPU cores, half a minute for smoke.
"""

from functools import partial

from ablax.core import Edit, Layers, Network, count_parameters, edit, of_equal_cost
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import Convolution
from ablax.report.study import Claim, Published
from ablax.zoo import alexnet_for
from ablax.zoo.alexnet import without_3_4, without_3_4_6_7, without_6_7, without_7


def network(inputs: Inputs) -> Network:
    """AlexNet in the form that fits the images."""
    return alexnet_for(inputs.image_size, inputs.classes, inputs.width)


def widened(factor: float) -> Edit:
    """Every convolution with that many times its features."""

    def change(path: str, layer: object) -> Layers | None:
        if not isinstance(layer, Convolution):
            return None
        wide = layer.groups * round(layer.features * factor / layer.groups)
        return Layers({path.rsplit("/", 1)[-1]: layer.copy(features=wide)})

    return lambda network: edit(network, change)


def without_3_4_6_7_wide(inputs: Inputs) -> Network:
    """Without layers 3, 4, 6 and 7, of the width at which it has the parameters of the whole."""
    whole = network(inputs)

    parameters = partial(count_parameters, image_shape=inputs.image_shape)

    def wide(sixteenths: int) -> Network:
        return widened(1 + sixteenths / 16)(without_3_4_6_7(whole))

    return of_equal_cost(wide, parameters, parameters(whole))


_ZEILER_FERGUS = (
    "Zeiler and Fergus (2014), Visualizing and understanding convolutional networks, table 3"
)

LECTURE = Published(
    short="Lecture",
    source="Risteski (2020), Deep learning, lecture 4, slides 'AlexNet: ablation study'",
    measure="error on ImageNet; the lecture does not say of which kind",
    unit="percentage points",
    drops={"without_7": 1.1, "without_6_7": 5.7, "without_3_4": 3.0, "without_3_4_6_7": 33.5},
    parameters_removed={"without_7": 16e6, "without_6_7": 50e6, "without_3_4": 1e6},
)

TOP_5 = Published(
    short="Zeiler & Fergus, top-5",
    source=_ZEILER_FERGUS,
    measure="top-5 validation error on ImageNet, each network trained from scratch",
    unit="percentage points",
    drops={"without_7": 0.3, "without_6_7": 4.3, "without_3_4": 4.0, "without_3_4_6_7": 32.0},
    parameters_removed={},
    note="The full network has 18.1 % error.",
)

TOP_1 = Published(
    short="Zeiler & Fergus, top-1",
    source=_ZEILER_FERGUS,
    measure="top-1 validation error on ImageNet, the same networks",
    unit="percentage points",
    drops={"without_7": -0.5, "without_6_7": 4.3, "without_3_4": 4.9, "without_3_4_6_7": 30.8},
    parameters_removed={},
    note=(
        "The full network has 40.5 % error. Here the order differs: without 7 is better "
        "than the full network, and without 3, 4 is worse than without 6, 7."
    ),
)

DEPTH_BUYS = Claim("removing layers 3, 4, 6 and 7 raises test error", "without_3_4_6_7", "full")

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    variants={
        "without_7": without_7,
        "without_6_7": without_6_7,
        "without_3_4": without_3_4,
        "without_3_4_6_7": without_3_4_6_7,
        "without_3_4_6_7_wide": Treatment(network=without_3_4_6_7_wide),
    },
    labels={
        "without_7": "without 7",
        "without_6_7": "without 6, 7",
        "without_3_4": "without 3, 4",
        "without_3_4_6_7": "without 3, 4, 6, 7",
        "without_3_4_6_7_wide": "without 3, 4, 6, 7, widened",
    },
    budgets={
        "smoke": Budget(only=("without_7", "without_6_7", "without_3_4", "without_3_4_6_7")),
        "digits": Budget({"most_seeds": 8}),
    },
    published=(LECTURE, TOP_5, TOP_1),
    claims=(
        Claim("removing layer 7 raises test error", worse="without_7", better="full"),
        Claim(
            "removing layers 3 and 4 raises test error more than removing 7",
            "without_3_4",
            "without_7",
        ),
        Claim(
            "removing layers 6 and 7 raises test error more than removing 3 and 4",
            "without_6_7",
            "without_3_4",
        ),
        Claim(
            "removing layers 3, 4, 6 and 7 raises test error more than removing 6 and 7",
            "without_3_4_6_7",
            "without_6_7",
        ),
    ),
    expectations=(
        DEPTH_BUYS,
        Claim(
            "removing layers 3, 4, 6 and 7 raises test error more than removing 3 and 4",
            "without_3_4_6_7",
            "without_3_4",
        ),
        Claim(
            "at equal parameters, removing layers 3, 4, 6 and 7 raises test error",
            "without_3_4_6_7_wide",
            "full",
        ),
    ),
    decides=DEPTH_BUYS,
    full_size=Inputs(image_size=227, channels=3, classes=1000),
)
