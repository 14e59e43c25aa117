"""`cost_table`: the table of `ablax table`, for a name or for any network."""

import pytest

from ablax.core import remove
from ablax.errors import AblaxError
from ablax.inspection import cost_table, render
from ablax.zoo import lenet5


def test_a_name_and_its_network_have_the_same_rows():
    named, given = cost_table("lenet5"), cost_table(lenet5(), (32, 32, 1))
    assert named.rows == given.rows
    assert named.title == "Cost of lenet5, 1 image of 32x32x1"
    assert str(named) == render(named, "text")


@pytest.mark.slow
def test_an_ablated_network_costs_what_is_left():
    table = cost_table(remove("f6")(lenet5()), (32, 32, 1), depth=1)
    assert [row[0] for row in table.rows] == ["c1", "s2", "c3", "s4", "c5", "output"]
    assert table.totals["MACs"] == 117_600 + 240_000 + 48_000 + 1_200  # by hand: c1, c3, c5, output


def test_training_and_the_lecture_have_columns_of_their_own():
    assert "gradient by weights" in cost_table("lenet5", training=True).columns
    assert "Ni" in cost_table("lenet5", convention="lecture").columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": lenet5()}, "give their shape"),
        ({"network": "lenet"}, "did you mean 'lenet5'"),
        ({"network": "lenet5", "depth": 0}, "the depth is 0: expected at least 1"),
        ({"network": "lenet5", "batch": 0}, "the batch is 0: expected at least 1"),
        ({"network": "lenet5", "convention": "usua"}, "did you mean 'usual'"),
        ({"network": "lenet5", "convention": "lecture", "training": True}, "says nothing of train"),
    ],
)
def test_what_has_no_table_is_refused(arguments, message):
    with pytest.raises(AblaxError, match=message):
        cost_table(**arguments)
