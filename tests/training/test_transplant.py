"""Initial weights from another training."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from tiny import tiny_network

from ablax.errors import AblaxError
from ablax.training.step import initial_state, warm_start


def _state(seed):
    return initial_state(tiny_network(), optax.adam(0.1), seed, (8, 8, 1))


def _named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def test_all_but_the_fresh_parameters_are_taken_over():
    ours, theirs = _state(0), _state(1)
    names = list(_named(ours.params))
    layer = names[-1].split("/")[0]
    after = _named(warm_start(ours, theirs, fresh=(f"{layer}/*",)).params)
    for name in names:
        source = ours if name.startswith(f"{layer}/") else theirs
        np.testing.assert_array_equal(after[name], _named(source.params)[name])


def test_running_statistics_are_taken_over_with_the_parameters_but_for_the_fresh_ones():
    ours, theirs = (
        replace(state, batch_stats=jax.tree.map(lambda leaf, by=by: leaf + by, state.batch_stats))
        for state, by in ((_state(0), 3.0), (_state(1), 5.0))
    )
    for fresh, source in (((), theirs), (("conv1/*",), ours)):
        after = _named(warm_start(ours, theirs, fresh).batch_stats)
        for name, leaf in after.items():
            np.testing.assert_array_equal(leaf, _named(source.batch_stats)[name])


def test_the_optimizer_and_the_step_start_anew():
    ours, theirs = _state(0), _state(1)
    after = warm_start(ours, theirs)
    assert after.opt_state is ours.opt_state
    assert int(after.step) == 0
    assert int(after.seed) == 0


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(AblaxError, match="'outptu/\\*' matches no parameter of the network"):
        warm_start(_state(0), _state(1), fresh=("outptu/*",))


def test_another_shape_is_refused_with_what_to_do():
    theirs = initial_state(tiny_network(5), optax.adam(0.1), 1, (8, 8, 1))
    match = r"shape \(3,\) here and \(5,\) in .*keep its random initialization with fresh=\("
    with pytest.raises(AblaxError, match=match):
        warm_start(_state(0), theirs)
