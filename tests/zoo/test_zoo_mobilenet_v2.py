"""MobileNet V2: table 2, its linear bottlenecks, the rule of 8, and that it trains."""

import pytest
from derivations import DERIVED
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, inner_layers, layer_shapes
from ablax.errors import AblaxError
from ablax.layers import ReLU6, Residual
from ablax.zoo.mobilenet import TABLE_2, divisible, mobilenet_v2, mobilenet_v2_small

HEAD = ("average", "classifier")


def shortened(network):
    """The network with one block a line, and two in the second line."""
    kept = [n for n in network.body if n.endswith("_1") or n in ("bottleneck3_2", "conv9")]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.fixture(scope="module")
def shapes():
    return layer_shapes(shortened(mobilenet_v2()), (224, 224, 3))


@pytest.mark.slow
def test_the_network_goes_through_the_shapes_of_table_2(shapes):
    assert shapes["conv1"] == (112, 112, 32)
    ends = {line: shapes[f"bottleneck{line}_1"] for line in range(2, 9)}
    assert ends == {
        **{2: (112, 112, 16), 3: (56, 56, 24), 4: (28, 28, 32), 5: (14, 14, 64)},
        **{6: (14, 14, 96), 7: (7, 7, 160), 8: (7, 7, 320)},
    }
    assert shapes["conv9"] == (7, 7, 1280)
    assert shapes["average"] == (1280,)
    assert shapes["classifier"] == (1000,)


@pytest.mark.slow
def test_a_block_widens_six_times_and_strides_in_its_depthwise_convolution(shapes):
    assert "bottleneck2_1/expand" not in shapes
    assert shapes["bottleneck2_1/depthwise"] == (112, 112, 32)
    assert shapes["bottleneck3_1/expand"] == (112, 112, 96)
    assert shapes["bottleneck3_1/depthwise"] == (56, 56, 96)
    assert shapes["bottleneck3_2/expand"] == (56, 56, 144)


def test_there_are_as_many_blocks_as_table_2_says_and_a_shortcut_round_all_but_each_first():
    body = mobilenet_v2().body
    blocks = [name for name in body if name.startswith("bottleneck")]
    assert len(blocks) == sum(line.blocks for line in TABLE_2) == 17
    joined = {name for name in blocks if isinstance(body[name], Residual)}
    assert set(blocks) - joined == {f"bottleneck{line}_1" for line in range(2, 9)}


def test_bottlenecks_are_linear_and_everything_else_is_clipped_at_6():
    layers = dict(mobilenet_v2().layers.items())
    for name in [name for name in layers if name.startswith("bottleneck")]:
        (inside,) = [inner for inner in inner_layers(layers.pop(name)).values() if len(inner)]
        assert list(inside["project"].layers) == ["conv", "bn"]
        layers |= {f"{name}/{wide}": inside[wide] for wide in inside if wide != "project"}
    clipped = [layers[name].layers["relu"] for name in layers if name not in HEAD]
    assert clipped == [ReLU6()] * (1 + 16 + 17 + 1)


@pytest.mark.parametrize(
    ("number", "expected"),
    # 33.6 is nearest to 32; of 11.2, 8 would be less than 90 %; halves go up.
    [(33.6, 32), (11.2, 16), (12.0, 16), (3.0, 8), (96.0, 96), (448.0, 448)],
)
def test_divisible_rounds_to_a_multiple_of_8_of_at_least_90_percent(number, expected):
    assert divisible(number) == expected


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_divisible_takes_no_more_than_10_percent_away_and_adds_less_than_8(width):
    for features in (16, 24, 32, 64, 96, 160, 320):
        rounded = divisible(features * width)
        assert rounded % 8 == 0
        assert 0.9 * features * width <= rounded < features * width + 8


def test_width_scales_every_layer_but_keeps_1280_features_below_1():
    def ends(width):
        network = mobilenet_v2(width=width)
        chains = (network.layers["conv1"], network.layers["conv9"])
        return [inner.layers["conv"].features for inner in chains]

    assert ends(0.5) == [16, 1280]
    assert ends(1.4) == [48, 1792]
    project = mobilenet_v2(width=0.5).body["bottleneck8_1"].layers["project"]
    assert project.layers["conv"].features == 160


def test_the_small_form_has_the_layers_of_the_large_one_and_halves_three_times():
    def strides(network):
        firsts = [network.layers["conv1"].layers["conv"]]
        for line in range(2, 9):
            block = network.body[f"bottleneck{line}_1"].layers
            firsts.append(block["depthwise"].layers["conv"])
        return [convolution.stride for convolution in firsts]

    assert list(mobilenet_v2_small().layers) == list(mobilenet_v2().layers)
    assert strides(mobilenet_v2()) == [2, 1, 2, 2, 2, 1, 2, 1]
    assert strides(mobilenet_v2_small()) == [1, 1, 1, 2, 2, 1, 2, 1]


def test_the_small_form_has_the_parameters_of_the_large_one_but_for_990_classes():
    large, small = DERIVED["mobilenet_v2"](), DERIVED["mobilenet_v2_small"]()
    assert large.parameters - small.parameters == 990 * 1281


def test_the_count_is_the_published_one():
    assert DERIVED["mobilenet_v2"]() == (3_504_872, 300_774_272)


def test_equal_calls_build_equal_networks():
    assert mobilenet_v2() == mobilenet_v2()
    assert hash(mobilenet_v2_small()) == hash(mobilenet_v2_small())
    assert mobilenet_v2() != mobilenet_v2(width=1.4)


def test_a_width_that_leaves_nothing_is_refused():
    with pytest.raises(AblaxError, match=r"the width is 0\.0, and a factor above 0 is expected"):
        mobilenet_v2_small(width=0.0)


@pytest.fixture
def tiny():
    """Each kind of block: not widened, with a stride, and with a shortcut."""
    network = mobilenet_v2_small(4, width=0.2)
    kept = ("bottleneck2_1", "bottleneck3_1", "bottleneck3_2", "bottleneck4_1", "conv9")
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_every_block_trains(tiny):
    assert leaves_without_gradient(tiny, (28, 28, 1)) == []


@pytest.mark.slow
def test_the_small_form_drives_a_small_batch_to_zero_error(tiny):
    assert wrong_after_training(tiny, (32, 32, 3), steps=30) == 0
