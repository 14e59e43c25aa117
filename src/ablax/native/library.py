"""The C++ of this folder, compiled once and made known to XLA.

XLA calls it like one of its operations (a "custom call" of its foreign function interface), in its
own threads. It calls oneDNN, whose library comes with the extra `cpu`. A wheel for Linux holds it
compiled for three levels of x86-64; elsewhere the machine's own compiler compiles it, at
`make setup` or when it is first needed. Without oneDNN or without either of these, on an
accelerator, or when the CPU is cut into several devices, all that it does is done by XLA alone,
more slowly: nothing depends on it but time.

What was compiled here is kept in a folder that only its user can write to, under a name that holds
its SHA-256: nothing is loaded that another user, a crash or a full disk may have put there.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

import jax
import jax.ffi

from ablax.files import default_root, write_atomic

SWITCH = "ABLAX_NATIVE"
"""Set to 0 in the environment, nothing is compiled and XLA does everything."""

NUMBERS = ("float32", "bfloat16")
"""The types that it is there for; sums are of float32."""

TARGETS = tuple(
    f"ablax_{name}_{numbers}"
    for name in (
        *("convolution", "image_gradient", "kernel_gradient"),
        *("maximum", "taken_tangent", "taken_gradient"),
    )
    for numbers in NUMBERS
)
"""What XLA calls: the functions that the library exports."""

FLAGS = ("-std=c++17", "-O2", "-ffp-contract=fast", "-fPIC", "-shared", "-w")

LEVELS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
    "x86-64-v2": {"sse4_1", "sse4_2", "ssse3", "popcnt", "cx16"},
}
"""What a wheel is built for, the best first, and which features of the processor each needs."""

HALVES = ("AMX", "AVX-512 BF16")
"""The instructions that multiply bfloat16; with others it is slower than float32."""

ONEDNN = "onednn-cpu-gomp"
"""The package of oneDNN's library; that of its headers has another name."""

PREBUILT = Path(__file__).parent / "prebuilt"
"""Where a wheel has them; not there in a checkout."""

PATIENCE = 30.0, 300.0
"""Seconds until it is said that the compiler still runs, and until it is ended."""

_ON, _OFF = ("", "1", "on", "true", "yes"), ("0", "off", "false", "no")
_FOLDER = Path(__file__).parent
_LOG = logging.getLogger("ablax")
_ONE_AT_A_TIME = threading.Lock()


class _RefusedError(Exception):
    """Why there is no library, in words."""


class _CompilerError(_RefusedError):
    """The compiler did not like what it was given."""


def why_not() -> str:
    """Why XLA does without the library in this process; empty when it is in use.

    The first call compiles it, if no earlier process has. XLA divides work among several devices
    only where it knows how to, so with more than one device its own operations are used.
    """
    switch = os.environ.get(SWITCH, "").strip()
    if switch.lower() in _OFF:
        return f"{SWITCH}={switch}"
    if switch.lower() not in _ON:
        return _said(f"{SWITCH}={switch}: expected 1, or 0 for XLA alone")
    if jax.default_backend() != "cpu":
        return f"the device is a {jax.default_backend()}"
    if jax.device_count() > 1:
        return f"the CPU is {jax.device_count()} devices"
    with _ONE_AT_A_TIME:
        return _loaded()[1]


def instructions() -> str:
    """With which instructions oneDNN computes in this process, "AMX" say; empty without it.

    They decide the last bits, and whether it has bfloat16 (`HALVES`).
    """
    if why_not():
        return ""
    library = _loaded()[0]
    assert library is not None
    told = library.ablax_instructions
    told.restype = ctypes.c_char_p
    return str(told(), "ascii")


@functools.cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """Compile, load and register: the library, or why that failed."""
    try:
        _load_onednn()
        library = _prebuilt() or _opened(_compiler())
        for name in TARGETS:
            capsule = jax.ffi.pycapsule(getattr(library, name))
            jax.ffi.register_ffi_target(name, capsule, platform="cpu")
    except _RefusedError as refused:
        return None, _said(str(refused))
    except AttributeError as error:
        return None, _said(f"the compiler made something else of the code in C++ ({error})")
    except OSError as error:  # no room, or no right to write
        return None, _said(
            f"oneDNN cannot be called ({error}): make room, or name another folder in ABLAX_CACHE"
        )
    return library, ""


@functools.cache
def _said(reason: str) -> str:
    """The reason, which is told once."""
    _LOG.warning("%s: convolutions are left to XLA, which is about half as fast", reason)
    return reason


def _onednn() -> tuple[str, str]:
    """The headers and the library of oneDNN, as pip has installed them."""
    machine = platform.system(), platform.machine()
    if machine != ("Linux", "x86_64"):
        raise _RefusedError(f"there is no package of oneDNN for {' on '.join(machine)}")
    needed = {"onednn-devel-cpu-gomp": "oneapi/dnnl/dnnl.hpp", ONEDNN: "libdnnl.so.3"}
    found: dict[str, str] = {}
    for package, ending in needed.items():
        try:
            distribution = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            raise _RefusedError("oneDNN is not installed (pip install 'ablax[cpu]')") from None
        files = distribution.files or ()
        places = [distribution.locate_file(file) for file in files if str(file).endswith(ending)]
        if not places:
            raise _RefusedError(f"{package} is installed without {ending}")
        found[package] = str(Path(str(places[0])).resolve())
    header, library = found.values()
    return str(Path(header).parents[2]), library


def _load_onednn() -> None:
    """Load its library, which stays: what is loaded next finds it by its name."""
    library = _onednn()[1]
    try:
        ctypes.CDLL(library)
    except OSError as error:
        raise _RefusedError(
            f"oneDNN cannot be loaded ({error}): it needs the system's OpenMP, on Debian the "
            "package libgomp1"
        ) from error


def _prebuilt() -> ctypes.CDLL | None:
    """The best library of a wheel that this processor can run; none where there is none."""
    if not PREBUILT.is_dir():
        return None
    features = set(_features().split())
    for level, needed in LEVELS.items():
        library = PREBUILT / f"{level}-{_sources()}.so"
        if needed <= features and library.is_file():
            try:
                return ctypes.CDLL(str(library))
            except OSError as error:  # an older C library than it was built for
                _LOG.warning("%s cannot be loaded (%s): compiled here instead", library, error)
                return None
    return None


def prebuild(headers: str, levels: Iterable[str] = LEVELS) -> list[Path]:
    """Compile the libraries of a wheel.

    Args:
        headers: The folder of XLA's interface, of the oldest JAX that is supported: a newer one
            calls what was built for an older, and not the other way round.
        levels: Of `LEVELS`.
    """
    shutil.rmtree(PREBUILT, ignore_errors=True)
    PREBUILT.mkdir()
    command = *_compiler(), *FLAGS
    found = []
    for level in levels:
        library = PREBUILT / f"{level}-{_sources()}.so"
        library.write_bytes(_compiled((*command, f"-march={level}"), headers))
        found.append(library)
    return found


def _compiler() -> tuple[str, ...]:
    """The compiler's command: `CXX`, with its launcher and options, or the first that is found."""
    named = os.environ.get("CXX", "").strip()
    if not named:
        for name in ("c++", "g++", "clang++"):
            if found := shutil.which(name):
                return (found,)
        raise _RefusedError("no C++ compiler was found (c++, g++, clang++ or CXX)")
    try:
        program, *options = [named] if shutil.which(named) else shlex.split(named)
    except ValueError as error:
        raise _RefusedError(f"CXX={named} is no command ({error}): expected CXX=g++") from error
    if found := shutil.which(program):
        return (found, *options)
    raise _RefusedError(f"CXX={named} names no program that is there: expected a compiler, CXX=g++")


def _opened(compiler: Sequence[str]) -> ctypes.CDLL:
    """The library for this processor or, where the compiler fails at that, for any of its kind.

    The second is looked for only after the first has failed: what failed once (the compiler was
    killed, say) is tried again by the next process.
    """
    folder, version = _folder(), _run([*compiler, "--version"])
    command = *compiler, *FLAGS
    try:
        return _library(folder, (*command, "-march=native"), version)
    except _CompilerError as failed:
        library = _library(folder, command, version)
        _LOG.warning("%s: compiled without -march=native, which is slower", failed)
        return library


def _library(folder: Path, command: Sequence[str], version: str) -> ctypes.CDLL:
    """The library that a command compiles from this source; compiled if it is not there."""
    name = _fingerprint(command, version)
    for library in folder.glob(f"{name}-*.so"):
        if loaded := _vouched(library):
            return loaded
        _LOG.warning("%s is not as it was compiled, or not yours alone: compiled again", library)
        library.unlink(missing_ok=True)
    _LOG.warning("%s compiles what calls oneDNN for this processor, once", command[0])
    content = _compiled(command, jax.ffi.include_dir())
    library = folder / f"{name}-{hashlib.sha256(content).hexdigest()}.so"
    write_atomic(library, content)
    library.chmod(0o600)
    if loaded := _vouched(library):
        return loaded
    raise _RefusedError(
        f"{library} cannot be read as it was written: name another folder in ABLAX_CACHE"
    )


def _vouched(library: Path) -> ctypes.CDLL | None:
    """The library, loaded, if it is its user's alone and has the SHA-256 of its name.

    It is loaded from the very file that was read, whatever its name means by then. The file stays
    open: its number is the library's name for as long as the process lives.
    """
    try:
        file = os.open(library, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # a link, or gone
        return None
    with open(file, "rb", closefd=False) as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not library.stem.endswith(f"-{found}") or not _is_private(os.fstat(file)):
        os.close(file)
        return None
    by_number = Path(f"/proc/self/fd/{file}")
    name = str(by_number if by_number.exists() else library)
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        why = str(error).removeprefix(f"{name}: ")
        raise _RefusedError(
            f"{library} cannot be loaded ({why}): remove it or, if its disk is mounted noexec, "
            "name another folder in ABLAX_CACHE"
        ) from error


def _compiled(command: Sequence[str], headers: str) -> bytes:
    """What a command compiles from this source."""
    onednn, library = _onednn()
    with tempfile.TemporaryDirectory(prefix="ablax-") as folder:
        written = Path(folder) / "native.so"
        places = ["-isystem", headers, "-isystem", onednn, f"-I{_FOLDER}"]
        _run([*command, *places, str(_FOLDER / "handlers.cpp"), library, "-o", str(written)])
        if not written.is_file():
            raise _RefusedError(f"{command[0]} ended without an error and wrote nothing")
        return written.read_bytes()


def _run(command: Sequence[str]) -> str:
    """What a command prints. One that takes too long is ended, with all that it started."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _RefusedError(f"{command[0]} cannot be run ({error.strerror})") from error
    said, end = PATIENCE
    with process:
        try:
            try:
                out, errors = process.communicate(timeout=said)
            except subprocess.TimeoutExpired:
                _LOG.warning(
                    "%s has not ended after %.0f s and is stopped after %.0f s; %s=0 does without",
                    *(command[0], said, end, SWITCH),
                )
                out, errors = process.communicate(timeout=end - said)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise _RefusedError(f"{command[0]} did not end within {end:.0f} s") from error
            raise
    if process.returncode:
        raise _CompilerError(f"{command[0]} failed: {_first_error(errors, process.returncode)}")
    return out


def _first_error(errors: str, status: int) -> str:
    """One line that says what went wrong."""
    lines = [line for line in errors.splitlines() if "ld returned" not in line]
    for sign in ("No space left", "error", "cannot", "failed"):
        for line in lines:
            if sign in line:
                room = ": make room, or name another folder in TMPDIR"
                return line.strip() + (room if sign == "No space left" else "")
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"


def _fingerprint(command: Sequence[str], version: str) -> str:
    """Of all that the library depends on: source, interface, compiler and processor."""
    words = (_sources(), *command, jax.__version__, version, platform.machine(), _features())
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:20]


def _sources() -> str:
    """A fingerprint of the C++ of this folder."""
    digest = hashlib.sha256()
    for source in sorted((*_FOLDER.glob("*.cpp"), *_FOLDER.glob("*.h"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:20]


def _features() -> str:
    """What the processor can do: a home folder may be shared by several kinds."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    lines = cpuinfo.read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features"))}))


def _folder() -> Path:
    """The folder of this user's own in the cache, which others may share.

    It is one of the system's for temporary files where a user has no home, as in some containers,
    or may only read the cache.
    """
    name = f"native-{_user()}"
    try:
        folder = default_root().expanduser() / name
        _make_private(folder)
    except (OSError, RuntimeError) as error:
        folder = Path(tempfile.gettempdir()) / f"ablax-{name}"
        _LOG.warning("%s: what calls oneDNN is kept in %s", error, folder)
        _make_private(folder)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and _is_private(found):
        return folder
    raise _RefusedError(
        f"code is loaded only from a folder of your own with mode 700, and {folder} has owner "
        f"{found.st_uid} and mode {stat.S_IMODE(found.st_mode):o}: remove it, or name another "
        "folder in ABLAX_CACHE"
    )


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def _is_private(status: os.stat_result) -> bool:
    """Whether it belongs to this user, and no other may read or write it."""
    return status.st_uid == _user() and not status.st_mode & 0o077


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
