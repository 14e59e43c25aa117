"""A grid of cells: what each reads, what it makes, and which of them the last map needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network, check, layer_shapes, paths, remove
from ablax.errors import AblaxError
from ablax.layers import (
    Auxiliary,
    AveragePool,
    Convolution,
    FieldError,
    GlobalAveragePool,
    MaxPool,
    ReLU,
    ShapeError,
)
from ablax.layers.blocks import Cell, DenseCell, MultiScale, needed

HALF, SAME = Layers(down=MaxPool(2)), Layers(same=ReLU())
FIRST = Layers(first_scale2=Cell(2, down=Layers(average=AveragePool(2))))
X = jnp.array([[1.0, -2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)


def layer(number, scales=2):
    """From coarse to fine."""
    cells = {
        f"layer{number}_scale{scale}": DenseCell(scale, HALF if scale > 1 else Layers(), SAME)
        for scale in range(scales, 0, -1)
    }
    return Layers(cells)


def network(grid):
    return Network(Layers(), Layers(scales=MultiScale(grid)), Layers())


def test_two_layers_at_two_scales_by_hand_in_value_and_gradient():
    """The first makes 6 / 4; a layer adds the largest of the finer map, then relu of its own."""
    grid = MultiScale(FIRST + layer(1) + layer(2))

    def total(x):
        return grid.apply({}, x).sum()

    y, gradient = jax.jit(lambda x: (grid.apply({}, x), jax.grad(total)(x)))(X)
    layer1 = [1.5, 4.0, 1.5]
    np.testing.assert_array_equal(y[0, 0, 0], [*layer1, 4.0, 4.0, *layer1])
    # Four means of four pixels, and the 4 four times.
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 1], [1, 5]])


def test_a_cell_reads_what_the_layer_before_left_because_coarse_ones_run_first():
    fine_first = Layers(dict(reversed(layer(1).items())))
    assert MultiScale(FIRST + layer(1)).apply({}, X).shape == (1, 1, 1, 3)
    assert MultiScale(FIRST + fine_first).apply({}, X).shape == (1, 1, 1, 4)


def test_other_layers_are_applied_to_the_coarsest_map_there_is():
    """The mean of scale 2 alone, then that of two layers."""
    mean = Layers(mean=GlobalAveragePool())
    assert MultiScale(FIRST + mean).apply({}, X).tolist() == [[1.5]]
    assert MultiScale(mean).apply({}, X).tolist() == [[1.5]]
    assert MultiScale(FIRST + layer(1) + mean).apply({}, X).tolist() == [[1.5, 4.0, 1.5]]


def test_an_early_classifier_changes_no_map():
    side = Layers(early=Auxiliary(Layers(average=GlobalAveragePool())))
    plain, asked = MultiScale(FIRST + layer(1)), MultiScale(FIRST + side + layer(1))
    y, aside = asked.apply({}, X, mutable=["auxiliary"])
    np.testing.assert_array_equal(y, plain.apply({}, X))
    assert aside["auxiliary"]["early"]["scores"][0].tolist() == [[1.5]]


def test_equal_cells_do_not_share_weights():
    conv = Layers(same=Convolution(2, 1))
    grid = MultiScale(Layers(a=DenseCell(1, same=conv), b=DenseCell(1, same=conv)))
    shapes = jax.eval_shape(grid.init, jax.random.key(0), X)["params"]
    assert [shapes[name]["same"]["kernel"].shape for name in "ab"] == [(1, 1, 1, 2), (1, 1, 3, 2)]


def test_a_removed_cell_hands_its_map_on_and_a_removed_side_adds_nothing():
    whole = network(FIRST + layer(1) + layer(2))
    assert "scales/layer1_scale2/down" in paths(whole)
    for name, channels in (("layer1_scale2", 4), ("layer1_scale2/down", 6), ("layer2_scale2", 3)):
        shorter = remove(f"scales/{name}")(whole)
        assert layer_shapes(shorter, (2, 2, 1))["scales"] == (1, 1, channels)


@pytest.mark.slow
def test_needed_keeps_one_scale_more_for_each_layer_back():
    first = FIRST + Layers(first_scale3=Cell(3, down=HALF))
    grid = first + layer(1, 3) + layer(2, 3) + layer(3, 3) + layer(4, 3)
    kept = list(needed(grid))
    assert kept[:5] == [*first, "layer1_scale3", "layer1_scale2", "layer1_scale1"]
    assert kept[5:] == [
        *("layer2_scale3", "layer2_scale2", "layer2_scale1"),
        *("layer3_scale3", "layer3_scale2", "layer4_scale3"),
    ]
    assert needed(needed(grid)) == needed(grid)
    x = jnp.arange(64.0).reshape(1, 8, 8, 1) % 7
    both = jax.jit(lambda x: [MultiScale(cells).apply({}, x) for cells in (grid, needed(grid))])(x)
    np.testing.assert_array_equal(*both)


def test_equal_grids_are_equal():
    assert MultiScale(FIRST + layer(1)) == MultiScale(FIRST + layer(1))
    assert hash(DenseCell(2, HALF, SAME)) == hash(DenseCell(2, HALF, SAME))
    assert Cell(2, HALF, SAME) != DenseCell(2, HALF, SAME)


def test_fields_no_cell_can_have_are_refused():
    with pytest.raises(AblaxError, match="a Cell of scale 2 has no layer"):
        Cell(2)
    with pytest.raises(FieldError, match="scale=1: expected no layers `down`"):
        DenseCell(1, HALF)
    with pytest.raises(FieldError, match="scale=0: expected an integer of at least 1"):
        DenseCell(0)
    with pytest.raises(AblaxError, match=r"layer names must differ.*same"):
        DenseCell(2, SAME, SAME)


def test_a_scale_that_nobody_made_is_refused_with_its_cell():
    with pytest.raises(ShapeError, match=r"layer1_scale3 reads scale 3, and only scales \[1, 2\]"):
        MultiScale(FIRST + layer(1, 3)).apply({}, X)


def test_maps_that_do_not_fit_are_refused_with_the_path_or_both_shapes():
    wide = Layers(layer1_scale2=DenseCell(2, Layers(down=MaxPool(5)), SAME))
    with pytest.raises(LayerError, match=r"layer 'scales/layer1_scale2/down' .* does not fit"):
        check(network(FIRST + wide), (2, 2, 1))
    whole = Layers(layer1_scale2=DenseCell(2, Layers(down=ReLU()), SAME))
    with pytest.raises(LayerError, match=r"\(1, 1, 1, 1\), \(1, 2, 2, 1\)"):
        check(network(FIRST + whole), (2, 2, 1))
