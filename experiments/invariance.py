"""Invariance: images shifted, scaled, rotated and lit differently, seen by each layer.

Question: What is AlexNet's output invariant to? Test images are shifted, scaled, rotated and
changed in brightness by growing amounts: how far do the features of each layer move, and how does
the score of the true class fall? Does a network owe its invariance to max pooling, or to the
augmentation of its training images?

Source: The lecture (Risteski 2020, lecture 4), slides "AlexNet: translation invariance", "scaling
invariance" and "rotation invariance", after R. Fergus. The experiment is that of Zeiler and Fergus
(2014), Visualizing and understanding convolutional networks, section 4.1 and figure 5, on ImageNet;
light, and the variants, are ours.

Prediction: Small shifts move layer 1 farther than layer 7, in distances between two images, and so
does scale; both curves bend early at layer 1 (half of its way within 2 pixels) and rise evenly at
layer 7. Turning ruins the score, with a local recovery near 180 degrees, where 0, 1 and 8 look
alike. We expect the distortions of the training images to matter more than the kind of pooling:
without them the error under small shifts rises by more than 5 percentage points over that of the
untouched images, with them by less than 3; average pooling moves layer 1 less than max pooling and
changes the error by little. The distortions move and turn, so they do not help against light: a
gray background (offset) costs more than dim or bright strokes (gain). Before training the first
layer moves farther too, because pools and windows alone make features smooth; training on distorted
images makes the last layer move less than it did. Zeiler and Fergus (2014) report that small
transformations have a dramatic effect in the first layer and a lesser one at the top, nearly linear
for translation and scaling, and that the output is stable to translations and scalings, but in
general not to rotation.

Command: make experiment NAME=invariance [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from ablax.core import Network, compose, replace
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import AveragePool
from ablax.measurements.invariance import invariance
from ablax.report.study import Claim
from ablax.zoo import alexnet_for


def network(inputs: Inputs) -> Network:
    """AlexNet in the form that fits the images."""
    return alexnet_for(inputs.image_size, inputs.classes, inputs.width)


average_pooling = compose(
    replace("pool1", AveragePool(3, 2)),
    replace("pool2", AveragePool(3, 2)),
    replace("pool5", AveragePool(3, 2)),
)

UNDISTORTED = {
    "augment.crop_padding": 0,
    "augment.flip": False,
    "augment.rotate": 0.0,
    "augment.scale": 0.0,
    "augment.translate": 0.0,
    "augment.elastic": 0.0,
    "augment.noise": 0.0,
    "augment.brightness": 0.0,
    "augment.contrast": 0.0,
    "augment.saturation": 0.0,
}

FIRST_MOVES_MORE = Claim(
    "small shifts move the features of the first layer farther than those of the last",
    worse="max_distorted:translation_first",
    better="max_distorted:translation_last",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    baseline="max_distorted",
    variants={
        "average_distorted": average_pooling,
        "max_plain": Treatment(fields=UNDISTORTED),
        "average_plain": Treatment(edit=average_pooling, fields=UNDISTORTED),
    },
    labels={
        "max_distorted": "max pooling, distorted images",
        "average_distorted": "average pooling, distorted images",
        "max_plain": "max pooling, plain images",
        "average_plain": "average pooling, plain images",
    },
    budgets={
        "smoke": Budget(fields={"data.image_size": 16}, only=("average_plain",)),
        "digits": Budget({"most_seeds": 8}),
    },
    measurements=(
        invariance(
            layers=("pool1", "pool5", "fc7"),
            panels={
                "trained on distorted images": ("max_distorted", "average_distorted"),
                "trained on plain images": ("max_plain", "average_plain"),
            },
            note=(
                "The layers are 1, 5 and 7, the first two behind their pooling. Of the digits, the "
                "test images are themselves distorted, within the ranges that distorted training "
                "images are drawn from, and the transformation comes on top; plain training images "
                "stand upright and centered, so networks trained on them have a higher error "
                "on untransformed test images already."
            ),
        ),
    ),
    claims=(
        FIRST_MOVES_MORE,
        Claim(
            "small changes of scale move the features of the first layer farther than those "
            "of the last",
            worse="max_distorted:scale_first",
            better="max_distorted:scale_last",
        ),
        Claim(
            "rotation by any angle raises test error more than shifts of up to a quarter of "
            "the height",
            worse="max_distorted:rotation_wide_error",
            better="max_distorted:translation_wide_error",
        ),
        Claim(
            "rotation by any angle raises test error more than scaling by up to 1.8",
            worse="max_distorted:rotation_wide_error",
            better="max_distorted:scale_wide_error",
        ),
    ),
    expectations=(
        Claim(
            "small shifts raise test error more without augmentation of the training images",
            worse="max_plain:translation_increase",
            better="max_distorted:translation_increase",
        ),
        Claim(
            "under small shifts, omitting augmentation raises test error more than average "
            "pooling does",
            worse="max_plain:translation_increase",
            better="average_distorted:translation_increase",
        ),
        Claim(
            "small shifts move the first layer farther with max pooling than with average pooling",
            worse="max_distorted:translation_first",
            better="average_distorted:translation_first",
        ),
        Claim(
            "before training, too, small shifts move the first layer farther than the last",
            worse="max_distorted:untrained_translation_first",
            better="max_distorted:untrained_translation_last",
        ),
        Claim(
            "small shifts move the last layer farther before training than after it",
            worse="max_distorted:untrained_translation_last",
            better="max_distorted:translation_last",
        ),
        Claim(
            "a brightness offset raises test error more than a brightness factor",
            worse="max_distorted:offset_error",
            better="max_distorted:gain_error",
        ),
    ),
    decides=FIRST_MOVES_MORE,
    full_size=Inputs(image_size=227, channels=3, classes=1000),
)
