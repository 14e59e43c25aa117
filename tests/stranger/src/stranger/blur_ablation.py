"""Blurred pools: does a blur before subsampling make shifts harmless?

Question: Does a network with plain max pools err more on shifted images than one that blurs before
it subsamples?

Source: Zhang (2019), Making convolutional networks shift-invariant again.

Prediction: On shifted images plain max pools err more; on images as they are we expect no
difference that few seeds could show.
"""

from ablax.core import Network
from ablax.experiment import Experiment, Inputs
from ablax.measurements.robustness import shift_error
from ablax.report.study import Claim
from stranger.networks import tiny_net, without_blur


def network(inputs: Inputs) -> Network:
    """The network at the width of the recipe."""
    return tiny_net(inputs.classes, max(1, round(64 * inputs.width)))


EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    variants={"without_blur": without_blur},
    claims=(
        Claim("shifted by 1 pixel, plain pools err more", "without_blur:shift_1", "full:shift_1"),
    ),
    measurements=(shift_error((1,)),),
)
