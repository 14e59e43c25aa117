"""The types of the command line: what each takes, and all it says of what it refuses."""

import os
from pathlib import Path

import pytest

from ablax.commands import options
from ablax.commands.options import (
    AtLeastOne,
    AtLeastTwo,
    ConventionName,
    DataSource,
    ExistingFile,
    ExistingFolder,
    Images,
    ModelSource,
    NetworkName,
    NonNegativeInt,
    OutFolder,
    PageOut,
    PictureOut,
    Pixels,
    Positive,
    Seed,
    Share,
    TableFormat,
    VariantNames,
    Word,
    parse,
)
from ablax.errors import AblaxError

CLOSED = "the folder /proc may not be written to (No such file or directory); give another"


def read(kind, *words):
    """What a command with one option of this type gets of the words."""

    def command(*, given):
        """Take one option."""

    command.__annotations__ = {"given": kind}
    return parse(command, ["--given", *words], "command").keywords["given"]


def refused(kind, *words):
    with pytest.raises(AblaxError) as refusal:
        read(kind, *words)
    return str(refusal.value)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.png").write_text("")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (AtLeastOne, "1", 1),
        (AtLeastOne, "1000000", 1_000_000),
        (AtLeastTwo, "2", 2),
        (NonNegativeInt, "0", 0),
        (Images, "65536", 65_536),
        (Pixels, "10000", 10_000),
        (Seed, "4294967295", 2**32 - 1),
        (Share, "0", 0.0),
        (Share, "1", 1.0),
        (Positive, "1e-5", 1e-5),
        (Word, "fc6/dense", "fc6/dense"),
        (DataSource, "tfds:cifar10", "tfds:cifar10"),
        (TableFormat, "csv", "csv"),
        (NetworkName, "lenet5", "lenet5"),
        (ConventionName, "lecture", "lecture"),
        (ExistingFile, "file.png", Path("file.png")),
        (ExistingFolder, "folder", Path("folder")),
        (ModelSource, "lenet5", "lenet5"),
        (ModelSource, "lenet5=file.png", "lenet5=file.png"),
        (OutFolder, "folder", Path("folder")),
        (OutFolder, "new/below", Path("new/below")),
        (PictureOut, "file.png", Path("file.png")),
        (PictureOut, "folder/new.svg", Path("folder/new.svg")),
        (PageOut, "new.html", Path("new.html")),
        (AtLeastOne | None, "3", 3),
        (AtLeastOne | None, "None", None),
        (int, "-3", -3),
        (bool, "True", True),
    ],
)
def test_a_type_takes_what_it_is_for(kind, word, value, place):
    assert read(kind, word) == value


@pytest.mark.parametrize(
    ("kind", "word", "said"),
    [
        (AtLeastOne, "0", "0: expected at least 1"),
        (AtLeastOne, "-1", "-1: expected at least 1"),
        (AtLeastOne, "1000000000000", "1000000000000: expected at most 1_000_000"),
        (AtLeastOne, "1e3", "1e3: expected a whole number, such as 3"),
        (AtLeastOne, "1.5", "1.5: expected a whole number, such as 3"),
        (AtLeastOne, "nan", "nan: expected a whole number, such as 3"),
        (AtLeastOne, "", "'': expected a whole number, such as 3"),
        (AtLeastOne, "٣", "٣: expected a whole number, such as 3"),
        (AtLeastOne | None, "0", "0: expected at least 1"),
        (tuple[AtLeastOne, ...], "0", "0: expected at least 1"),
        (AtLeastTwo, "1", "1: expected at least 2"),
        (NonNegativeInt, "-1", "-1: expected at least 0"),
        (Images, "65537", "65537: expected at most 65_536"),
        (Pixels, "100000", "100000: expected at most 10_000"),
        (Seed, "-1", "-1: expected at least 0"),
        (Seed, "4294967296", "4294967296: expected at most 4_294_967_295"),
        (Share, "1.1", "1.1: expected a number from 0 to 1"),
        (Share, "nan", "nan: expected a number from 0 to 1"),
        (Positive, "0", "0: expected a number above 0, such as 0.001"),
        (Positive, "inf", "inf: expected a number above 0, such as 0.001"),
        (Positive, "few", "few: expected a number above 0, such as 0.001"),
        (Positive, "٣", "٣: expected a number above 0, such as 0.001"),
        (Positive, "0.5\n", r"'0.5\n': expected a number above 0, such as 0.001"),
        (float, " 1", "' 1': expected a number, such as 0.5"),
        (
            VariantNames,
            "a,,b",
            "a,,b: expected names of variants with commas between, such as without_7,full",
        ),
        (Word, " ", "' ': expected a name"),
        (DataSource, "", "'': expected a name"),
        (TableFormat, "cvs", "cvs: did you mean 'csv'?"),
        (TableFormat, "xyz", "xyz: choose from: text, csv, markdown, json, html"),
        (bool, "yes", "yes: choose from: True, False"),
        (int, "x", "x: expected a whole number, such as 3"),
        (float, "x", "x: expected a number, such as 0.5"),
        (ExistingFile, "no", "no: there is no such file; give the path of a file that exists"),
        (ExistingFile, "", "'': there is no such file; give the path of a file that exists"),
        (
            ExistingFile,
            "folder",
            "folder: expected a file, and it is a folder; give a file in it",
        ),
        (
            ExistingFile,
            "pipe.png",
            "pipe.png: expected a regular file, and it is none; give the path of another",
        ),
        (
            ExistingFile,
            "dangling",
            "dangling: expected a regular file, and it is none; give the path of another",
        ),
        (
            ExistingFolder,
            "file.png",
            "file.png: there is no such folder; give the path of a folder that exists",
        ),
        (OutFolder, "", "'': expected a folder, such as results/mine"),
        (
            OutFolder,
            "file.png/below",
            "file.png/below: file.png is not a folder; give the path of a folder",
        ),
        (
            OutFolder,
            "dangling/x",
            "dangling/x: dangling is not a folder; give the path of a folder",
        ),
        (
            OutFolder,
            "/proc/x",
            f"/proc/x: {CLOSED}",
        ),
        (
            PictureOut,
            "/proc/x.png",
            f"/proc/x.png: {CLOSED}",
        ),
        (OutFolder, "x" * 201, "x" * 201 + ": a name of more than 200 bytes; give a shorter one"),
        (PictureOut, "x.gif", "x.gif: the name must end in .png or .svg or .pdf"),
        (PictureOut, "", "'': the name must end in .png or .svg or .pdf"),
        (PictureOut, "pipe.png", "pipe.png: it is there, and no file; give the name of a file"),
        (
            PageOut,
            "no/x.html",
            "no/x.html: there is no folder no; make it first (mkdir -p)",
        ),
    ],
)
def test_a_refusal_says_option_word_and_what_was_expected(kind, word, said, place):
    assert refused(kind, word).replace(f"{place}/", "") == f"--given {said}"


def test_what_is_no_model_is_refused_with_what_is_one(place):
    assert refused(ModelSource, "") == (
        "expected a model, such as resnet20 or results/alexnet_ablation/digits"
    )
    assert refused(ModelSource, "./no").startswith("there is no ./no: give a folder that")


def test_a_name_that_nobody_knows_gets_the_nearest():
    assert refused(NetworkName, "lenet") == "there is no network 'lenet': did you mean 'lenet5'?"
    assert "did you mean 'usual'?" in refused(ConventionName, "usal")


def test_what_may_not_be_written_or_read_is_refused(place, monkeypatch):
    monkeypatch.setattr(options.os, "access", lambda *_: False)  # root may do everything
    assert "file may not be read; change its permissions" in refused(ExistingFile, "file.png")
    assert "may not be written to; give another" in refused(OutFolder, "folder")
    assert "may not be written to; give another" in refused(PictureOut, "folder/x.png")


def test_several_words_are_taken_in_groups():
    pairs = tuple[tuple[str, float], ...]
    assert read(pairs, "*/bias", "2", "fc*", "0.1") == (("*/bias", 2.0), ("fc*", 0.1))
    assert refused(pairs, "*/bias") == (
        "--given */bias: expected TEXT FLOAT, and as much again for each more"
    )
    assert refused(pairs, "*/bias", "x") == "--given x: expected a number, such as 0.5"


def test_where_tyros_hook_says_nothing_its_own_words_are_taken(monkeypatch):
    """The hook is no public part of tyro: a version without it must not end in a traceback."""

    def unknown(*_):
        raise AttributeError

    monkeypatch.setattr(options, "_refusal", unknown)
    said = refused(AtLeastOne, "0")
    assert said == (
        "Value error Error parsing --given: 0: expected at least 1 Argument helptext: --given INT "
        "(required); ablax command --help explains the options"
    )
