"""The listing of a network: one line a layer, and the counts add up."""

import pytest

from ablax.core import LayerError, Layers, Network, count_parameters, describe, sequential
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    GlobalAveragePool,
    Parallel,
    ReLU,
    Residual,
    fold,
)

SHAPE = (6, 6, 3)


def network(blocks=2):
    block = Residual(
        Layers(conv=Convolution(4, 3, use_bias=False), bn=BatchNormalization()),
        after=Layers(relu=ReLU()),
    )
    return Network(
        tail=Layers(conv1=sequential(conv=Convolution(4, 3, stride=2), relu=ReLU())),
        body=Layers(**{f"res2{letter}": block for letter in "abcdef"[:blocks]}),
        head=Layers(
            both=Parallel(Layers(left=Convolution(2, 1), right=Convolution(3, 1))),
            pool=GlobalAveragePool(),
            fc=Dense(2),
        ),
    )


def test_listing_has_one_line_a_layer_with_shape_and_parameters():
    assert describe(network(), SHAPE).splitlines() == [
        "images                                        6x6x3  parameters",
        "tail",
        "  conv1  Convolution(4, 3, stride=2), ReLU()  3x3x4         112",
        "body",
        "  res2a  Residual(conv, bn, relu)             3x3x4         152",
        "  res2b  Residual(conv, bn, relu)             3x3x4         152",
        "head",
        "  both   Parallel(left, right)                3x3x5          25",
        "  pool   GlobalAveragePool()                      5           0",
        "  fc     Dense(2)                                 2          12",
        "all                                               2         453",
    ]


def test_listing_opens_blocks_as_deep_as_asked():
    def names(depth):
        return [line.split()[0] for line in describe(network(1), SHAPE, depth).splitlines()]

    assert names(2) == names(None)
    assert names(2)[4:9] == ["relu", "body", "res2a", "conv", "bn"]
    assert "left" in names(2)
    assert "left" not in names(1)


def test_parameters_of_the_lines_add_up_to_those_of_the_network():
    lines = describe(network(), SHAPE).splitlines()
    counts = [int(line.split()[-1].replace(",", "")) for line in lines if line.startswith("  ")]
    assert sum(counts) == count_parameters(network(), SHAPE) == int(lines[-1].split()[-1])


def test_listing_says_where_a_layer_runs_in_a_loop():
    text = describe(fold(Residual)(network()), SHAPE, depth=None)
    assert "in a loop" in text
    assert "res2a_to_res2b" in text


def test_long_chains_name_their_layers_and_very_long_ones_count_them():
    some = sequential(**{f"convolution{i}": Convolution(4, 3) for i in range(5)})
    many = sequential(**{f"convolution{i}": Convolution(4, 3) for i in range(12)})
    text = describe(Network(Layers(some=some), Layers(many=many), Layers()), SHAPE)
    assert (
        "Sequential(convolution0, convolution1, convolution2, convolution3, convolution4)" in text
    )
    assert "Sequential(12 layers)" in text


def test_a_network_that_does_not_fit_its_images_is_refused():
    with pytest.raises(LayerError, match="conv1"):
        describe(
            Network(Layers(conv1=Convolution(2, 9, padding="VALID")), Layers(), Layers()), SHAPE
        )
