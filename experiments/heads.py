"""Heads: from the last maps of one body to class scores, in eight ways.

Question: What does the head cost and what does it buy? One residual body with eight heads:
vectorize (linear, and with a hidden layer), global average pool, a 1x1 convolution to class maps
and their average, the three combinations of idea 1 (classify every pixel, then average, vote, or
combine as learned), and idea 2 (weight the pixels by position before the average). The average of
pixel *scores* is the global average pool itself, because both are linear; averaged here are
probabilities. Compared by test error, parameters, memory, and robustness to shifts and to other
image sizes.

Source: The lectures (Redfern 2018, "Design"), "Feature map to feature vector transform" and "2 head
design ideas".

Prediction: On centered digits position is informative and the body is narrow, so vectorize has the
lowest error where nothing is shifted, and learned weights by position a lower one than the plain
average; at a shift of 6 pixels vectorize has the highest error, because its weights stay where they
were. A vote has a higher error than an average: it discards confidence. SqueezeNet's head, a ReLU
on class maps in front of their average, does as well as the average of scores. In a former run with
four seeds and other labels the learned combination was worse than the average of scores, so we
expect that again. Images of 1.5 times their size cost every head that takes them many percentage
points, because the body has learned one size of strokes. The lecture states no order of errors. It
says that vectorize is more complex and takes more memory, is probably redundant and perhaps
therefore trained with dropout; that the pixel heads take as much memory as the average; it asks
whether anything combines pixels better than their average, and whether the center counts more than
the edge.

Command: make experiment NAME=heads [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from ablax.core import Network, with_head
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.measurements.heads import head_memory, place_weights
from ablax.measurements.robustness import shift_error, size_error
from ablax.report.study import Claim
from ablax.zoo import heads
from ablax.zoo.resnet import resnet_cifar


def network(inputs: Inputs) -> Network:
    """ResNet-20, or ResNet-8 for small images: last maps of a quarter of the image, no dropout."""
    depth = 20 if inputs.image_size >= 28 else 8
    return resnet_cifar(depth, inputs.classes, features=max(1, round(16 * inputs.width)))


def vectorize_hidden(inputs: Inputs) -> Network:
    """The body with a hidden layer of 256 units times the width, and dropout of 0.5 behind it."""
    units = max(1, round(256 * inputs.width))
    return with_head(heads.vectorize(inputs.classes, (units,), dropout=0.5))(network(inputs))


def vectorize(inputs: Inputs) -> Network:
    """The body with one weight for each feature, pixel and class."""
    return with_head(heads.vectorize(inputs.classes, ()))(network(inputs))


def convolution(inputs: Inputs) -> Network:
    """The body with SqueezeNet's head: class maps, a ReLU, their average; no dropout."""
    return with_head(heads.convolution(inputs.classes, dropout=0.0))(network(inputs))


def pixel_average(inputs: Inputs) -> Network:
    """The body with idea 1, averaged."""
    return with_head(heads.pixel_average(inputs.classes))(network(inputs))


def pixel_vote(inputs: Inputs) -> Network:
    """The body with idea 1, by majority."""
    return with_head(heads.pixel_vote(inputs.classes))(network(inputs))


def pixel_learned(inputs: Inputs) -> Network:
    """The body with idea 1, combined as learned."""
    return with_head(heads.pixel_learned(inputs.classes))(network(inputs))


def spatial_weights(inputs: Inputs) -> Network:
    """The body with idea 2."""
    return with_head(heads.spatial_weights(inputs.classes))(network(inputs))


WEIGHED = Claim(
    "weighting pixels by position before the average (idea 2) lowers test error",
    worse="global_average_pool",
    better="spatial_weights",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="global_average_pool",
    variants={
        "vectorize": Treatment(network=vectorize),
        "vectorize_hidden": Treatment(network=vectorize_hidden),
        "convolution": Treatment(network=convolution),
        "pixel_average": Treatment(network=pixel_average),
        "pixel_vote": Treatment(network=pixel_vote),
        "pixel_learned": Treatment(network=pixel_learned),
        "spatial_weights": Treatment(network=spatial_weights),
    },
    labels={
        "vectorize_hidden": "vectorize, hidden layer",
        "convolution": "1x1 convolution, average",
    },
    budgets={
        "smoke": Budget(
            fields={"data.image_size": 16, "width": 0.25},
            only=("vectorize", "spatial_weights"),
        ),
        "digits": Budget(
            fields={
                "data.image_size": 24,
                "augment.translate": 1.5,
                "train.epochs": 30,
                "width": 0.5,
                "most_seeds": 12,
            }
        ),
    },
    claims=(
        WEIGHED,
        Claim(
            "a learned combination of pixel scores (idea 1) has a lower test error than "
            "their average",
            worse="global_average_pool",
            better="pixel_learned",
        ),
        Claim(
            "the center has a larger weight than the edge",
            worse="spatial_weights:center_weight",
            better="spatial_weights:edge_weight",
        ),
    ),
    expectations=(
        Claim(
            "the average has a higher test error than vectorize", "global_average_pool", "vectorize"
        ),
        Claim(
            "a learned combination of pixels has a higher test error than the average of scores",
            "pixel_learned",
            "global_average_pool",
        ),
        Claim(
            "class maps with a ReLU have a higher test error than the average of scores",
            "convolution",
            "global_average_pool",
        ),
        Claim("a vote has a higher test error than an average", "pixel_vote", "pixel_average"),
        Claim(
            "shifted by 6 pixels, vectorize has a higher test error than the average",
            worse="vectorize:shift_6",
            better="global_average_pool:shift_6",
        ),
        Claim(
            "images of 1.5 times their size raise the test error of the average",
            worse="global_average_pool:size_1_5",
            better="global_average_pool",
        ),
    ),
    decides=WEIGHED,
    measurements=(
        head_memory(),
        shift_error((1, 2, 4, 6)),
        size_error((0.75, 1.25, 1.5, 2.0)),
        place_weights(only=("pixel_learned", "spatial_weights")),
    ),
)
