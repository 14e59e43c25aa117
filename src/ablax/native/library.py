"""The C++ of this folder, compiled once by the machine's own compiler and made known to XLA.

XLA calls it like one of its operations (a "custom call" of its foreign function interface), in its
own threads. Without a compiler, on an accelerator, or when the CPU is cut into several devices, all
that it does is done by XLA alone, more slowly: nothing depends on it but time.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import jax.ffi

from ablax.files import default_root

SWITCH = "ABLAX_NATIVE"
"""Set to 0 in the environment, nothing is compiled and XLA does everything."""

TARGETS = (
    *("ablax_convolution", "ablax_image_gradient", "ablax_kernel_gradient"),
    *("ablax_maximum", "ablax_taken_tangent", "ablax_taken_gradient"),
)
"""What XLA calls: the functions that the library exports."""

FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-w")

_FOLDER = Path(__file__).parent
_LOG = logging.getLogger("ablax")


def why_not() -> str:
    """Why XLA does without the library in this process; empty when it is in use.

    The first call compiles it, if no earlier process has. XLA divides work among several devices
    only where it knows how to, so with more than one device its own operations are used.
    """
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if jax.default_backend() != "cpu":
        return f"the device is a {jax.default_backend()}"
    if jax.device_count() > 1:
        return f"the CPU is {jax.device_count()} devices"
    return _loaded()


@functools.cache
def _loaded() -> str:
    """Compile, load and register; why that failed, or nothing."""
    compiler = _compiler()
    if compiler is None:
        reason = "no C++ compiler was found (c++, g++, clang++ or CXX)"
    else:
        try:
            library = _opened(compiler)
            for name in TARGETS:
                capsule = jax.ffi.pycapsule(getattr(library, name))
                jax.ffi.register_ffi_target(name, capsule, platform="cpu")
        except subprocess.SubprocessError as error:
            reason = f"{compiler} failed: {_first_error(error)}"
        except OSError as error:  # no room, no right to write, or a library that does not load
            reason = (
                f"the loops in C++ cannot be kept or loaded ({error}); ABLAX_CACHE names a folder"
            )
        else:
            return ""
    _LOG.warning("%s: convolutions are left to XLA, which is about half as fast", reason)
    return reason


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    found = map(shutil.which, [named] if named else ["c++", "g++", "clang++"])
    return next(filter(None, found), None)


def _compiled(compiler: str) -> Path:
    """The library for this source, compiler and processor; compiled if it is not there.

    It is written under another name first, so that processes that start together do not read half
    a library.
    """
    library = _cache() / f"{_fingerprint(compiler)}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        written = Path(folder) / library.name
        command = [compiler, *FLAGS, "-isystem", jax.ffi.include_dir(), f"-I{_FOLDER}"]
        command += [str(_FOLDER / "handlers.cpp"), "-o", str(written)]
        try:
            _run([*command, "-march=native"])
        except subprocess.CalledProcessError:  # a compiler that does not know its processor
            _run(command)
        written.replace(library)
    return library


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


def _opened(compiler: str) -> ctypes.CDLL:
    """The library; one that a crash or a full disk left broken is compiled again."""
    library = _compiled(compiler)
    try:
        return ctypes.CDLL(str(library))
    except OSError:
        library.unlink()
        return ctypes.CDLL(str(_compiled(compiler)))


def _fingerprint(compiler: str) -> str:
    """Of all that the library depends on: source, interface, compiler and processor."""
    digest = hashlib.sha256()
    for source in sorted((*_FOLDER.glob("*.cpp"), *_FOLDER.glob("*.h"))):
        digest.update(source.read_bytes())
    version = _run([compiler, "--version"])
    words = (*FLAGS, jax.__version__, version, platform.machine(), _features())
    digest.update("\n".join(words).encode())
    return digest.hexdigest()[:20]


def _features() -> str:
    """What the processor can do: a home folder may be shared by several kinds."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    lines = cpuinfo.read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features"))}))


def _cache() -> Path:
    """The folder `native` in the user's cache."""
    try:
        return default_root().expanduser() / "native"
    except RuntimeError:  # a user without a home, as in some containers
        return _private_folder()


@functools.cache
def _private_folder() -> Path:
    """A new folder that nobody else can write to: what lies there is loaded into this process."""
    return Path(tempfile.mkdtemp(prefix="ablax-"))


def _first_error(error: Exception) -> str:
    """One line that says what went wrong."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in error.stderr.splitlines() if "error" in line]
        return lines[0] if lines else f"exit status {error.returncode}"
    return str(error)
