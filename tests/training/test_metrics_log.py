"""The metrics log: what a reader gets after kills, resumed runs and a full disk."""

import csv
import errno
import io
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ablax.errors import AblaxError
from ablax.files import write_atomic
from ablax.training.metrics import (
    MetricsError,
    MetricsLog,
    contradiction,
    read_metrics,
    seconds_by_run,
    vouched,
    write_csv,
)


def attempt(folder, *steps, **values):
    with MetricsLog(folder, tensorboard=False) as log:
        for step in steps:
            log.write(step, **values)


def pairs(records):
    return [(record["step"], record["attempt"]) for record in records]


def test_records_come_back_as_written(tmp_path):
    with MetricsLog(tmp_path / "a" / "b", tensorboard=False) as log:
        log.write(1, loss=0.1, images=128, variant="without 3,4 · ü")
        log.write(2, loss=2.5)
    assert read_metrics(tmp_path / "a" / "b") == [
        {"step": 1, "attempt": 1, "loss": 0.1, "images": 128, "variant": "without 3,4 · ü"},
        {"step": 2, "attempt": 1, "loss": 2.5},
    ]


def test_file_without_records_or_no_file_reads_as_empty(tmp_path):
    assert read_metrics(tmp_path) == []
    assert seconds_by_run(tmp_path, by=()) == {}
    MetricsLog(tmp_path, tensorboard=False).close()
    assert read_metrics(tmp_path) == []


TAKEN = ("NaN", "Infinity", "-Infinity")
texts = st.text(max_size=5).filter(lambda text: text not in TAKEN)
values = st.floats() | st.integers(-(2**60), 2**60) | texts


@settings(max_examples=30, deadline=None)
@given(value=values)
@example(math.nan)
@example(-0.0)
@example(1.7976931348623157e308)
def test_any_value_survives_strict_json(value):
    def refuse(constant):
        raise AssertionError(constant)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with MetricsLog(folder, tensorboard=False) as log:
            log.write(1, value=value)
        json.loads((folder / "metrics.jsonl").read_bytes(), parse_constant=refuse)
        [record] = read_metrics(folder)
    assert type(record["value"]) is type(value)
    assert record["value"] == value or (math.isnan(value) and math.isnan(record["value"]))


def test_numbers_that_are_not_finite_are_strings_in_the_file(tmp_path):
    attempt(tmp_path, 1, a=math.nan, b=math.inf, c=-math.inf)
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (line["a"], line["b"], line["c"]) == ("NaN", "Infinity", "-Infinity")


def test_names_and_strings_that_are_taken_are_refused(tmp_path):
    with MetricsLog(tmp_path, tensorboard=False) as log:
        with pytest.raises(ValueError, match="note='NaN' has a meaning of its own"):
            log.write(1, note="NaN")
        with pytest.raises(ValueError, match="attempt=3 has a meaning of its own"):
            log.write(1, **{"attempt": 3})
    assert read_metrics(tmp_path) == []


# --- resumed runs -------------------------------------------------------------------------------


def test_later_attempt_replaces_the_same_and_later_steps(tmp_path):
    attempt(tmp_path, 10, 20, 30)
    attempt(tmp_path, 20)
    assert pairs(read_metrics(tmp_path)) == [(10, 1), (20, 2)]


def test_later_attempt_counts_from_its_first_step(tmp_path):
    attempt(tmp_path, 10, 20, 30)
    attempt(tmp_path, 20, 30)
    assert pairs(read_metrics(tmp_path)) == [(10, 1), (20, 2), (30, 2)]


def test_what_the_second_attempt_replaced_stays_replaced_after_a_third(tmp_path):
    attempt(tmp_path, 10, 20, 30)
    attempt(tmp_path, 20)
    attempt(tmp_path, 40)
    assert pairs(read_metrics(tmp_path)) == [(10, 1), (20, 2), (40, 3)]


def test_third_attempt_may_go_back_behind_the_second(tmp_path):
    attempt(tmp_path, 10, 20, 30)
    attempt(tmp_path, 30, 40)
    attempt(tmp_path, 20)
    attempt(tmp_path)
    assert pairs(read_metrics(tmp_path)) == [(10, 1), (20, 3)]


def test_records_of_one_attempt_may_share_a_step(tmp_path):
    attempt(tmp_path, 10, 10, 20)
    attempt(tmp_path, 20, 20)
    assert pairs(read_metrics(tmp_path)) == [(10, 1), (10, 1), (20, 2), (20, 2)]


def test_runs_in_one_file_do_not_replace_each_other(tmp_path):
    with MetricsLog(tmp_path, tensorboard=False) as log:
        for seed in (0, 1):
            log.write(10, seed=seed)
            log.write(20, seed=seed)
    with MetricsLog(tmp_path, tensorboard=False) as log:
        log.write(20, seed=1)
    records = read_metrics(tmp_path, by=["seed"])
    assert [(r["seed"], r["step"], r["attempt"]) for r in records] == [
        (0, 10, 1),
        (0, 20, 1),
        (1, 10, 1),
        (1, 20, 2),
    ]


def test_attempt_counts_up_or_is_given(tmp_path):
    attempt(tmp_path, 1)
    with MetricsLog(tmp_path, tensorboard=False) as log:
        assert log.attempt == 2
    with MetricsLog(tmp_path, tensorboard=False, attempt=7) as log:
        log.write(2)
    with MetricsLog(tmp_path, tensorboard=False) as log:
        assert log.attempt == 8


def test_seconds_by_run_counts_replaced_records_too(tmp_path):
    attempt(tmp_path, 10, 20, seconds=1.5)
    attempt(tmp_path, 10, seconds=2)
    assert len(read_metrics(tmp_path)) == 1
    assert seconds_by_run(tmp_path, by=()) == {(): (5.0, 2)}


# --- kills and damage ---------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ['{"step": 3, "att', '{"step": 3, "attempt": 1}', "\u00b7"])
def test_half_written_last_line_is_skipped_and_cut_off_when_opened_again(tmp_path, rest):
    attempt(tmp_path, 1, 2)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + rest.encode())
    assert pairs(read_metrics(tmp_path)) == [(1, 1), (2, 1)]
    attempt(tmp_path, 3)
    assert path.read_bytes().startswith(whole + b'{"step": 3, "attempt": 2')
    assert pairs(read_metrics(tmp_path)) == [(1, 1), (2, 1), (3, 2)]


@pytest.mark.parametrize("line", ['{"step": 2, "att', "[1, 2]", '{"step": 2}', "", "\0\0\0"])
def test_damaged_middle_line_is_an_error_with_its_number(tmp_path, line):
    attempt(tmp_path, 1, 2, 3)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[2]]) + "\n")
    for read in (read_metrics, write_csv):
        with pytest.raises(MetricsError, match=r"metrics\.jsonl, line 2 is damaged"):
            read(tmp_path)
    assert issubclass(MetricsError, AblaxError)


def test_what_stands_on_a_damaged_line_is_cut_off_at_the_first_record_and_not_before(tmp_path):
    attempt(tmp_path, 1, 2, 3)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "\0\0\n", lines[2]]))
    before = path.read_bytes()
    with MetricsLog(tmp_path, tensorboard=False) as log:
        assert path.read_bytes() == before
        log.write(2)
    assert pairs(read_metrics(tmp_path)) == [(1, 1), (2, 2)]


def runs_of_two(folder):
    for of in ("aaaa", "bbbb"):
        with MetricsLog(folder, of=of, tensorboard=False, by=["run"]) as log:
            for step in (1, 2, 3):
                log.write(step, run=of, loss=0.5 / step)
    return {of: vouched(folder, of) for of in ("aaaa", "bbbb")}


def noticed(folder, claims):
    """Whether a reader of the log, or who holds it against the claims, says that it is another."""
    try:
        read_metrics(folder, by=["run"])
    except MetricsError:
        return True
    return any(contradiction(folder, of, claim) for of, claim in claims.items())


def test_a_flip_of_any_bit_is_noticed(tmp_path):
    claims = runs_of_two(tmp_path)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    assert not noticed(tmp_path, claims)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert noticed(tmp_path, claims), (place, whole[place : place + 1])


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[:-1],
        lambda lines: [],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, lines[-1].replace(b"bbbb", b"aaaa")],
    ],
)
def test_lines_that_are_lost_moved_or_added_are_noticed(tmp_path, change):
    claims = runs_of_two(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert noticed(tmp_path, claims)


def test_lines_of_another_recipe_or_folder_are_noticed(tmp_path):
    claims = runs_of_two(tmp_path / "ours")
    with MetricsLog(tmp_path / "others", of="cccc", tensorboard=False) as log:
        log.write(1, run="aaaa", loss=0.5)
    place = tmp_path / "ours" / "metrics.jsonl"
    place.write_bytes((tmp_path / "others" / "metrics.jsonl").read_bytes())
    assert contradiction(tmp_path / "ours", "aaaa", claims["aaaa"]) == (
        f"{place} has 0 good lines of it, and it wrote 3"
    )


def test_killed_writer_leaves_every_finished_record(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from ablax.training.metrics import MetricsLog
        log = MetricsLog(Path(sys.argv[1]), tensorboard=False)
        for step in range(10**9):
            log.write(step, loss=0.5, note="x" * 200)
            print(step, flush=True)
    """)
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(50):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    records = read_metrics(tmp_path)
    assert [record["step"] for record in records] == list(range(len(records)))
    assert len(records) >= 50
    attempt(tmp_path, len(records))
    assert read_metrics(tmp_path)[-1]["attempt"] == 2


class Disk:
    """A file on a disk that takes `room` more bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.file.write(bytes(data)[: self.room])
        self.room -= written
        return written


def test_full_disk_is_an_error_and_leaves_no_half_line(tmp_path):
    with MetricsLog(tmp_path, tensorboard=False) as log:
        log.write(1, loss=0.5)
        before = (tmp_path / "metrics.jsonl").read_bytes()
        log._file = Disk(log._file, room=10)
        with pytest.raises(
            MetricsError, match=r"No space left on device; .* bytes are free"
        ) as got:
            log.write(2, loss=0.5)
        assert str(tmp_path / "metrics.jsonl") in str(got.value)
        assert (tmp_path / "metrics.jsonl").read_bytes() == before
        log._file.room = 10**6
        log.write(2, loss=0.25)
    assert [record["loss"] for record in read_metrics(tmp_path)] == [0.5, 0.25]


def test_disk_that_turned_read_only_is_not_called_full(tmp_path):
    class ReadOnly(Disk):
        def write(self, _):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with MetricsLog(tmp_path, tensorboard=False) as log:
        log.write(1, loss=0.5)
        log._file = ReadOnly(log._file, room=0)
        with pytest.raises(MetricsError, match=r"Read-only.*\. Look why the disk is read-only"):
            log.write(1, loss=0.5)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(MetricsError, match="give another --results folder"):
        MetricsLog(tmp_path / "results", tensorboard=False)


# --- CSV ----------------------------------------------------------------------------------------


def test_csv_has_the_union_of_the_columns_and_the_records_that_count(tmp_path):
    attempt(tmp_path, 1, 2, loss=0.1)
    attempt(tmp_path, 2, test_error=3.5, note='a,"b"')
    write_csv(tmp_path)
    text = (tmp_path / "metrics.csv").read_text()
    assert text.splitlines()[0] == "step,attempt,loss,test_error,note"
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"step": "1", "attempt": "1", "loss": "0.1", "test_error": "", "note": ""},
        {"step": "2", "attempt": "2", "loss": "", "test_error": "3.5", "note": 'a,"b"'},
    ]


def test_csv_that_cannot_be_written_keeps_the_old_one(tmp_path, monkeypatch):
    attempt(tmp_path, 1)
    write_csv(tmp_path)
    before = (tmp_path / "metrics.csv").read_text()
    attempt(tmp_path, 2)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MetricsError, match=r"metrics\.csv cannot be written \(No space left"):
        write_csv(tmp_path)
    assert (tmp_path / "metrics.csv").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.jsonl"]


def test_atomic_write_keeps_newlines_and_replaces(tmp_path):
    write_atomic(tmp_path / "a", "1\r\n2\n")
    write_atomic(tmp_path / "a", "3\r\n·\n")
    assert (tmp_path / "a").read_bytes() == "3\r\n·\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- TensorBoard --------------------------------------------------------------------------------


def raw_events(path):
    """The events in one file of TensorBoard's."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    content = path.read_bytes()
    while content:
        size = int.from_bytes(content[:8], "little")
        assert int.from_bytes(content[8:12], "little") == masked_crc32c(content[:8])
        yield Event.FromString(content[12 : 12 + size])
        content = content[12 + size + 4 :]


def events(folder):
    """(tag, step, value) of every scalar in the event files directly in `folder`."""
    found = [event for path in sorted(folder.glob("events.*")) for event in raw_events(path)]
    return [(v.tag, each.step, v.simple_value) for each in found for v in each.summary.value]


@pytest.mark.parametrize("when", ["write_event", "flush"])
def test_tensorboard_that_cannot_be_written_is_one_sentence(tmp_path, when):
    program = """
import errno, os, sys
from pathlib import Path
from ablax.training.metrics import MetricsError, MetricsLog

def read_only(*_):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))

try:
    with MetricsLog(Path(sys.argv[1])) as log:
        log.write(1, loss=0.5)
        setattr(log._writers[""], sys.argv[2], read_only)
        log.write(2, loss=0.5)
except MetricsError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, str(tmp_path), when]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.count("Read-only file system"), done.stdout.count("\n")) == (1, 1)
    assert done.stderr == ""


def test_tensorboard_purges_what_an_earlier_attempt_said_of_later_steps(tmp_path):
    with MetricsLog(tmp_path) as log:
        log.write(10, loss=0.5)
        log.write(20, loss=0.25)
    with MetricsLog(tmp_path) as log:
        log.write(20, loss=0.125)
    files = sorted((tmp_path / "tensorboard").iterdir())
    assert [file.suffix for file in files] == [".1", ".2"]
    starts = [event.step for event in raw_events(files[1]) if event.session_log.status == 1]
    assert starts == [20]


def test_tensorboard_gets_the_numbers_by_name_and_step(tmp_path):
    with MetricsLog(tmp_path) as log:
        log.write(10, loss=0.5, images=3, note="text")
        log.write(20, loss=0.25)
    expected = [("loss", 10, 0.5), ("images", 10, 3.0), ("loss", 20, 0.25)]
    assert events(tmp_path / "tensorboard") == expected


def test_tensorboard_has_a_folder_for_every_run(tmp_path):
    with MetricsLog(tmp_path, by=("variant", "seed")) as log:
        log.write(10, variant="without 3,4", seed=0, loss=0.5)
        log.write(10, variant="n/a", seed=1, loss=0.25)
    assert events(tmp_path / "tensorboard" / "without 3,4 0") == [("loss", 10, 0.5)]
    assert events(tmp_path / "tensorboard" / "n_a 1") == [("loss", 10, 0.25)]


def test_tensorboard_is_neither_imported_nor_written_before_it_is_needed(tmp_path):
    MetricsLog(tmp_path).close()
    attempt(tmp_path, 1, loss=0.5)
    assert not (tmp_path / "tensorboard").exists()
    code = "import sys, ablax.training.metrics; sys.exit('tensorboardX' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
