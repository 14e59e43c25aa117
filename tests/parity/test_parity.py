"""Same weights in, same numbers out: our networks beside torchvision's and timm's, without them.

`make parity` wrote the reference: scores and norms of gradients that PyTorch computed in float64.
"""

from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from our_side import our_gradient_norms, our_scores, worst, worst_norm

REFERENCE = Path(__file__).parent / "reference"


DEEPER = {
    *("densenet161", "densenet169", "densenet201", "resnet101", "resnet152", "resnet152_v1"),
    *("resnet101_v1", "resnet101_preactivation", "resnext101_32x8d", "resnext101_64x4d"),
    *("se_resnet101", "se_resnet152", "se_resnext101_32x4d", "senet154", "inception_resnet_v2"),
    *("dpn92", "dpn98", "dpn131", "vgg_b", "vgg_e", "shufflenet_v2_1_5", "shufflenet_v2_2_0"),
}
"""Deeper forms of networks that are compared at less depth."""
LONG_GRADIENTS = {"densenet121"}
"""Gradients that take half a minute; `dpn68` has dense connections, too."""


def marked(cases, apart):
    return [
        pytest.param(
            case, id=case.name, marks=pytest.mark.deep if case.name in apart else pytest.mark.slow
        )
        for case in cases
    ]


def reference(case):
    with np.load(REFERENCE / f"{case.name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", marked(CASES, DEEPER))
def test_scores_are_those_of_the_independent_implementation(case):
    assert worst(our_scores(case), reference(case)["scores"]) <= 1e-4


@pytest.mark.parametrize("case", marked([case for case in CASES if case.gradients], LONG_GRADIENTS))
def test_gradients_have_the_norms_of_the_independent_implementation(case):
    arrays = reference(case)
    norms = dict(zip(arrays["gradient_names"].tolist(), arrays["gradient_norms"], strict=True))
    assert worst_norm(our_gradient_norms(case), norms) <= 1e-3


def test_what_is_left_to_the_deep_tests_is_a_case():
    assert {case.name for case in CASES} >= DEEPER | LONG_GRADIENTS


def test_every_reference_belongs_to_a_case_and_every_case_has_one():
    assert {path.stem for path in REFERENCE.glob("*.npz")} == {case.name for case in CASES}
