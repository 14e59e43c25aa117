"""An ablation is a pure function from Network to Network."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.core import (
    EditError,
    LayerError,
    Layers,
    check,
    compose,
    edit,
    initialize,
    insert_after,
    insert_before,
    leaves_by_path,
    parameter_shapes,
    paths,
    reinitialized,
    remove,
    replace,
    replace_kind,
    with_head,
    with_initializer,
    without,
)
from ablax.errors import AblaxError
from ablax.layers import (
    AveragePool,
    Convolution,
    Dense,
    Dropout,
    GlobalAveragePool,
    LocalResponseNormalization,
    MaxPool,
    ReLU,
)
from ablax.layers.initializers import GAUSSIAN_001, ZEROS
from ablax.zoo import alexnet_small, lenet5
from ablax.zoo.resnet import resnet_cifar

SMALL = alexnet_small(10, 1 / 32)
SHAPE = (28, 28, 1)


def test_remove_takes_out_the_named_layers_and_nothing_else():
    cut = remove("conv3", "fc7")(SMALL)
    assert [name for name in SMALL.layers if name not in cut.layers] == ["conv3", "fc7"]
    assert all(cut.layers[name] == SMALL.layers[name] for name in cut.layers)


def test_an_edit_leaves_its_argument_as_it_was():
    before = list(SMALL.layers)
    remove("fc7")(SMALL)
    assert list(SMALL.layers) == before


def test_remove_reaches_layers_inside_others():
    cut = remove("fc7/dropout")(SMALL)
    assert "fc7/dropout" not in paths(cut)
    assert "fc6/dropout" in paths(cut)


def test_removals_commute():
    one = compose(remove("fc7"), remove("conv3"))(SMALL)
    assert one == compose(remove("conv3"), remove("fc7"))(SMALL) == remove("conv3", "fc7")(SMALL)


def test_replace_puts_another_layer_under_the_same_name():
    changed = replace("pool1", AveragePool(3, 2))(SMALL)
    assert changed.tail["pool1"] == AveragePool(3, 2)
    assert list(changed.layers) == list(SMALL.layers)


def test_insert_after_and_before_put_layers_where_they_say():
    changed = insert_after("conv1", extra=ReLU())(SMALL)
    assert list(changed.tail) == ["conv1", "extra", "norm1", "pool1"]
    changed = insert_before("conv1", extra=ReLU())(SMALL)
    assert list(changed.tail) == ["extra", "conv1", "norm1", "pool1"]


def test_insert_then_remove_is_the_identity():
    assert remove("extra")(insert_after("conv4", extra=ReLU())(SMALL)) == SMALL


def test_insert_refuses_a_name_that_is_taken_anywhere_in_the_network():
    with pytest.raises(AblaxError, match="fc6"):
        insert_after("conv1", fc6=ReLU())(SMALL)


def test_with_head_exchanges_the_head_alone():
    head = Layers(pool=GlobalAveragePool(), scores=Dense(10))
    changed = with_head(head)(SMALL)
    assert (changed.tail, changed.body, changed.head) == (SMALL.tail, SMALL.body, head)
    check(changed, (64, 64, 3), classes=10)


def test_without_removes_a_kind_of_layer_at_any_depth():
    changed = without(Dropout, LocalResponseNormalization)(SMALL)
    left = set(paths(SMALL)) - set(paths(changed))
    assert left == {"norm1", "norm2", "fc6/dropout", "fc7/dropout"}


def test_edit_gives_the_rewriter_every_path_once():
    seen = []
    with pytest.raises(EditError):
        edit(SMALL, lambda path, _: seen.append(path))
    assert seen == list(paths(SMALL))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("fc9"), "no layer 'fc9': did you mean"),
        (remove("fc7/dropuot"), "did you mean 'fc7/dropout'"),
        (replace("pool1", MaxPool(3, 2)), "changes nothing"),
        (with_head(SMALL.head), "changes nothing"),
        (without(GlobalAveragePool), "no GlobalAveragePool to remove"),
    ],
)
def test_an_edit_that_matches_or_changes_nothing_is_refused(change, message):
    with pytest.raises(EditError, match=message):
        change(SMALL)


def test_a_network_whose_shapes_no_longer_fit_is_refused_with_layer_and_shapes():
    cut = replace("conv2", Convolution(8, 5, padding="VALID", stride=4))(SMALL)
    with pytest.raises(LayerError, match=r"'pool5' \(MaxPool\).*\(1, 1, 1, 8\)"):
        check(cut, (32, 32, 1))


def test_check_refuses_scores_that_are_not_one_a_class():
    with pytest.raises(AblaxError, match=r"\(1, 10\), and \(1, 7\) is expected"):
        check(SMALL, SHAPE, classes=7)


REMOVABLE = ["norm1", "norm2", "conv2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7"]


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(st.sets(st.sampled_from(REMOVABLE), min_size=1, max_size=4))
def test_an_ablated_network_starts_bit_equal_to_its_parent_where_name_and_shape_agree(names):
    child = remove(*sorted(names))(SMALL)
    ours = leaves_by_path(initialize(child, 3, SHAPE)["params"])
    theirs = leaves_by_path(initialize(SMALL, 3, SHAPE)["params"])
    others = set(reinitialized(SMALL, child, SHAPE))
    for path, leaf in ours.items():
        same = path in theirs and leaf.shape == theirs[path].shape
        assert same == (path not in others)
        assert not same or jnp.array_equal(leaf, theirs[path]), path


@pytest.mark.slow
def test_redrawn_names_the_layer_behind_the_cut_alone():
    assert reinitialized(SMALL, remove("fc6", "fc7")(SMALL), SHAPE) == ("fc8/kernel",)
    assert reinitialized(SMALL, remove("conv3", "conv4")(SMALL), SHAPE) == ("conv5/conv/kernel",)
    assert reinitialized(SMALL, remove("fc7")(SMALL), SHAPE) == ()


@pytest.mark.slow
def test_redrawn_sees_another_initializer_under_the_same_name_and_shape():
    changed = replace("fc8", Dense(10, kernel_init=GAUSSIAN_001))(SMALL)
    assert reinitialized(SMALL, changed, SHAPE) == ("fc8/kernel",)


def test_another_seed_draws_other_weights():
    one, other = (initialize(SMALL, seed, SHAPE)["params"]["fc8"]["kernel"] for seed in (0, 1))
    assert not jnp.array_equal(one, other)


def test_initialize_checks_the_shapes_before_it_draws():
    with pytest.raises(LayerError, match="pool"):
        initialize(SMALL, 0, (8, 8, 1))
    with pytest.raises(AblaxError, match="height, width, channels"):
        initialize(SMALL, 0, (0, 8, 1))


@pytest.mark.slow
def test_dropout_masks_of_a_kept_layer_are_those_of_the_parent():
    network = lenet5(10)
    with_dropout = insert_after("f6", drop=Dropout(0.5))(network)
    cut = remove("f6/tanh")(with_dropout)
    x = jnp.ones((2, 32, 32, 1))
    variables = with_dropout.init(jax.random.key(0), x)
    key = jax.random.key(1)

    def dropped(network):
        _, state = network.apply(
            variables,
            x,
            rngs={"dropout": key},
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        return state["intermediates"]["drop"]["__call__"][0] == 0

    assert dropped(with_dropout).any()
    assert jnp.array_equal(dropped(with_dropout), dropped(cut))


@pytest.mark.slow
def test_parameter_shapes_are_those_of_the_initial_values():
    drawn = leaves_by_path(initialize(SMALL, 0, SHAPE)["params"])
    assert parameter_shapes(SMALL, SHAPE) == {path: leaf.shape for path, leaf in drawn.items()}


def test_initialize_draws_what_linens_own_init_draws():
    drawn = initialize(SMALL, 5, SHAPE)["params"]
    linens = SMALL.init(jax.random.key(5), jnp.zeros((1, *SHAPE)))["params"]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, drawn, linens))


def test_replacing_a_kind_exchanges_it_at_every_depth_and_nothing_else():
    averaged = replace_kind(MaxPool, lambda pool: AveragePool(pool.window, pool.stride))(SMALL)
    assert paths(averaged) == paths(SMALL)
    with pytest.raises(EditError, match="no MaxPool to replace"):
        replace_kind(MaxPool, lambda _: ReLU())(averaged)
    back = replace_kind(AveragePool, lambda pool: MaxPool(pool.window, pool.stride))(averaged)
    assert back == SMALL


def test_replacing_a_kind_that_is_not_there_is_refused():
    with pytest.raises(EditError, match="no AveragePool to replace"):
        replace_kind(AveragePool, lambda _: MaxPool(2, 2))(SMALL)


@pytest.mark.slow
def test_with_initializer_reaches_every_kernel_and_nothing_else():
    before = leaves_by_path(initialize(SMALL, 0, SHAPE)["params"])
    after = leaves_by_path(initialize(with_initializer(ZEROS)(SMALL), 0, SHAPE)["params"])
    assert list(after) == list(before)
    for path, leaf in after.items():
        if path.endswith("/kernel"):
            assert before[path].any()
            assert not leaf.any()
        else:
            assert jnp.array_equal(leaf, before[path])


def test_with_initializer_reaches_layers_at_any_depth():
    starts = []

    def note(_path, layer):
        starts.extend([layer.kernel_init] if isinstance(layer, Convolution | Dense) else [])

    changed = with_initializer(ZEROS)(resnet_cifar(8, features=2))
    with pytest.raises(EditError):
        edit(changed, note)
    # depth counts the layers with weights
    assert starts == [ZEROS] * 8


def test_with_initializer_refuses_when_nothing_changes():
    changed = with_initializer(GAUSSIAN_001)(SMALL)
    with pytest.raises(EditError, match="changes nothing: no layer of the network has a kernel"):
        with_initializer(GAUSSIAN_001)(changed)
