"""Tiny: a run of seconds that writes every kind of file a results folder has.

Question: does a second layer lower the test error of a network that hardly learns?

Source: none; it is there to be killed.

Prediction: no difference, within 50 percentage points.
"""

from ablax import Experiment, Layers, Network
from ablax.core import remove, sequential
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.measurements.measurement import Measurement
from ablax.report.study import Section


def network(inputs):
    """Two small convolutions and an average."""
    return Network(
        Layers(conv1=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        Layers(conv2=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        Layers(pool=GlobalAveragePool(), output=Dense(inputs.classes)),
    )


def sizes(model, sample):
    """A row a kernel."""
    kernel = model.variables["params"]["conv1"]["conv"]["kernel"]
    return [{"largest": float(abs(kernel).max()), "images": len(sample.test)}]


EXPERIMENT = Experiment(
    __doc__,
    network,
    {"cut": remove("conv2")},
    measurements=(
        Measurement("sizes", sizes, Section("Sizes of weights"), moments=("training", "end")),
    ),
)
