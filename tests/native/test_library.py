"""The library in C++: compiled once, found again, and done without where it cannot be had."""

import concurrent.futures
import ctypes
import errno
import functools
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import jax
import pytest

from ablax.native import SWITCH, library, why_not

LAYERS = Path(__file__).parents[1] / "layers"


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """As in a process that has not looked for the library yet, with a cache of its own."""
    monkeypatch.setenv("ABLAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(SWITCH, raising=False)
    for name in ("_loaded", "_said"):
        monkeypatch.setattr(library, name, functools.cache(getattr(library, name).__wrapped__))
    return tmp_path


@pytest.fixture
def native_compiler():
    found = shutil.which("c++")
    if found is None:
        pytest.skip("no C++ compiler")
    return found


@pytest.fixture
def named(anew, monkeypatch):
    """Makes a shell script the compiler, for which `$last` is the file to write."""

    def name(script, folder="bin"):
        compiler = anew / folder / "compiler"
        compiler.parent.mkdir(exist_ok=True)
        compiler.write_text(
            f'#!/bin/sh\ncd {anew}\ncase "$*" in *--version) exit 0;; esac\n'
            f'echo "$*" >> calls\nfor last; do :; done\n{script}\n'
        )
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", str(compiler))
        return compiler

    return name


@pytest.fixture
def small(named, native_compiler, anew):
    """A compiler of a library without loops, which takes no time."""
    (anew / "small.cpp").write_text('extern "C" int seven() { return 7; }\n')
    return f'exec {native_compiler} -shared -fPIC small.cpp -o "$last"'


def opened():
    return library._opened(library._compiler()).seven()


def calls(folder):
    """How often the compiler was called, and of those how often for this processor."""
    lines = (folder / "calls").read_text().splitlines()
    return len(lines), sum("-march=native" in line for line in lines)


def kept(folder):
    return sorted((folder / "cache" / f"native-{os.geteuid()}").glob("*.so"))


def in_a_process():
    """Why a new process does without the library."""
    command = [sys.executable, "-c", "from ablax.native import why_not; print(why_not())"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


# --- the switch


@pytest.mark.parametrize("value", ["0", "off", "No", "False"])
def test_the_switch_leaves_everything_to_xla(monkeypatch, value):
    monkeypatch.setenv(SWITCH, value)
    assert why_not() == f"{SWITCH}={value}"


@pytest.mark.parametrize("value", ["", "1", "on", "True", "yes"])
def test_the_switch_may_say_that_the_loops_are_wanted(anew, monkeypatch, value):
    monkeypatch.setattr(library, "_loaded", lambda: (None, "looked for"))
    monkeypatch.setenv(SWITCH, value)
    assert why_not() == "looked for"


def test_a_switch_that_is_neither_is_said_once_and_leaves_everything_to_xla(
    anew, monkeypatch, caplog
):
    monkeypatch.setenv(SWITCH, "2")
    assert why_not() == why_not() == "ABLAX_NATIVE=2: expected 1, or 0 for XLA alone"
    assert len(caplog.records) == 1


def test_several_devices_are_left_to_xla(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert why_not() == "the CPU is 8 devices"


def test_an_accelerator_is_left_to_xla(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert why_not() == "the device is a gpu"


# --- oneDNN


def test_without_onednn_it_is_said_how_to_get_it(anew, monkeypatch):
    def nowhere(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nowhere)
    assert why_not() == "oneDNN is not installed (pip install 'ablax[cpu]')"


def test_on_another_kind_of_machine_it_is_said_that_there_is_none(anew, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert why_not() == "there is no package of oneDNN for Darwin on arm64"


def test_without_openmp_it_is_said_what_to_install(anew, monkeypatch):
    def without(name):
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", without)
    assert why_not().startswith("oneDNN cannot be loaded (libgomp.so.1: cannot open")
    assert why_not().endswith("on Debian the package libgomp1")


def test_a_package_that_is_not_whole_is_named(anew, monkeypatch):
    class Whole:
        files = ()

    monkeypatch.setattr(metadata, "distribution", lambda name: Whole())
    assert why_not() == "onednn-devel-cpu-gomp is installed without oneapi/dnnl/dnnl.hpp"


# --- the compiler


def test_without_a_compiler_it_is_said_once_and_all_works(anew, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING, "ablax"):
        assert "no C++ compiler was found" in why_not()
        why_not()
    assert len(caplog.records) == 1
    assert "half as fast" in caplog.text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("/no/such -m64", "CXX=/no/such -m64 names no program that is there"),
        ("g++ 'half", "CXX=g++ 'half is no command (No closing quotation)"),
    ],
)
def test_a_name_of_no_compiler_is_named(anew, monkeypatch, given, reason):
    monkeypatch.setenv("CXX", given)
    assert why_not().startswith(reason)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'x.h:1: error: no' >&2; exit 1", "{} failed: x.h:1: error: no"),
        ("kill -9 $$", "{} failed: ended by signal 9"),
        ("exit 3", "{} failed: exit status 3"),
        (":", "{} ended without an error and wrote nothing"),
        (
            "echo 'ld: final link failed: No space left on device' >&2\n"
            "echo 'collect2: error: ld returned 1 exit status' >&2; exit 1",
            "{} failed: ld: final link failed: No space left on device: make room, or name another "
            "folder in TMPDIR",
        ),
    ],
)
def test_a_compiler_that_fails_is_named_with_its_error(anew, named, script, reason):
    compiler = named(script)
    assert why_not() == reason.format(compiler)
    assert not kept(anew)


def test_a_compiler_that_cannot_be_run_is_named(anew, named):
    compiler = named("")
    compiler.write_bytes(b"\x7fELF")
    assert why_not() == f"{compiler} cannot be run (Exec format error)"


def test_a_compiler_that_hangs_is_said_and_ended_with_what_it_started(
    anew, named, monkeypatch, caplog
):
    monkeypatch.setattr(library, "PATIENCE", (0.1, 0.3))
    compiler = named("sleep 60 & echo $! > started; wait")
    assert why_not() == f"{compiler} did not end within 0 s"
    assert "ABLAX_NATIVE=0 does without" in caplog.records[1].getMessage()
    started = Path("/proc", (anew / "started").read_text().strip(), "stat")
    end = time.monotonic() + 5
    while started.exists() and started.read_text().split()[2] != "Z":
        assert time.monotonic() < end, "it still runs"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo text > "$last"', "cannot be loaded ("),
        ('exec c++ -shared -x c++ /dev/null -o "$last"', "made something else of the code in C++"),
    ],
)
def test_what_is_no_library_of_loops_is_not_called(anew, named, native_compiler, script, reason):
    named(script)
    assert reason in why_not()


def test_a_compiler_may_have_a_launcher_options_and_a_space_in_its_name(
    anew, named, small, monkeypatch
):
    compiler = named(small, folder="a folder")
    assert opened() == 7
    launcher = anew / "launcher"
    launcher.write_text('#!/bin/sh\nexec "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("CXX", f"{launcher} '{compiler}' -m64")
    assert opened() == 7
    assert (anew / "calls").read_text().splitlines()[1].startswith("-m64 -std=c++17")
    assert len(kept(anew)) == 2


def test_what_a_killed_compiler_left_is_not_kept_for_good(anew, named, small, caplog):
    native = 'case "$*" in *-march=native*) '
    named(f"{native} [ -e killed ] || {{ touch killed; kill -9 $$; }};; esac\n{small}")
    assert opened() == 7
    assert "ended by signal 9: compiled without -march=native" in caplog.text
    assert calls(anew) == (2, 1)
    assert opened() == 7
    assert calls(anew) == (3, 2)  # for this processor now
    assert opened() == 7
    assert calls(anew) == (3, 2)


def test_a_compiler_that_fails_at_this_processor_compiles_for_any_once(anew, named, small):
    named(f'case "$*" in *-march=native*) exit 1;; esac\n{small}')
    assert opened() == opened() == 7
    assert calls(anew) == (3, 2)


# --- what is kept


def test_threads_that_ask_at_once_compile_once(anew, named, small):
    named(f"sleep 0.1\n{small}")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reasons = {each.result() for each in [pool.submit(why_not) for _ in range(3)]}
    assert len(reasons) == 1
    assert "made something else" in reasons.pop()
    assert calls(anew)[0] == 1


@pytest.mark.slow
def test_processes_that_compile_at_once_end_with_one_whole_library(anew, named, small):
    named(f"while [ $(wc -l < calls) -lt 2 ]; do sleep 0.01; done\n{small}")  # until both compile
    script = "from ablax.native import library as l; print(l._opened(l._compiler()).seven())"
    both = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [each.communicate()[0] for each in both] == ["7\n", "7\n"]
    assert len(kept(anew)) == 1
    assert opened() == 7
    assert calls(anew)[0] == 2


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def replaced(path):
    path.write_bytes(path.read_bytes().replace(b"seven", b"eight"))


def linked(path):
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


@pytest.mark.parametrize(
    "spoil", [truncated, replaced, linked, lambda path: path.chmod(0o620), Path.touch]
)
def test_a_library_that_is_not_as_it_was_compiled_is_compiled_again(
    anew, named, small, caplog, spoil
):
    named(small)
    assert opened() == 7
    (path,) = kept(anew)
    spoil(path)
    assert opened() == 7
    spoiled = spoil is not Path.touch
    assert calls(anew)[0] == 1 + spoiled
    assert (f"{path} is not as it was compiled" in caplog.text) == spoiled
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_folder_that_others_may_write_to_or_read_is_refused(anew, named, small, mode):
    named(small)
    assert opened() == 7
    (path,) = kept(anew)
    path.parent.chmod(mode)
    assert why_not() == (
        f"code is loaded only from a folder of your own with mode 700, and {path.parent} has owner "
        f"{os.geteuid()} and mode {mode:o}: remove it, or name another folder in ABLAX_CACHE"
    )


def test_a_folder_of_another_user_or_elsewhere_is_refused(anew, named, small, monkeypatch):
    named(small)
    assert opened() == 7
    (path,) = kept(anew)
    theirs = path.parent.with_name(f"native-{os.geteuid() + 1}")
    theirs.symlink_to(path.parent)
    monkeypatch.setattr(library, "_user", lambda: os.geteuid() + 1)
    assert why_not().startswith("code is loaded only from a folder of your own")
    theirs.unlink()
    path.parent.rename(theirs)
    library._loaded.cache_clear()
    assert f"has owner {os.geteuid()} and mode 700" in why_not()


def test_a_disk_without_room_is_named(anew, named, small, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    named(small)
    monkeypatch.setattr(library, "write_atomic", full)
    assert "cannot be called ([Errno 28] No space left on device" in why_not()
    assert "ABLAX_CACHE" in why_not()


def test_a_disk_from_which_nothing_is_run_is_named(anew, named, small, monkeypatch):
    def mapped(name):
        if "libdnnl" in name:
            return
        raise OSError(f"{name}: failed to map segment from shared object")

    named(small)
    monkeypatch.setattr(ctypes, "CDLL", mapped)
    assert "failed to map segment" in why_not()
    assert "mounted noexec, name another folder in ABLAX_CACHE" in why_not()
    library._loaded.cache_clear()
    assert "failed to map segment" in why_not()
    assert calls(anew)[0] == 1


@pytest.mark.parametrize(
    "given", [{"ABLAX_CACHE": "{}/a file"}, {"XDG_CACHE_HOME": "~nobody-of-this-name/cache"}]
)
def test_without_a_cache_to_write_to_a_private_folder_for_temporary_files_serves(
    anew, named, small, monkeypatch, caplog, given
):
    (anew / "a file").write_text("")
    (anew / "temporary").mkdir()
    monkeypatch.delenv("ABLAX_CACHE")
    for name, value in given.items():
        monkeypatch.setenv(name, value.format(anew))
    monkeypatch.setattr(tempfile, "tempdir", str(anew / "temporary"))
    named(small)
    assert opened() == opened() == 7
    assert calls(anew)[0] == 1
    folder = anew / "temporary" / f"ablax-native-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert f"what calls oneDNN is kept in {folder}" in caplog.text


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_compiled_and_mends_what_is_broken(
    anew, native_compiler
):
    assert in_a_process() == ""
    (made,) = kept(anew)
    before = made.stat().st_mtime_ns
    assert in_a_process() == ""
    assert made.stat().st_mtime_ns == before
    truncated(made)
    assert in_a_process() == ""
    assert made.stat().st_mtime_ns > before


def test_the_fingerprint_follows_the_processor_and_the_command(monkeypatch):
    before = library._fingerprint(["c++"], "")
    assert library._fingerprint(["c++", "-m64"], "") != before
    assert library._fingerprint(["c++"], "another version") != before
    monkeypatch.setattr(library, "_features", lambda: "flags: none")
    assert library._fingerprint(["c++"], "") != before


@pytest.mark.slow
@pytest.mark.deep  # the sanitizers compare the numbers of these widths as well
@pytest.mark.parametrize("flags", [("-mno-avx512f",), ("-mno-avx",)])
def test_narrower_vectors_give_the_same_numbers(flags, tmp_path):
    """The loops of pools for a processor with fewer and narrower registers."""
    if why_not():
        pytest.skip(why_not())
    script = f"""
import os
os.environ["ABLAX_CACHE"] = {str(tmp_path)!r}
from ablax.native import library
own = library._run
library._run = lambda command: own([*command, *{flags!r}] if "-o" in command else command)
import pytest
raise SystemExit(pytest.main(["-q", "-x", "-o", "addopts=", "-p", "no:cacheprovider",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # of what ablax imports before pytest
    {str(LAYERS / "test_layers_native_pool.py")!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["AVX2", "SSE41"])
def test_older_processors_get_the_same_numbers_within_rounding(isa):
    """oneDNN with the instructions of an older processor, and so without bfloat16."""
    if why_not():
        pytest.skip(why_not())
    chosen = "equal_xlas and not everywhere or several_features or many_parts"
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", chosen, str(LAYERS / "test_layers_native_convolution.py")],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": isa},
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_sanitizers_find_nothing_in_random_geometries():
    """A part of `make sanitize`, unoptimized, which is compiled sooner."""
    script = Path(__file__).with_name("sanitize.py")
    given = ["--widths", "native", "--sanitizers", "address", "--level", "0", "--geometries", "15"]
    done = subprocess.run(
        [sys.executable, script, *given], check=False, capture_output=True, text=True
    )
    if "left out" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
