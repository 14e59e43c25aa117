"""VGG beside torchvision's."""

from parity_case import Case

from ablax.weights.names import vgg
from ablax.zoo.vgg import A, B, D, E, vgg_a, vgg_b, vgg_d, vgg_e

CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=vgg(stages),
        source=f"torchvision.models.{theirs}",
        gradients=build is vgg_a,
    )
    for build, stages, theirs in (
        (vgg_a, A, "vgg11"),
        (vgg_b, B, "vgg13"),
        (vgg_d, D, "vgg16"),
        (vgg_e, E, "vgg19"),
    )
)
