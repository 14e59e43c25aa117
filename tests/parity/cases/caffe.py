"""Networks published as Caffe's files, beside PyTorch's layers put together after Caffe's."""

from parity_case import Case

from ablax.weights.sources import find_source
from ablax.zoo.alexnet import alexnet
from ablax.zoo.googlenet import googlenet


def alexnet_caffe():
    """Ours with Caffe's constants of response normalization."""
    return find_source("alexnet", "caffe").change(alexnet())


CASES = (
    Case(
        name="alexnet_caffe",
        build=alexnet_caffe,
        image_size=227,
        torch_name=find_source("alexnet", "caffe").names,
        source="torch_caffe.alexnet",
    ),
    Case(
        name="googlenet",
        build=googlenet,
        image_size=224,
        torch_name=find_source("googlenet", "caffe").names,
        source="torch_caffe.googlenet",
    ),
)
