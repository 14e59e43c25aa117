"""Weight sharing: one filter for all positions, one for each, or no positions at all.

Question: Does weight sharing pay, and when does it not: where features have a place, or where the
network is too small? Three layers of equally many units, which are convolutions, locally connected
(the same windows, each with weights of its own) or fully connected; and convolutions with three
times the features, still with fewer parameters than the locally connected layers. Trained on digits
that stand in the middle, where a feature at a place has a meaning of its own, and on digits that
may stand anywhere.

Source: The lectures (Risteski 2020, lecture 4, "Local connectivity"; Xing 2020, lecture 10,
"Convolution: problem": "sometimes it's not a good idea to do weight sharing! When?"). LeCun (1989),
Generalization and network design strategies, compares networks of the three kinds on small images
of digits, without distorted copies; those that share have more maps. The usual answer to "when" is:
where images are centered, as faces are, so that eyes are looked for where eyes are; Taigman, Yang,
Ranzato and Wolf (2014), DeepFace, have locally connected layers for aligned faces.

Prediction: The lecture expects sharing to lose where images are centered. LeCun (1989) finds that
less freedom generalizes better: locally connected layers have a lower error than fully connected
ones, and shared weights with more maps a lower one still. We had expected sharing to win everywhere
with so few digits; a pilot run with one seed, 60 epochs and no wider variant said otherwise: each
training image is randomly distorted at every step, nothing was overfitted, and at equal width the
freest layers had the lowest error, centered or not. The wider variants were added then, with this
prediction: they have a lower error than locally connected layers of more parameters, above all
where digits may stand anywhere, since what is learned at one place is known at all. So what looked
like place was capacity: what sharing gains over local layers, at more features and fewer
parameters, is larger where digits may stand anywhere (an interaction).

Command: make experiment NAME=weight_sharing [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form. Epochs of
the digits, and how far they are moved, were set by the training losses of pilot runs with one seed:
moved by 3 pixels, some were still falling after 80 epochs.
"""

from dataclasses import replace

from ablax.core import Layers, Network, replace_kind, sequential
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import Convolution, Dense, Flatten, LocallyConnected, ReLU
from ablax.measurements.robustness import shift_error
from ablax.report.study import Claim

STRIDES = (1, 2, 2)


def features(inputs: Inputs) -> tuple[int, int, int]:
    """Of the three layers, at each place: 16, 32 and 64 times the width."""
    few = max(1, round(16 * inputs.width))
    return few, 2 * few, 4 * few


def network(inputs: Inputs) -> Network:
    """Three 3x3 convolutions, two of them with stride 2, and a linear head that sees all places.

    No pooling and no normalization: both would share something over places.
    """
    first, *others = (
        sequential(conv=Convolution(number, 3, stride), relu=ReLU())
        for number, stride in zip(features(inputs), STRIDES, strict=True)
    )
    return Network(
        tail=Layers(layer1=first),
        body=Layers({f"layer{place}": layer for place, layer in enumerate(others, start=2)}),
        head=Layers(vectorize=Flatten(), scores=Dense(inputs.classes)),
    )


def wider(inputs: Inputs) -> Network:
    """Shared weights with three times the features."""
    return network(replace(inputs, width=3 * inputs.width))


def fully_connected(inputs: Inputs) -> Network:
    """The same units, each of which sees the whole layer below it."""
    layers, size = {}, inputs.image_size
    for place, (number, stride) in enumerate(zip(features(inputs), STRIDES, strict=True), start=1):
        size = -(-size // stride)
        layers[f"layer{place}"] = sequential(fc=Dense(size * size * number), relu=ReLU())
    return Network(
        tail=Layers(vectorize=Flatten()),
        body=Layers(layers),
        head=Layers(scores=Dense(inputs.classes)),
    )


locally_connected = replace_kind(
    Convolution, lambda shared: LocallyConnected(shared.features, shared.window, shared.stride)
)

# The test images of the digits are moved by up to 1 pixel of 16 themselves.
CENTERED = {"augment.crop_padding": 0, "augment.translate": 1.0}
ANYWHERE = {"augment.crop_padding": 0, "augment.translate": 2.5}

CENTERED_NEEDS_NO_SHARING = Claim(
    "on centered digits shared weights with 3 x the features, and fewer parameters, have a higher "
    "test error than locally connected layers",
    worse="wider",
    better="local",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="shared",
    variants={
        "wider": Treatment(network=wider),
        "local": locally_connected,
        "full": Treatment(network=fully_connected),
        "shared_anywhere": Treatment(fields=ANYWHERE),
        "wider_anywhere": Treatment(network=wider, fields=ANYWHERE),
        "local_anywhere": Treatment(edit=locally_connected, fields=ANYWHERE),
    },
    labels={
        "shared": "shared",
        "wider": "shared, 3 x features",
        "local": "locally connected",
        "full": "fully connected",
        "shared_anywhere": "shared, anywhere",
        "wider_anywhere": "shared, 3 x, anywhere",
        "local_anywhere": "local, anywhere",
    },
    budgets={
        "smoke": Budget(
            fields={"data.image_size": 16, "width": 0.125, **CENTERED},
            only=("full", "local_anywhere"),
        ),
        "digits": Budget(
            fields={
                "data.image_size": 16,
                "train.epochs": 80,
                "train.evaluate_every": 10,
                "width": 0.25,
                **CENTERED,
            }
        ),
        "fashion_mnist": Budget(fields=CENTERED),
        "cifar10": Budget(fields={"data.image_size": 16, "width": 0.5, **CENTERED}),
    },
    claims=(
        CENTERED_NEEDS_NO_SHARING,
        Claim(
            "fully connected layers have a higher test error than locally connected ones",
            "full",
            "local",
        ),
        Claim(
            "at equal width, with a twelfth of the parameters, shared weights have a higher test "
            "error than locally connected layers on centered digits",
            "shared",
            "local",
        ),
        Claim(
            "what sharing with 3 x the features gains over local layers is larger on digits "
            "anywhere than on centered ones",
            "local_anywhere - wider_anywhere",
            "local - wider",
        ),
    ),
    expectations=(
        Claim(
            "on digits anywhere, tested 1 pixel off, local layers have a higher test error "
            "than wider "
            "shared ones",
            worse="local_anywhere:shift_1",
            better="wider_anywhere:shift_1",
        ),
        Claim(
            "on digits anywhere, tested 1 pixel off, shared weights have a higher test error than "
            "local ones of equal width",
            worse="shared_anywhere:shift_1",
            better="local_anywhere:shift_1",
        ),
        Claim(
            "training on digits anywhere raises the test error of shared weights on centered ones",
            worse="shared_anywhere",
            better="shared",
        ),
    ),
    decides=CENTERED_NEEDS_NO_SHARING,
    measurements=(shift_error((1, 2, 3, 4)),),
)
