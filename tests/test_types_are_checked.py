"""Where the tests run, a value of a wrong type or shape is refused: the check is on."""

import jax.numpy as jnp
import pytest

from ablax.analysis.gradient_check import check_gradient
from ablax.config import TrainConfig
from ablax.layers import Convolution
from ablax.losses import softmax_cross_entropy

CHECKED = hasattr(TrainConfig.__init__, "checked_by_tests")
pytestmark = pytest.mark.skipif(not CHECKED, reason="run without --jaxtyping-packages")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TrainConfig(epochs="many"),  # type: ignore[arg-type]
        lambda: Convolution("three", 3),  # type: ignore[arg-type]
        lambda: Convolution(3, 3, use_bias="maybe"),  # type: ignore[arg-type]
        lambda: check_gradient(3, jnp.ones(2)),  # type: ignore[arg-type]
        lambda: softmax_cross_entropy(jnp.ones((3, 4)), jnp.zeros(5, jnp.int32)),
        lambda: softmax_cross_entropy(jnp.ones((3, 4)), jnp.zeros(3)),
    ],
    ids=["a dataclass", "a layer", "a keyword", "a function", "another size", "another dtype"],
)
def test_a_wrong_type_or_shape_is_refused(wrong):
    with pytest.raises(TypeError, match="violates type hint"):
        wrong()


def test_equal_names_are_equal_sizes_within_a_call_and_free_between_calls():
    for images in (2, 3):
        loss = softmax_cross_entropy(jnp.ones((images, 4)), jnp.zeros(images, jnp.int32))
        assert loss.shape == (images,)
