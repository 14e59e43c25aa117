"""Dual path networks beside timm's, which take the authors' weights."""

from parity_case import Case

from ablax.weights.names import dpn
from ablax.zoo.dpn import dpn68, dpn92, dpn98, dpn131

CASES = tuple(
    Case(
        name=build.__name__,
        build=build,
        image_size=224,
        torch_name=dpn,
        source=f"timm:{build.__name__}",
        gradients=build is dpn68,
    )
    for build in (dpn68, dpn92, dpn98, dpn131)
)
