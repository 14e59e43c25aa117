"""Multi-scale dense networks: figure 2, early classifiers, what each costs, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from derivations import msdnet as by_hand
from every_head import heads_that_do_not_fit
from memorizing import wrong_after_training

from ablax.analysis.cost import macs
from ablax.core import (
    EditError,
    Layers,
    Network,
    abstract_variables,
    edit,
    initialize,
    layer_shapes,
    leaves_by_path,
    paths,
    reinitialized,
    remove,
    with_head,
)
from ablax.errors import AblaxError
from ablax.layers import Auxiliary, Convolution, GlobalAveragePool, PadChannels
from ablax.layers.blocks import needed
from ablax.zoo import find, heads, names
from ablax.zoo.msdnet import (
    Design,
    anytime_scores,
    msdnet_cifar,
    msdnet_cifar10,
    msdnet_cifar10_budgeted,
    msdnet_imagenet,
    msdnet_imagenet_k4,
    truncated,
    truncated_variables,
)

CIFAR = (32, 32, 3)


def small(classifiers=(1, 2, 4)):
    """Two layers at three scales, two at two."""
    return msdnet_cifar(classifiers, 4, features=4, growth=2, hidden=8)


def counted(network, shape):
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = abstract_variables(network, shape)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return parameters, macs(network.apply, variables, image)


@pytest.mark.slow
def test_maps_are_those_of_figure_2_and_lose_a_scale_with_each_block():
    """24 layers, 8 a block; a layer adds 6, 12, 24; 70 and 83 features are halved, rounded down."""
    network = msdnet_cifar10()
    shapes = layer_shapes(network, CIFAR)
    assert shapes["conv1"] == (32, 32, 16)
    assert shapes["scales/first_scale3"] == (8, 8, 64)
    assert shapes["scales/layer1_scale1"] == (32, 32, 22)
    assert shapes["scales/layer1_scale2"] == (16, 16, 44)
    assert shapes["scales/layer1_scale2/down"] == shapes["scales/layer1_scale2/same"] == (16, 16, 6)
    assert shapes["scales/layer8_scale3"] == (8, 8, 4 * (16 + 8 * 6))
    assert shapes["scales/transition9_scale2"] == (16, 16, 2 * 35)
    assert shapes["scales/transition17_scale3"] == (8, 8, 4 * 41)
    assert shapes["scales"] == (8, 8, 4 * (41 + 7 * 6))
    assert shapes["classifier11"] == (10,)
    grid = network.body["scales"].layers
    assert ["layer8_scale1" in grid, "layer9_scale1" in grid] == [True, False]
    assert ["layer16_scale2" in grid, "layer17_scale2" in grid] == [True, False]
    assert [name for name in grid if name.startswith("transition")] == [
        *("transition9_scale2", "transition9_scale3", "transition17_scale3"),
    ]


def test_classifiers_stand_where_the_paper_puts_them():
    grid = list(msdnet_cifar10().body["scales"].layers)
    for number in range(1, 11):
        before = grid[grid.index(f"classifier{number}") - 1]
        assert before.startswith(f"layer{2 * (number + 1)}_")


def test_bottlenecks_are_as_wide_as_the_scales_factor_and_no_wider_than_their_input():
    grid = msdnet_imagenet_k4().body["scales"].layers
    first, later = (grid[f"layer{number}_scale4"] for number in (1, 7))
    widths = [
        [
            side["reduce"].layers["conv"].features
            for side in (cell.down["down"].layers, cell.same["same"].layers)
        ]
        for cell in (first, later)
    ]
    assert widths == [[128, 128], [128, 128]]
    narrow = grid["layer1_scale1"].same["same"].layers
    assert (narrow["reduce"].layers["conv"].features, narrow["conv"].layers["conv"].features) == (
        16,
        16,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "number"),
    [
        *((msdnet_cifar10, number) for number in (1, 5, 10)),
        *((msdnet_cifar10_budgeted, number) for number in (1, 2)),
        (msdnet_imagenet_k4, 1),
    ],
)
def test_the_cost_up_to_a_classifier_is_that_derived_by_hand(build, number):
    """The parameters are those of the classifiers in front of it too."""
    shape = (224, 224, 3) if build is msdnet_imagenet_k4 else CIFAR
    net = by_hand.NETWORKS[build.__name__]()
    assert counted(truncated(number)(build()), shape) == by_hand.up_to(net, number)


def test_costs_up_to_the_first_classifier_are_those_that_the_networks_state():
    first = [by_hand.up_to(by_hand.NETWORKS[name](), 1).macs for name in names("msdnet_cifar*")]
    assert first == [13_244_672, 5_905_664]
    assert by_hand.up_to(by_hand.NETWORKS["msdnet_cifar10"](), 1).parameters == 419_146


@pytest.mark.slow
def test_counts_are_those_that_the_port_prints():
    """github.com/kalviny/MSDNet-PyTorch, issue 10: ImageNet, step 7, from classifier to classifier.

    The max pool has 56 x 56 results of 32 features and 9 numbers each; the 7x7 has 32 biases.
    """
    net = by_hand.imagenet((7, 14, 21, 28, 35))
    rows = by_hand.printed_by_the_port(net, pool=32 * 56 * 56 * 9)
    assert [operations for operations, _ in rows] == [615.69, 1436.39, 2283.21, 2967.42, 3253.79]
    assert [parameters for _, parameters in rows] == [8.76, 20.15, 31.73, 41.86, 62.31]
    ours = counted(msdnet_imagenet((7, 14, 21, 28, 35)), (224, 224, 3))
    assert ours == by_hand.up_to(net, 5)
    assert round((ours[0] + 32) / 1e6, 2) == 62.31


def test_no_cell_of_a_whole_network_is_superfluous():
    for name in names("msdnet*"):
        grid = find(name).build().body["scales"].layers
        assert needed(grid) == grid


def test_scores_come_from_the_cheapest_to_the_last_whatever_the_alphabet_says():
    sides = {f"classifier{k}": Auxiliary(Layers(pad=PadChannels(k))) for k in range(1, 12)}
    network = Network(Layers(pool=GlobalAveragePool()), Layers(sides), Layers())
    scores = anytime_scores(network, {}, jnp.ones((2, 3, 3, 1)))
    assert [each.shape for each in scores] == [*((2, k) for k in range(1, 12)), (2, 1)]


@pytest.mark.slow
def test_a_truncated_network_gives_the_scores_of_its_classifier_bit_for_bit():
    network, shape = small(), (16, 16, 3)
    variables = initialize(network, 0, shape)
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *shape)), jnp.float32)
    scores = anytime_scores(network, variables, images)
    np.testing.assert_array_equal(scores[-1], network.apply(variables, images))
    for number in (1, 2):
        cut, moved = truncated(number)(network), truncated_variables(variables, number)
        np.testing.assert_array_equal(cut.apply(moved, images), scores[number - 1])
        assert len(anytime_scores(cut, moved, images)) == number
    only_head = {
        path.split("/")[0] for path in reinitialized(network, truncated(2)(network), shape)
    }
    assert only_head == {"classifier2"}


def test_a_truncated_network_has_no_cell_its_classifier_cannot_see():
    cut = truncated(2)(small())
    assert list(cut.body["scales"].layers) == [
        *("first_scale2", "first_scale3", "layer1_scale3", "layer1_scale2"),
        *("classifier1", "layer2_scale3"),
    ]
    assert list(cut.head) == ["classifier2"]
    assert truncated(1)(cut) == truncated(1)(small())


@pytest.mark.slow
def test_every_parameter_gets_a_gradient_from_the_sum_of_all_losses():
    network, shape = small(), (16, 16, 3)
    variables = initialize(network, 0, shape)
    images, labels = (
        jnp.asarray(np.random.default_rng(1).normal(size=(4, *shape)), jnp.float32),
        jnp.arange(4),
    )

    def loss(params):
        state = {"params": params, "batch_stats": variables["batch_stats"]}
        grant = ["auxiliary", "batch_stats"]
        last, aside = network.apply(state, images, mutable=grant)
        every = [last, *jax.tree.leaves(aside["auxiliary"])]
        assert len(every) == 3
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        return sum(cross_entropy(scores, labels).mean() for scores in every)

    slopes = leaves_by_path(jax.jit(jax.grad(loss))(variables["params"]))
    assert [path for path, leaf in slopes.items() if not np.any(leaf)] == []
    assert all(np.isfinite(leaf).all() for leaf in slopes.values())


@pytest.mark.slow
def test_an_edit_reaches_every_convolution():
    network, found = small(), []

    def narrower(path, layer):
        if isinstance(layer, Convolution):
            found.append(path)
            return Layers({path.split("/")[-1]: layer.copy(features=1)})
        return None

    edit(network, narrower)
    kernels = leaves_by_path(abstract_variables(network, CIFAR)["params"])
    assert sorted(found) == sorted(
        path.removesuffix("/kernel") for path in kernels if path.endswith("conv/kernel")
    )


@pytest.mark.slow
def test_a_cell_and_each_of_its_sides_can_be_removed():
    network = small()
    for name in ("layer2_scale3", "layer2_scale3/down", "layer2_scale2/same", "transition3_scale3"):
        shorter = remove(f"scales/{name}")(network)
        assert f"scales/{name}" not in paths(shorter)
        assert layer_shapes(shorter, CIFAR)["classifier3"] == (4,)


@pytest.mark.slow
def test_another_head_takes_the_place_of_the_last_classifier():
    network = with_head(heads.global_average_pool(7))(small())
    assert layer_shapes(network, CIFAR)["classifier"] == (7,)
    assert network.body == small().body


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(small((1, 2)), CIFAR) == []


def test_equal_calls_build_equal_networks_and_others_differ():
    assert msdnet_cifar10() == msdnet_cifar10()
    assert hash(msdnet_imagenet_k4()) == hash(msdnet_imagenet_k4())
    assert small() != small((1, 3, 4))


def test_designs_that_no_network_can_have_are_refused():
    with pytest.raises(AblaxError, match=r"stand behind layers \(4, 2\): expected .*ascending"):
        msdnet_cifar((4, 2))
    with pytest.raises(AblaxError, match=r"layers \(\): expected at least one"):
        msdnet_cifar(())
    with pytest.raises(AblaxError, match=r"growth=0.*expected positive numbers"):
        msdnet_cifar((2,), growth=0)
    with pytest.raises(AblaxError, match="expected even numbers behind the first scale"):
        Design((2,), 4, 3, (1, 3), None)


def test_a_classifier_that_is_not_early_is_refused():
    with pytest.raises(EditError, match=r"no early classifier 'classifier3': .*classifier[12]"):
        truncated(3)(small())
    with pytest.raises(EditError, match="no early classifier 'classifier1'"):
        truncated(1)(Network(Layers(), Layers(), heads.global_average_pool(4)))


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(small(), (16, 16, 3)) == 0
