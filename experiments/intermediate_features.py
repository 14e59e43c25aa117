"""Intermediate features: a linear classifier on every layer of AlexNet.

Question: Do the features of a network become more linearly separable, layer by layer; are they
better than features made by hand; and are they better on images of another kind? A linear SVM and
softmax regression are fitted to the features of each layer, to pixels, and to histograms of
oriented gradients.

Source: The lecture (Risteski 2020, lecture 4), slide "AlexNet: intermediate features", after R.
Fergus. The experiment is that of Zeiler and Fergus (2014), Visualizing and understanding
convolutional networks, section 5.3 and table 7: the network has learned from ImageNet, and the
classifiers are fitted to its features of Caltech-101 and Caltech-256. Features made by hand are
what Xing (2020, lecture 10) begins with; Dalal and Triggs (2005) are those of the time.

Prediction: On small images we expect that the error falls from layer to layer up to about the fifth
and is flat from there; that without training it rises with depth instead; that layer 5, trained, is
better than untrained, and better than histograms of gradients, by one to three points. On other
data (from clothes to digits, or back) we expect the reverse of the lecture's order: a narrow
network that has seen only ten classes of one kind keeps in layer 7 what tells those apart, so that
layer 7 is worse than layer 1, though better than untrained. The lecture's accuracy rises from layer
1 to 7 on both data sets, from 44.8 to 85.5 and from 24.6 to 71.7 %, with layer 5 already at 86.2 on
Caltech-101.

Command: make experiment NAME=intermediate_features [CONFIG=smoke|digits|clothes|fashion_mnist]

Cost: half a minute for smoke on 2 CPU cores; for clothes not measured yet in this form.
"""

from ablax.core import Network
from ablax.experiment import Experiment, Inputs
from ablax.measurements.probes import PublishedProbes, layer_probes, transfer
from ablax.report.study import Claim
from ablax.zoo import alexnet_for


def network(inputs: Inputs) -> Network:
    """AlexNet in the form that fits the images."""
    return alexnet_for(inputs.image_size, inputs.classes, inputs.width)


LAYERS = {1: "pool1", 2: "pool2", 3: "conv3", 4: "conv4", 5: "pool5", 6: "fc6", 7: "fc7"}
"""As the lecture counts them: 1, 2 and 5 are "Conv + Pool"."""

_LECTURE = (
    "Risteski (2020), Deep learning, lecture 4, slide 'AlexNet: intermediate features', as in "
    "Zeiler and Fergus (2014), table 7; the network had learned from ImageNet"
)

CALTECH_101 = PublishedProbes(
    short="Caltech-101",
    source=f"{_LECTURE}; 30 training images of each class",
    accuracies={
        ("svm", 1): (44.8, 0.7),
        ("svm", 2): (66.2, 0.5),
        ("svm", 3): (72.3, 0.4),
        ("svm", 4): (76.6, 0.4),
        ("svm", 5): (86.2, 0.8),
        ("svm", 7): (85.5, 0.4),
        ("softmax", 5): (82.9, 0.4),
        ("softmax", 7): (85.4, 0.4),
    },
)

CALTECH_256 = PublishedProbes(
    short="Caltech-256",
    source=f"{_LECTURE}; 60 training images of each class",
    accuracies={
        ("svm", 1): (24.6, 0.4),
        ("svm", 2): (39.6, 0.3),
        ("svm", 3): (46.0, 0.3),
        ("svm", 4): (51.3, 0.1),
        ("svm", 5): (65.6, 0.3),
        ("svm", 7): (71.7, 0.2),
        ("softmax", 5): (65.7, 0.5),
        ("softmax", 7): (72.6, 0.1),
    },
)

DEEPER_IS_BETTER = Claim(
    "a linear SVM has a lower test error on layer 7 than on layer 1",
    worse="full:svm_1",
    better="full:svm_7",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    variants={},
    labels={"full": "AlexNet"},
    claims=(
        DEEPER_IS_BETTER,
        Claim(
            "a linear SVM has a lower test error on layer 2 than on layer 1",
            "full:svm_1",
            "full:svm_2",
        ),
        Claim(
            "a linear SVM has a lower test error on layer 3 than on layer 2",
            "full:svm_2",
            "full:svm_3",
        ),
        Claim(
            "a linear SVM has a lower test error on layer 4 than on layer 3",
            "full:svm_3",
            "full:svm_4",
        ),
        Claim(
            "a linear SVM has a lower test error on layer 5 than on layer 4",
            "full:svm_4",
            "full:svm_5",
        ),
        Claim(
            "softmax regression has a lower test error on layer 7 than on layer 5",
            "full:softmax_5",
            "full:softmax_7",
        ),
        Claim(
            "on other data the test error is lower on layer 7 than on layer 1",
            "full:transfer_1",
            "full:transfer_7",
        ),
    ),
    decides=DEEPER_IS_BETTER,
    expectations=(
        Claim(
            "a linear SVM has a higher test error on histograms of oriented gradients than on "
            "layer 5",
            "full:svm_hog",
            "full:svm_5",
        ),
        Claim(
            "on other data the test error is higher on layer 5 than on histograms of gradients",
            "full:transfer_5",
            "full:transfer_hog",
        ),
        Claim(
            "without training, a linear SVM has a higher test error on layer 7 than on layer 1",
            "full:untrained_svm_7",
            "full:untrained_svm_1",
        ),
        Claim(
            "training lowers the test error of a linear SVM on layer 5",
            "full:untrained_svm_5",
            "full:svm_5",
        ),
        Claim(
            "on other data the test error is higher on layer 7 than on layer 1",
            "full:transfer_7",
            "full:transfer_1",
        ),
        Claim(
            "training lowers the test error on other data on layer 7",
            "full:untrained_transfer_7",
            "full:transfer_7",
        ),
    ),
    measurements=(
        layer_probes(LAYERS, published=(CALTECH_101, CALTECH_256)),
        transfer(
            LAYERS,
            to=("digits", "clothes"),
            published=(CALTECH_101, CALTECH_256),
        ),
    ),
    recipe="clothes",
    full_size=Inputs(image_size=227, channels=3, classes=1000),
)
