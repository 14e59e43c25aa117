"""Networks whose authors published them in Keras, with TensorFlow's padding and epsilon."""

from parity_case import Case

from ablax.weights.sources import find_source
from ablax.zoo.mobilenet import mobilenet_v1
from ablax.zoo.xception import xception


def mobilenet_v1_keras():
    """Ours as Keras has it."""
    return find_source("mobilenet_v1", "keras").change(mobilenet_v1())


def xception_keras():
    """Ours as Keras has it."""
    return find_source("xception", "keras").change(xception())


CASES = (
    Case(
        name="mobilenet_v1_keras",
        build=mobilenet_v1_keras,
        image_size=224,
        torch_name=find_source("mobilenet_v1", "keras").names,
        source="keras:MobileNet",
    ),
    Case(
        name="xception_keras",
        build=xception_keras,
        image_size=299,
        torch_name=find_source("xception", "keras").names,
        source="keras:Xception",
    ),
)
