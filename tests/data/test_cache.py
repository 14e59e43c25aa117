"""The cache: whole or not there, whatever stops the process or touches the files."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ablax.data.images import DataError
from ablax.data.sources import MANIFEST, build_once
from ablax.files import default_root, sealed


class Builder:
    """Writes one file and counts how often it was asked to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, new):
        self.calls += 1
        (new / "pixels.npy").write_bytes(bytes(range(200)))
        return {"answer": (1, 2)}


def test_build_once_builds_once_and_returns_the_same_answer(tmp_path):
    build = Builder()
    first = build_once(tmp_path / "a" / "set", build)
    second = build_once(tmp_path / "a" / "set", build)
    assert first == second == {"answer": [1, 2]}
    assert build.calls == 1
    assert (tmp_path / "a" / "set" / "pixels.npy").read_bytes() == bytes(range(200))


def damage_manifest_missing(place):
    (place / MANIFEST).unlink()


def damage_manifest_cut(place):
    (place / MANIFEST).write_text((place / MANIFEST).read_text()[:30])


def damage_manifest_foreign(place):
    (place / MANIFEST).write_text("[]")


def damage_manifest_of_another_format(place):
    manifest = json.loads((place / MANIFEST).read_text())
    (place / MANIFEST).write_text(sealed(manifest | {"format": 0}))


def damage_manifest_flipped(place):
    flipped = bytearray((place / MANIFEST).read_bytes())
    flipped[len(flipped) // 3] ^= 4
    (place / MANIFEST).write_bytes(flipped)


def damage_file_cut(place):
    (place / "pixels.npy").write_bytes(bytes(range(100)))


def damage_file_missing(place):
    (place / "pixels.npy").unlink()


def damage_one_bit(place):
    content = bytearray((place / "pixels.npy").read_bytes())
    content[50] ^= 1
    (place / "pixels.npy").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_manifest_missing, "manifest.json is missing"),
        (damage_manifest_cut, "manifest.json cannot be read"),
        (damage_manifest_foreign, "manifest.json cannot be read"),
        (damage_manifest_of_another_format, "written in format 0, this is 2"),
        (damage_manifest_flipped, "cannot be read"),
        (damage_file_cut, "pixels.npy has 100 bytes instead of 200"),
        (damage_file_missing, "pixels.npy is missing"),
        (damage_one_bit, "pixels.npy has another checksum"),
    ],
)
def test_a_damaged_cache_is_noticed_reported_and_built_again(tmp_path, caplog, damage, reason):
    build, place = Builder(), tmp_path / "set"
    build_once(place, build)
    damage(place)
    with caplog.at_level(logging.WARNING):
        build_once(place, build)
    assert reason in caplog.text
    assert build.calls == 2
    assert (place / "pixels.npy").read_bytes() == bytes(range(200))
    caplog.clear()
    build_once(place, build)
    assert (build.calls, caplog.text) == (2, "")


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def build(new):
        (new / "pixels.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "set", build)
    assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]


KILLED = """
import sys, time
from pathlib import Path
from ablax.data.sources import build_once
def build(new):
    (new / "pixels.npy").write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
build_once(Path(sys.argv[1]), build)
"""


def test_a_killed_process_leaves_no_half_cache_and_its_remains_are_removed(tmp_path):
    place = tmp_path / "set"
    command = [sys.executable, "-c", KILLED, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert not place.exists()
    assert list(tmp_path.glob(".set.new-*"))
    build = Builder()
    build_once(place, build)
    assert build.calls == 1
    assert not list(tmp_path.glob(".set.new-*"))


def test_whoever_asks_at_the_same_time_waits_for_the_first(tmp_path):
    calls = []

    def build(new):
        calls.append(1)
        time.sleep(0.2)
        (new / "pixels.npy").write_bytes(b"whole")
        return {}

    def ask():
        build_once(tmp_path / "set", build)
        assert (tmp_path / "set" / "pixels.npy").read_bytes() == b"whole"
        calls.append("seen")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1, *["seen"] * 4]


def test_a_cache_that_cannot_be_written_is_refused_with_advice(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be read or written \(.*\): .*ABLAX_CACHE"):
        build_once(tmp_path / "file" / "set", Builder())


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    def build(new):
        (new / "pixels.npy").write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    with pytest.raises(DataError, match=r"cannot be read or written .*No space left.*make room"):
        build_once(tmp_path / "set", build)
    assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]


def test_a_build_that_cannot_read_its_source_is_not_blamed_on_the_cache(tmp_path):
    def build(new):
        raise PermissionError(13, os.strerror(13), str(tmp_path / "source" / "pictures"))

    with pytest.raises(PermissionError, match="source/pictures"):
        build_once(tmp_path / "set", build)
    assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]


def test_a_build_that_cannot_write_its_files_is_refused_with_advice(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read or written .*No such file.*ABLAX_CACHE"):
        build_once(tmp_path / "set", lambda new: (new / "missing" / "pixels.npy").write_bytes(b""))


def test_a_whole_cache_is_used_where_nothing_can_be_written(tmp_path):
    build, place = Builder(), tmp_path / "set"
    first = build_once(place, build)
    # A folder in the place of the lock: nobody, not even root, can open it for writing.
    (tmp_path / ".set.lock").unlink()
    (tmp_path / ".set.lock").mkdir()
    assert build_once(place, build) == first
    assert build.calls == 1
    damage_one_bit(place)
    with pytest.raises(DataError, match=r"cannot be read or written .*Is a directory"):
        build_once(place, build)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ABLAX_CACHE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine"
    monkeypatch.delenv("ABLAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "ablax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "ablax"
