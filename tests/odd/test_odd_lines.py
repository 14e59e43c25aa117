"""A part of the wrong lines in each run of the tests; `make odd-input` gives all of them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import odd_files
from odd_input import Answer, examined, faults
from odd_lines import BASE, Line, lines, options_of, recipe_fields

from ablax.__main__ import COMMANDS

COUNT = 20
"""Of a sample, beside those that failed once."""

ONCE = (
    # newlines, digits of other scripts, names of another case
    "list --format 'text\n'",
    "check-gradient lenet5 --tolerance ٣",
    "inspect lenet5 {F}/pic/good.png --out o --classes ٣",
    "run ALEXNET_ABLATION",
    # places that only look as if one could write there
    "doctor alexnet_ablation --config smoke --out /proc/nope",
    "table lenet5 --plot /proc/x.png",
    # accepted
    "--help run",
    "--version extra",
    "run ../experiments/alexnet_ablation",
    "run alexnet_ablation --config smoke --only ,",
    "run alexnet_ablation --config smoke --augment.saturation 0.5",
    "predict lenet5 {F}/pic/good.png --resize 3",
    # in the words of a file, not as typed
    "show --help-me",
    "run alexnet_ablation --config smoke --only without_7 --data.held-out 0.9999",
    "run alexnet_ablation --config smoke --only without_7 --optimizer.warmup 1e12",
    # tracebacks, and what was left behind
    "inspect lenet5 {F}/pic/good.png --out o --window 33",
    "doctor {F}/results/head",
    "run alexnet_ablation --config smoke --only without_7 --results {F}/results/head",
)
"""Lines that failed once: an exit status, a message, a traceback or a file left behind."""

ONCE_FILES = (
    *("exit0", "exitlate", "editexits", "base", "generatorexit", "raisesmultiline", "treatkey"),
    *("variantuni", "caseclash", "longname", "claimself", "claimempty", "labelssame", "emptyq"),
    *("measurefn", "picturename", "novariants", "trueepochs", "augstr", "badpicture", "one_class"),
    *("black", "emptytest", "emptytrain", "negativesize", "nosize", "wrongsize", "otherfeatures"),
)
"""Experiments, recipes and sets of which one line failed once."""


def chosen() -> list[Line]:
    every = [line for line in lines() if not line.whole]
    once = [line for line in every if str(line) in {str(of) for of in map(typed, ONCE)}]
    for name in ONCE_FILES:
        ends = (f"{{F}}/exp/{name}.py", f"{{F}}/rec/{name}.py", f"tfds:{name}")
        once += [line for line in every if set(ends) & set(line.words)][-1:]
    return [*once, *random.Random(0).sample(every, COUNT)]


def typed(text: str) -> Line:
    import shlex

    return Line(tuple(shlex.split(text)), ())


@pytest.mark.slow
def test_a_wrong_line_ends_with_one_message_and_leaves_nothing(tmp_path):
    folder = odd_files.make(tmp_path / "odd", whole=False)
    wrong = [
        f"{', '.join(found)}: {line}\n    {answer.err}"
        for line, answer, found in examined(dict.fromkeys(chosen()), folder)
        if found
    ]
    assert not wrong, "\n".join(wrong)


def test_lines_that_failed_once_are_among_all():
    every = set(map(str, lines()))
    assert not [text for text in map(str, map(typed, ONCE)) if text not in every]
    words = {word for line in lines() for word in line.words}
    for name in ONCE_FILES:
        assert {f"{{F}}/exp/{name}.py", f"{{F}}/rec/{name}.py", f"tfds:{name}"} & words, name


def test_every_command_and_every_option_has_wrong_lines():
    assert set(BASE) == set(COMMANDS)
    every = lines()
    assert len(every) > 2000
    for name in COMMANDS:
        for option in options_of(name):
            given = [
                line
                for line in every
                if line.words[:1] == (name,)
                and line.status == 2
                and any(word.partition("=")[0] == option for word in line.words)
            ]
            assert given, f"{name} {option}"
    assert len(recipe_fields()) > 30


RIGHT = Answer(2, "", "ablax: --depth 0: expected at least 1\n", 0.1, False, ())
LINE = Line(("show", "lenet5", "--depth", "0"), ("--depth",))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"status": 0}, "accepted"),
        ({"status": 1}, "status 1"),
        ({"status": None}, "hung or died"),
        ({"err": "Traceback (most recent call last):\n"}, "traceback"),
        ({"err": "ablax: --depth 0\nAborted\n"}, "abort"),
        ({"err": "a warning\nablax: --depth 0\n"}, "not one message"),
        ({"err": "ablax: depth 0: expected at least 1\n"}, "names nothing"),
        ({"err": "ablax: --depth 0" + " and so on" * 99}, "long"),
        ({"out": "1 2 3\n"}, "output"),
        ({"left": ("o",)}, "wrote"),
        ({"seconds": 21.0}, "slow"),
        ({"trained": True}, "accepted"),
    ],
)
def test_each_fault_of_an_answer_is_seen(changed, fault):
    import dataclasses

    found = faults(LINE, dataclasses.replace(RIGHT, **changed))
    assert (fault in found) if fault else not found
