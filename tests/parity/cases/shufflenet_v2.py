"""ShuffleNet V2 beside torchvision's."""

from parity_case import Case

from ablax.weights.names import shufflenet_v2 as names
from ablax.zoo.shufflenet import (
    shufflenet_v2_0_5,
    shufflenet_v2_1_0,
    shufflenet_v2_1_5,
    shufflenet_v2_2_0,
)

CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=names,
        source=f"torchvision.models.{build.__name__.replace('v2_', 'v2_x')}",
        gradients=build is shufflenet_v2_0_5,
    )
    for build in (shufflenet_v2_0_5, shufflenet_v2_1_0, shufflenet_v2_1_5, shufflenet_v2_2_0)
)
