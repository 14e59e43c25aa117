"""Pickles read as data: everything that is data comes back, and nothing that is code runs."""

import io
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.weights.files import CodeError, Name, read_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.tuples(inner, inner, inner)
        | st.tuples(inner)
    ),
    max_leaves=8,
)


def read(data, calls=()):
    return read_pickle(io.BytesIO(data), dict(calls), lambda key: ("persistent", key))


class Calls:
    """An object whose pickle calls `function`."""

    def __init__(self, function, *arguments):
        self.made = (function, arguments)

    def __reduce__(self):
        return self.made


@settings(max_examples=60, deadline=None)
@given(value=PLAIN, protocol=st.integers(0, 5))
def test_plain_data_of_every_protocol_comes_back(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


def test_a_list_within_itself_and_shared_values_come_back():
    shared = [1]
    value = [shared, shared]
    again = read(pickle.dumps(value, 2))
    assert again[0] is again[1]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (Calls(os.system, "echo harm"), rf"{os.system.__module__}\.system"),
        (Calls(eval, "1 / 0"), "eval"),
        (Calls(getattr, "text", "upper"), "getattr"),
        (Calls(io.StringIO, "text"), "StringIO"),
    ],
)
def test_a_call_is_refused_by_its_name_and_not_carried_out(harm, name, protocol, monkeypatch):
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("it ran"))
    with pytest.raises(CodeError, match=f"it calls .*{name}"):
        read(pickle.dumps(harm, protocol))


def test_a_name_that_is_only_mentioned_stays_a_name():
    assert read(pickle.dumps(os.getcwd, 2)) == Name(f"{os.getcwd.__module__}.getcwd")


def test_a_known_name_means_what_the_table_says():
    data = pickle.dumps(Calls(complex, 1, 2), 2)
    assert read(data, {f"{mod}.complex": lambda *a: a for mod in ("builtins", "__builtin__")}) == (
        1,
        2,
    )


def test_the_result_of_a_call_cannot_be_called_nor_changed():
    with pytest.raises(CodeError, match="it calls a tuple"):
        read(b"\x80\x02))R.")
    with pytest.raises(CodeError, match="changes a Name"):
        read(b"\x80\x02cos\nsystem\n}b.")


def test_objects_of_classes_are_refused():
    class Local:
        pass

    Local.__qualname__ = "Local"
    globals()["Local"] = Local
    for protocol in (0, 2, 4):
        with pytest.raises(CodeError):
            read(pickle.dumps(Local(), protocol))


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"\x80\x02", b"\x80\x02.", b"\x80\x02(.", b"\x80\x02h\x05."]
)
def test_what_is_no_pickle_or_ends_early_is_damaged(data):
    with pytest.raises(ValueError, match="the pickle in it"):
        read(data)


def test_the_file_is_left_behind_the_end():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps("two") + b"rest")
    assert [read_pickle(file, {}, str), read_pickle(file, {}, str)] == [1, "two"]
    assert file.read() == b"rest"


def test_a_persistent_identifier_is_asked_for():
    class Persistent(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", 7) if value == "weight" else None

    file = io.BytesIO()
    Persistent(file, 2).dump(["weight", "other"])
    assert read(file.getvalue()) == [("persistent", ("storage", 7)), "other"]
