"""Separable convolutions: mixing space and channels together, apart, in groups, or by shifting.

Question: What is lost, and what is saved, when a 3x3 convolution over all channels is replaced by
something with fewer weights? One small body of six 3x3 layers; depthwise separable convolutions,
convolutions in four groups with and without a channel shuffle, and shifts with 1x1 convolutions
stand in their place at equal width; and a standard network narrowed to the parameters of the
depthwise separable one.

Source: The lecture (Redfern 2018, "Design"): "3x3 mixes across space, 1x1 mixes across channel",
MobileNet, ShuffleNet and ShiftNet; after Howard et al. (2017), MobileNets, section 3.1, Zhang,
Zhou, Lin and Sun (2017), ShuffleNet, section 3.1, and Wu et al. (2017), Shift, section 3.

Prediction: At equal width the standard network has the lowest error, or one that cannot be
distinguished from it; depthwise separable comes close with an eighth of the multiply-accumulates;
at equal parameters it has a lower error than the standard network narrowed. A shuffle lowers the
error of groups, which without it cannot learn of each other behind the first layer. Shifts have a
higher error than depthwise convolutions: there is nothing to learn in them. None of this need save
time: on a CPU we expect a depthwise separable step to take more than a third of a standard one in
spite of its eighth of the products, and groups to save nothing, because narrow matrices do not fill
the processor. The lecture says that little is lost, and that there is less reuse of feature maps in
the computation, hence good for a vector architecture and inefficient for a matrix architecture;
ShuffleNet's authors find that shuffling lowers the error at every number of groups.

Command: make experiment NAME=separable [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from collections.abc import Callable
from functools import cache, partial

from ablax.core import (
    Layers,
    Network,
    Sequential,
    count_parameters,
    of_equal_cost,
    sequential,
)
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import ReLU
from ablax.layers.convolution import Shift
from ablax.layers.normalization import normalized
from ablax.layers.shape import ChannelShuffle
from ablax.measurements.times import step_time
from ablax.report.study import Claim
from ablax.zoo import heads, tails

GROUPS = 4

Unit = Callable[[int, int, int], Sequential]
"""From channels, features and stride to what mixes space and channels."""


def standard(channels: int, features: int, stride: int) -> Sequential:
    """3x3 over all channels: 9 C F weights."""
    del channels  # a convolution counts them itself
    return normalized(features, 3, stride, relu=ReLU())


def depthwise_separable(channels: int, features: int, stride: int) -> Sequential:
    """3x3 in each channel, then 1x1 over all: 9 C + C F weights."""
    return sequential(
        space=normalized(channels, 3, stride, groups=channels, relu=ReLU()),
        channels=normalized(features, 1, relu=ReLU()),
    )


def grouped(channels: int, features: int, stride: int) -> Sequential:
    """3x3 in four groups of channels, which never meet: 9 C F / 4 weights."""
    del channels
    return normalized(features, 3, stride, groups=GROUPS, relu=ReLU())


def shuffled(channels: int, features: int, stride: int) -> Sequential:
    """As `grouped`, and the channels of each group are dealt out to all groups."""
    return sequential(grouped=grouped(channels, features, stride), shuffle=ChannelShuffle(GROUPS))


def shifted(channels: int, features: int, stride: int) -> Sequential:
    """Nine parts of the channels move by a pixel each way, then 1x1 over all: C F weights."""
    del channels
    return sequential(shift=Shift(3), channels=normalized(features, 1, stride, relu=ReLU()))


def body(unit: Unit, features: int, inputs: Inputs) -> Network:
    """A 3x3 convolution, then three stages of two units: maps halve, features double."""
    layers, channels = {}, features
    for stage in range(3):
        for number in (1, 2):
            stride = 2 if stage and number == 1 else 1
            layers[f"unit{stage + 1}_{number}"] = unit(channels, features * 2**stage, stride)
            channels = features * 2**stage
    return Network(tails.cifar(features), Layers(layers), heads.global_average_pool(inputs.classes))


def width(inputs: Inputs) -> int:
    """Features of the first stage: 64 at width 1, divisible by the groups, enough to shift."""
    return max(12, GROUPS * round(64 / GROUPS * inputs.width))


def of_units(unit: Unit) -> Callable[[Inputs], Network]:
    """The network made of these units."""
    return lambda inputs: body(unit, width(inputs), inputs)


@cache
def narrow(inputs: Inputs) -> Network:
    """Standard, of the features at which it has nearly the parameters of the separable network."""
    parameters = partial(count_parameters, image_shape=inputs.image_shape)

    def built(features: int) -> Network:
        return body(standard, features, inputs)

    return of_equal_cost(built, parameters, parameters(of_units(depthwise_separable)(inputs)))


UNITS: dict[str, Unit] = {
    "depthwise_separable": depthwise_separable,
    "grouped": grouped,
    "shuffled": shuffled,
    "shifted": shifted,
}

PER_PARAMETER = Claim(
    "at equal parameters a standard network has a higher test error than a separable one",
    "standard_narrow",
    "depthwise_separable",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=of_units(standard),
    baseline="standard",
    variants={
        **{name: Treatment(network=of_units(unit)) for name, unit in UNITS.items()},
        "standard_narrow": Treatment(network=narrow),
    },
    labels={
        "depthwise_separable": "depthwise separable",
        "grouped": "4 groups",
        "shuffled": "4 groups, shuffled",
        "shifted": "shift and 1x1",
        "standard_narrow": "standard, narrow",
    },
    budgets={
        "smoke": Budget({"data.image_size": 12, "width": 0.25}, only=("shuffled",)),
        "digits": Budget(
            {
                "data.image_size": 16,
                "augment.translate": 1.0,
                "train.epochs": 32,
                "train.evaluate_every": 4,
                "width": 0.25,
            }
        ),
        "fashion_mnist": Budget({"train.epochs": 20, "train.evaluate_every": 5}),
    },
    claims=(
        PER_PARAMETER,
        Claim(
            "groups have a higher test error without a shuffle than with one", "grouped", "shuffled"
        ),
    ),
    expectations=(
        Claim(
            "at equal width separable convolutions have a higher test error than standard ones",
            "depthwise_separable",
            "standard",
        ),
        Claim(
            "shifts have a higher test error than depthwise convolutions",
            "shifted",
            "depthwise_separable",
        ),
        Claim(
            "training takes longer with separable convolutions than with standard ones of "
            "equal size",
            "depthwise_separable:seconds",
            "standard_narrow:seconds",
        ),
    ),
    decides=PER_PARAMETER,
    measurements=(step_time(),),
)
