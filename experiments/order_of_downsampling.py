"""Order of down-sampling: more channels first, smaller maps first, or both at once.

Question: Where maps halve and channels double, what comes first? One small body whose reductions
are: a convolution that doubles the channels and then a pool; the pool and then the convolution; a
convolution with stride 2 that does both; such a convolution beside a pool, concatenated; and a
rearrangement of 2x2 pixels into channels before the convolution, which throws nothing away.

Source: The lectures (Redfern 2018, "Design"), "Body: weak features to strong features": "Project
idea: investigate ordering of channel increase and down sampling for classification and
segmentation". Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the inception
architecture for computer vision, section 5. Segmentation is not looked at here.

Prediction: Szegedy et al. (2016) hold that a pool in front is a representational bottleneck, that a
convolution in front avoids it and costs about three times as much, and that a strided convolution
beside a pool avoids it at a low cost. The lecture states no order. On small images with maximum
pooling we expect the order to matter less than the multiply-accumulates: the convolution in front,
which sees all pixels, and the rearranged pixels, which cost as much, have the lowest error; the
parallel branches, narrowed to the parameters of the pool in front (of equal width they have 1.5
times as many), have no higher error than it.

Command: make experiment NAME=order_of_downsampling [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from collections.abc import Callable
from functools import partial

from ablax.core import (
    Layers,
    Network,
    Sequential,
    count_parameters,
    of_equal_cost,
    sequential,
)
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    GlobalAveragePool,
    MaxPool,
    Parallel,
    ReLU,
    SpaceToDepth,
)
from ablax.report.study import Claim

Reduction = Callable[[int], Sequential]
"""From the number of channels c to layers that halve the maps and give 2 c."""


def convolution(features: int, stride: int = 1) -> Sequential:
    """A 3x3 convolution, batch normalization and ReLU."""
    conv = Convolution(features, 3, stride=stride, use_bias=False)
    return sequential(conv=conv, bn=BatchNormalization(), relu=ReLU())


def expand_then_pool(channels: int) -> Sequential:
    """9 c x 2c weights at each pixel: four times the cost of the next."""
    return sequential(expand=convolution(2 * channels), pool=MaxPool(2, 2))


def pool_then_expand(channels: int) -> Sequential:
    """Between the two, half of the elements of the other orders: the bottleneck."""
    return sequential(pool=MaxPool(2, 2), expand=convolution(2 * channels))


def strided(channels: int) -> Sequential:
    """Both at once."""
    return sequential(expand=convolution(2 * channels, stride=2))


def parallel(channels: int) -> Sequential:
    """Half of the channels from a strided convolution and half from a pool."""
    branches = Layers(conv=convolution(channels, stride=2), pool=sequential(pool=MaxPool(2, 2)))
    return sequential(branches=Parallel(branches))


def rearranged(channels: int) -> Sequential:
    """Nothing is thrown away; the convolution costs as much as one in front of a pool."""
    return sequential(rearrange=SpaceToDepth(2), expand=convolution(2 * channels))


def reductions(image_size: int) -> int:
    """At most three, as long as sizes are even and maps of at least 3 pixels are left."""
    count = 0
    while count < 3 and image_size % 2 == 0 and image_size >= 6:
        count, image_size = count + 1, image_size // 2
    return count


def with_reduction(reduction: Reduction) -> Callable[[Inputs], Network]:
    """What builds the body with that reduction, each behind a convolution that keeps the size."""
    return lambda inputs: of_width(reduction, inputs, max(1, round(32 * inputs.width)))


def narrowed(inputs: Inputs) -> Network:
    """Parallel branches, with nearly the parameters of the pool in front."""
    parameters = partial(count_parameters, image_shape=inputs.image_shape)

    wanted = parameters(with_reduction(pool_then_expand)(inputs))
    return of_equal_cost(lambda first: of_width(parallel, inputs, first), parameters, wanted)


def of_width(reduction: Reduction, inputs: Inputs, first: int) -> Network:
    """The body with so many channels in its first convolution."""
    channels, body = first, {}
    for stage in range(1, reductions(inputs.image_size) + 1):
        body[f"stage{stage}"] = convolution(channels)
        body[f"reduce{stage}"] = reduction(channels)
        channels *= 2
    return Network(
        tail=Layers(first=convolution(first)),
        body=Layers(body),
        head=Layers(average=GlobalAveragePool(), scores=Dense(inputs.classes)),
    )


ORDER = Claim(
    "halving the maps before doubling the channels has a higher test error than the other order",
    worse="pool_then_expand",
    better="expand_then_pool",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=with_reduction(expand_then_pool),
    baseline="expand_then_pool",
    variants={
        "pool_then_expand": Treatment(network=with_reduction(pool_then_expand)),
        "strided": Treatment(network=with_reduction(strided)),
        "parallel": Treatment(network=narrowed),
        "rearranged": Treatment(network=with_reduction(rearranged)),
    },
    labels={
        "expand_then_pool": "expand, then pool",
        "pool_then_expand": "pool, then expand",
        "strided": "strided convolution",
        "parallel": "strided beside pool, narrowed",
        "rearranged": "space to depth, then 3x3",
    },
    budgets={
        "smoke": Budget(
            fields={"data.image_size": 16, "width": 0.125}, only=("pool_then_expand", "parallel")
        ),
        "digits": Budget(
            fields={
                "data.image_size": 24,
                "augment.translate": 1.5,
                "train.epochs": 30,
                "width": 0.125,
            }
        ),
    },
    claims=(
        ORDER,
        Claim(
            "pooling first has a higher test error than a strided convolution beside a pool",
            "pool_then_expand",
            "parallel",
        ),
    ),
    expectations=(
        Claim(
            "a strided convolution has a higher test error than a full one and a pool",
            "strided",
            "expand_then_pool",
        ),
        Claim(
            "pooling first has a higher test error than space to depth",
            "pool_then_expand",
            "rearranged",
        ),
    ),
    decides=ORDER,
)
