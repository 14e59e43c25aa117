"""Same weights in, same numbers out: our networks beside torchvision's and timm's, without them.

`make parity` wrote the reference: scores and norms of gradients that PyTorch computed in float64.
"""

from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from our_side import our_gradient_norms, our_scores, worst, worst_norm

REFERENCE = Path(__file__).parent / "reference"


def reference(case):
    with np.load(REFERENCE / f"{case.name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def named(case):
    return case.name


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=named)
def test_scores_are_those_of_the_independent_implementation(case):
    assert worst(our_scores(case), reference(case)["scores"]) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.gradients], ids=named)
def test_gradients_have_the_norms_of_the_independent_implementation(case):
    arrays = reference(case)
    norms = dict(zip(arrays["gradient_names"].tolist(), arrays["gradient_norms"], strict=True))
    assert worst_norm(our_gradient_norms(case), norms) <= 1e-3


def test_every_reference_belongs_to_a_case_and_every_case_has_one():
    assert {path.stem for path in REFERENCE.glob("*.npz")} == {case.name for case in CASES}
