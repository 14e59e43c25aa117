"""DenseNets: the paper's table 1, what each layer sees, and that any layer can go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient

from ablax.core import (
    Layers,
    Network,
    Sequential,
    check,
    layer_shapes,
    parameter_shapes,
    paths,
    reinitialized,
    remove,
)
from ablax.errors import AblaxError
from ablax.layers import convolution
from ablax.zoo import find, heads, tails
from ablax.zoo.densenet import (
    blocks,
    bottleneck,
    densenet,
    densenet121,
    densenet264,
    plain,
    transition,
)


def tiny(classes=4):
    """Two blocks behind one convolution: 8 channels, 8 + 2 * 4 to 8, and 8 + 2 * 4."""
    return Network(tails.cifar(8), blocks((2, 2), 4, 8), heads.global_average_pool(classes))


def test_a_network_goes_through_the_shapes_of_table_1():
    """With one dense layer a block: 64 + 32 to 48, + 32 to 40, + 32 to 36, + 32."""
    shapes = layer_shapes(densenet((1, 1, 1, 1), 32), (224, 224, 3))
    assert shapes["conv1"] == (112, 112, 64)
    assert shapes["pool1"] == (56, 56, 64)
    assert shapes["dense1_1/conv1"] == (56, 56, 128)
    assert shapes["dense1_1/conv2"] == (56, 56, 32)
    assert shapes["dense1_1"] == (56, 56, 96)
    assert shapes["transition1/conv"] == (56, 56, 48)
    assert shapes["transition1"] == (28, 28, 48)
    assert shapes["dense3_1/conv2"] == (14, 14, 32)
    assert shapes["dense4_1"] == shapes["activation"] == (7, 7, 68)
    assert shapes["average"] == (68,)
    assert shapes["classifier"] == (1000,)


@pytest.mark.slow
def test_the_largest_ends_in_2688_channels():
    """64 + 6 * 32 to 128, + 12 * 32 to 256, + 64 * 32 to 1152, + 48 * 32."""
    shapes = layer_shapes(densenet264(), (224, 224, 3))
    wide = {name: shapes[name] for name in ("dense1_6", "dense2_12", "dense3_64", "dense4_48")}
    assert wide == {
        "dense1_6": (56, 56, 256),
        "dense2_12": (28, 28, 512),
        "dense3_64": (14, 14, 2304),
        "dense4_48": (7, 7, 2688),
    }


@pytest.mark.parametrize(
    ("name", "depth"), [(f"densenet{depth}", depth) for depth in (121, 169, 201, 161)]
)
def test_the_weight_layers_are_those_of_the_name(name, depth):
    assert sum(path.endswith("/conv") for path in paths(find(name).build())) + 1 == depth


def test_densenet264_has_a_weight_layer_more_than_its_name():
    assert sum(path.endswith("/conv") for path in paths(densenet264())) + 1 == 265


@pytest.mark.slow
def test_each_dense_layer_sees_all_before_it_through_bn_relu_conv():
    """Equation 2 of the paper with its composite function, written out beside the block."""
    names = ("dense1_1", "dense1_2")
    block = Sequential(Layers({name: blocks((2,), 4, 8)[name] for name in names}))
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(0, 1, (2, 6, 6, 8)), jnp.float32)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(draw.uniform(-0.5, 1.5, leaf.shape) ** 2, jnp.float32),
        jax.eval_shape(block.init, jax.random.key(0), x),
    )

    def composite(x, name, conv):
        own, kept = (variables[kind][name][conv] for kind in ("params", "batch_stats"))
        normalized = (x - kept["bn"]["mean"]) / jnp.sqrt(kept["bn"]["var"] + 1e-5)
        activated = jax.nn.relu(own["bn"]["scale"] * normalized + own["bn"]["bias"])
        kernel = own["conv"]["kernel"]
        return convolution(activated, kernel, padding=kernel.shape[0] // 2)

    @jax.jit
    def written_out(x):
        seen = [x]
        for name in names:
            everything = jnp.concatenate(seen, axis=-1)
            seen.append(composite(composite(everything, name, "conv1"), name, "conv2"))
        return jnp.concatenate(seen, axis=-1)

    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), written_out(x), rtol=1e-4)


def test_a_transition_convolves_and_then_averages_four_pixels():
    """With unit weights and statistics, 1 to 4 in one channel: their mean, 2.5."""
    x = jnp.arange(1.0, 5.0).reshape(1, 2, 2, 1)
    layer = transition(1)
    variables = layer.init(jax.random.key(0), x)
    variables["params"]["conv"]["kernel"] = jnp.ones((1, 1, 1, 1))
    assert float(layer.apply(variables, x)[0, 0, 0, 0]) == pytest.approx(2.5, rel=1e-4)


@pytest.mark.slow
def test_a_dense_layer_or_a_transition_can_go_and_its_neighbors_keep_their_features():
    network = densenet((1, 5, 1), 4, 4)
    without = remove("dense2_5")(network)
    check(without, (64, 64, 3), 4)
    assert parameter_shapes(without, (64, 64, 3))["transition2/conv/kernel"] == (1, 1, 22, 13)
    check(remove("transition1", "dense1_1", "dense2_2")(network), (64, 64, 3), 4)


@pytest.mark.slow
def test_only_what_saw_the_removed_layer_is_drawn_anew():
    drawn = reinitialized(tiny(), remove("dense1_1")(tiny()), (8, 8, 3))
    assert {path.split("/")[0] for path in drawn} == {"dense1_2", "transition1"}


@pytest.mark.parametrize("compression", [0.0, 1.5, -1.0])
def test_a_compression_outside_of_0_to_1_is_refused(compression):
    with pytest.raises(AblaxError, match=r"compression=.*above 0 and at most 1"):
        blocks((1, 1), 4, 8, compression=compression)


def test_compression_rounds_down():
    """0.5 (8 + 3) = 5.5, and all 11 where nothing is compressed."""
    assert blocks((1, 1), 3, 8)["transition1"] == transition(5)
    assert blocks((1, 1), 3, 8, plain, compression=1.0)["transition1"] == transition(11)


def test_a_bottleneck_is_cheaper_than_a_plain_layer_where_the_input_is_wide():
    """4 k (C + 9 k) weights against 9 k C: less where 5 C > 36 k."""

    def weights(layer, channels):
        inside = Network(Layers(), Layers(dense=layer), Layers())
        shapes = parameter_shapes(inside, (8, 8, channels))
        return sum(np.prod(shape) for path, shape in shapes.items() if path.endswith("kernel"))

    for channels in (8, 40):
        assert weights(bottleneck(4), channels) == 16 * channels + 9 * 16 * 4
        assert weights(plain(4), channels) == 9 * channels * 4
    assert weights(bottleneck(4), 40) < weights(plain(4), 40)


def test_dropout_stands_behind_every_convolution_of_the_body_or_nowhere():
    names = paths(
        Network(tails.cifar(8), blocks((1, 1), 4, 8, dropout=0.2), heads.global_average_pool(4))
    )
    convolutions = [path for path in names if path.endswith("/conv") and path != "conv1/conv"]
    dropouts = [path for path in names if path.endswith("/dropout")]
    assert [path.rsplit("/", 1)[0] for path in dropouts] == [
        path.rsplit("/", 1)[0] for path in convolutions
    ]
    assert not any(path.endswith("/dropout") for path in paths(tiny()))


def test_equal_calls_build_equal_networks():
    assert densenet121() == densenet121()
    assert hash(densenet264()) == hash(densenet264())
    assert densenet264() != densenet264(100)


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(densenet((1, 1, 1), 4), (64, 64, 3)) == []


@pytest.mark.slow
def test_every_block_trains():
    assert leaves_without_gradient(tiny(), (8, 8, 3)) == []
