"""Pooling: maximum, average, a stride or nothing; windows that overlap or not.

Question: Which pooling, and is any needed? A plain network with overlapping 3x3/2 max pools; with
2x2/2 ones; with averages in their place; with a stride in the convolution in front; with a strided
convolution of its own in their place; and with full-size maps up to the head. Compared by test
error, cost, and error on shifted images, because pooling is said to make small shifts harmless.

Source: The lectures (Risteski 2020, lecture 4, "Why pooling?"; Xing 2020, lecture 10, "Pooling
layers"). The network and the variants with strides are Model C, Strided-CNN-C and All-CNN-C of
Springenberg, Dosovitskiy, Brox and Riedmiller (2015), Striving for simplicity: the all
convolutional net. Overlapping windows are from Krizhevsky, Sutskever and Hinton (2012), ImageNet
classification, section 3.4; maximum against average from Boureau, Ponce and LeCun (2010), A
theoretical analysis of feature pooling in visual recognition.

Prediction: The papers find overlapping windows a little better than non-overlapping ones, maxima
better than averages, a stride alone worse than pooling, and a strided convolution no worse than it.
On small images we expect max and average, overlapping or not, to lie too close together to be
distinguished, and a stride alone to have the highest error of those that shrink the maps. At shifts
of 3 of 16 pixels every network that vectorizes has a high error, and full-size maps the highest:
one weight per pixel knows where everything was. Behind a global average the opposite holds: without
pooling only the border can tell where a feature is, so the network without pools minds shifts
least; its maps see too little of the image at once, so its error is higher where nothing is
shifted.

Command: make experiment NAME=pooling [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form. The rate,
the width and the epochs of the digits were set by the training losses of three pilot runs with one
seed; full-size maps behind a global average were the last to flatten.
"""

from ablax.core import (
    Edit,
    Layers,
    Network,
    Sequential,
    compose,
    edit,
    remove,
    replace,
    sequential,
    with_head,
)
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import AveragePool, Convolution, MaxPool, ReLU
from ablax.measurements.robustness import shift_error
from ablax.report.study import Claim
from ablax.zoo import heads

POOLS = ("pool1", "pool2")
BEFORE_POOLS = ("conv1_2/conv", "conv2_2/conv")


def features(inputs: Inputs) -> int:
    """Of the first stage: the paper's 96 times the width; the second has twice as many."""
    return max(1, round(96 * inputs.width))


def convolution(features: int, window: int = 3, stride: int = 1) -> Sequential:
    """A convolution padded to keep the size, and ReLU."""
    return sequential(conv=Convolution(features, window, stride=stride), relu=ReLU())


def network(inputs: Inputs) -> Network:
    """Model C's layers, max pools padded so that they halve any size, and a linear head.

    Instead of the paper's 1x1 convolution to class maps, and their average, a dense layer sees all
    places, so that pooling alone decides how much a shift matters.
    """
    few = features(inputs)
    pool = MaxPool(3, 2, padding="SAME")
    return Network(
        tail=Layers(conv1_1=convolution(few), conv1_2=convolution(few), pool1=pool),
        body=Layers(
            conv2_1=convolution(2 * few),
            conv2_2=convolution(2 * few),
            pool2=pool,
            conv3_1=convolution(2 * few),
            conv3_2=convolution(2 * few, window=1),
        ),
        head=heads.vectorize(inputs.classes, ()),
    )


def pooled(pool: MaxPool | AveragePool) -> Edit:
    """Another pool in both places."""
    return compose(*(replace(name, pool) for name in POOLS))


without_pools = remove(*POOLS)


def stepping(network: Network) -> Network:
    """Strides of 2 in the convolutions in front of the pools."""
    return edit(
        network,
        lambda path, layer: Layers(conv=layer.copy(stride=2)) if path in BEFORE_POOLS else None,
    )


def convolved(inputs: Inputs) -> Network:
    """A 3x3/2 convolution and ReLU in the place of each pool, as wide as what it pools."""
    few = features(inputs)
    first, second = (convolution(wide, stride=2) for wide in (few, 2 * few))
    return compose(replace("pool1", first), replace("pool2", second))(network(inputs))


def max_global(inputs: Inputs) -> Network:
    """The baseline with a global average pool as its head."""
    return with_head(heads.global_average_pool(inputs.classes))(network(inputs))


def none_global(inputs: Inputs) -> Network:
    """The same without pools: maps of full size, then their average."""
    return without_pools(max_global(inputs))


STRIDE_COSTS = Claim(
    "a stride in place of overlapping max pooling raises test error", "strided", "max_overlapping"
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="max_overlapping",
    variants={
        "max_apart": pooled(MaxPool(2, 2, padding="SAME")),
        "average_overlapping": pooled(AveragePool(3, 2, padding="SAME")),
        "average_apart": pooled(AveragePool(2, 2, padding="SAME")),
        "strided": compose(stepping, without_pools),
        "convolved": Treatment(network=convolved),
        "none": without_pools,
        "max_global": Treatment(network=max_global),
        "none_global": Treatment(network=none_global),
    },
    labels={
        "max_overlapping": "max 3x3/2",
        "max_apart": "max 2x2/2",
        "average_overlapping": "average 3x3/2",
        "average_apart": "average 2x2/2",
        "strided": "stride in the convolution before",
        "convolved": "strided convolution as a pool",
        "none": "no pooling",
        "max_global": "max 3x3/2, global average head",
        "none_global": "no pooling, global average head",
    },
    budgets={
        "smoke": Budget(
            fields={"data.image_size": 16},
            only=("strided", "none_global"),
        ),
        "digits": Budget(
            fields={
                "data.image_size": 16,
                "augment.translate": 1.0,
                "optimizer.rate": 0.01,
            }
        ),
    },
    claims=(
        STRIDE_COSTS,
        Claim(
            "non-overlapping windows have a higher test error than overlapping ones",
            "max_apart",
            "max_overlapping",
        ),
        Claim(
            "average pooling has a higher test error than max pooling",
            "average_overlapping",
            "max_overlapping",
        ),
        Claim(
            "shifted by 2 pixels, a stride alone has a higher test error than max pooling",
            worse="strided:shift_2",
            better="max_overlapping:shift_2",
        ),
    ),
    expectations=(
        Claim(
            "shifted by 2 pixels, no pooling has a higher test error than max pooling",
            worse="none:shift_2",
            better="max_overlapping:shift_2",
        ),
        Claim(
            "with global average pooling, shifted by 3 pixels, max pooling raises test error",
            worse="max_global:shift_3",
            better="none_global:shift_3",
        ),
        Claim(
            "with global average pooling, no pooling has a higher test error than max pooling",
            worse="none_global",
            better="max_global",
        ),
    ),
    decides=STRIDE_COSTS,
    measurements=(shift_error((1, 2, 3)),),
)
