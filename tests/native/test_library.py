"""The library in C++: compiled once, found again, and done without where it cannot be had."""

import functools
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import pytest

from ablax.native import SWITCH, library, why_not

LAYERS = Path(__file__).parents[1] / "layers"


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """As in a process that has not looked for the library yet, with a cache of its own."""
    monkeypatch.setenv("ABLAX_CACHE", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(library, "_loaded", functools.cache(library._loaded.__wrapped__))
    return tmp_path


@pytest.fixture
def native_compiler():
    compiler = library._compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    return compiler


def in_a_process():
    """Why a new process does without the library."""
    command = [sys.executable, "-c", "from ablax.native import why_not; print(why_not())"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_switch_leaves_everything_to_xla(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    assert why_not() == f"{SWITCH}=0"


def test_several_devices_are_left_to_xla(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert why_not() == "the CPU is 8 devices"


def test_an_accelerator_is_left_to_xla(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert why_not() == "the device is a gpu"


def test_without_a_compiler_it_is_said_once_and_all_works(anew, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING, "ablax"):
        assert "no C++ compiler was found" in why_not()
        why_not()
    assert len(caplog.records) == 1
    assert "half as fast" in caplog.text


def test_a_compiler_that_fails_is_named_with_its_error(anew, monkeypatch, caplog):
    compiler = anew / "broken"
    compiler.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'x.h:1: error: no' >&2; exit 1\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert why_not() == f"{compiler} failed: x.h:1: error: no"
    assert not list((anew / "native").glob("*.so"))


def test_a_cache_that_cannot_be_written_is_named_and_all_works(
    anew, native_compiler, monkeypatch, caplog
):
    (anew / "a file").write_text("")
    monkeypatch.setenv("ABLAX_CACHE", str(anew / "a file"))
    assert "cannot be kept or loaded ([Errno 20] Not a directory" in why_not()
    assert "ABLAX_CACHE" in caplog.text


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_compiled_and_mends_what_is_broken(
    anew, native_compiler
):
    assert in_a_process() == ""
    (made,) = (anew / "native").iterdir()
    assert made.name == f"{library._fingerprint(native_compiler)}.so"
    before = made.stat().st_mtime_ns
    assert in_a_process() == ""
    assert made.stat().st_mtime_ns == before
    for left in ("not a library", ""):
        made.write_text(left)
        assert in_a_process() == ""
        assert made.stat().st_size > 1000


def test_without_a_home_the_library_lies_where_nobody_else_can_write(monkeypatch, tmp_path):
    monkeypatch.delenv("ABLAX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name/cache")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        library, "_private_folder", functools.cache(library._private_folder.__wrapped__)
    )
    folder = library._cache()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert library._cache() == folder


def test_the_fingerprint_follows_the_processor(native_compiler, monkeypatch):
    before = library._fingerprint(native_compiler)
    monkeypatch.setattr(library, "_features", lambda: "flags: none")
    assert library._fingerprint(native_compiler) != before


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-mno-avx512f",), ("-mno-avx",)])
def test_narrower_vectors_give_the_same_numbers(flags, tmp_path):
    """The same source for a processor with fewer and narrower registers."""
    if library._compiler() is None or why_not():
        pytest.skip("no C++ compiler")
    script = f"""
import os
os.environ["ABLAX_CACHE"] = {str(tmp_path)!r}
from ablax.native import library
own = library._run
library._run = lambda command: own([*command, *{flags!r}] if "-o" in command else command)
import pytest
raise SystemExit(pytest.main(["-q", "-x", "-o", "addopts=", "-p", "no:cacheprovider",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # of what ablax imports before pytest
    "-k", "not everywhere", {str(LAYERS / "test_layers_native_convolution.py")!r},
    {str(LAYERS / "test_layers_native_pool.py")!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
