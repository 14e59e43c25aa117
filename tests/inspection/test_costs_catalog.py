"""Costs of the networks of the catalog: totals against its figures."""

import pytest

from ablax.analysis.cost import LECTURE, USUAL, fold
from ablax.errors import AblaxError
from ablax.inspection.cost import network_cost, network_training_cost
from ablax.zoo import CATALOG, find, untrained

LENET = untrained("lenet5", None)


def totals(name):
    rows = network_cost(untrained(name, None), USUAL)
    return sum(row.parameters for row in rows), sum(row.macs for row in rows)


# tests/zoo recounts all of them; here one of each file, for what its layers have of their own.
FAMILIES = {entry.build.__module__: entry for entry in reversed(CATALOG)}.values()


@pytest.mark.slow
@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry.name)
def test_rows_of_a_network_of_each_family_add_up_to_the_catalog(entry):
    assert totals(entry.name) == (entry.parameters, entry.macs)


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_rows_of_a_small_network_add_up_to_the_catalog(name):
    entry = find(name)
    assert totals(name) == (entry.parameters, entry.macs)


def test_fold_gives_a_row_for_each_layer_of_the_paper_and_keeps_the_totals():
    rows = network_cost(LENET, USUAL)
    folded = fold(rows, 1)
    assert [row.path for row in folded] == ["c1", "s2", "c3", "s4", "c5", "f6", "output"]
    for quantity in ("macs", "parameters", "memory"):
        whole, parts = (sum(getattr(row, quantity) for row in some) for some in (folded, rows))
        assert whole == parts


def test_two_images_cost_twice_the_products_and_the_same_parameters():
    one, two = (network_cost(LENET, USUAL, batch) for batch in (1, 2))
    assert [row.macs for row in two] == [2 * row.macs for row in one]
    assert [row.parameters for row in two] == [row.parameters for row in one]
    assert [row.output_memory for row in two] == [2 * row.output_memory for row in one]


def test_lecture_stores_a_bias_for_every_place_of_one_image():
    one, two = (network_cost(LENET, LECTURE, batch) for batch in (1, 2))
    assert one[0].parameters == 6 * 25 + 28 * 28 * 6
    assert [row.parameters for row in two] == [row.parameters for row in one]


def test_training_is_three_times_the_forward_pass_without_the_first_gradient_by_input():
    rows = network_training_cost(LENET)
    forward = find("lenet5").macs
    assert sum(row.forward for row in rows) == forward
    assert sum(row.training for row in rows) == 3 * forward - rows[0].forward
    assert rows[0].forward == 28 * 28 * 25 * 6


def test_kept_activations_grow_with_the_batch():
    one, four = (network_training_cost(LENET, batch) for batch in (1, 4))
    assert sum(row.kept for row in four) == pytest.approx(4 * sum(row.kept for row in one), rel=0.1)
    assert sum(row.kept for row in one) > 0


def test_sizes_and_names_that_cannot_be_are_refused():
    with pytest.raises(AblaxError, match="the batch is 0: expected at least 1"):
        network_cost(LENET, USUAL, batch=0)
    with pytest.raises(AblaxError, match="the image size is 0: expected at least 1"):
        untrained("lenet5", None, image_size=0)
    with pytest.raises(AblaxError, match="no network 'lenet'"):
        untrained("lenet", None)
