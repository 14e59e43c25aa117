"""A folder that is either whole or not there.

Decoding tens of thousands of pictures takes a while, so it is done once. What is decoded goes to a
temporary folder beside the final place, then a manifest with the size and checksum of every file,
then one rename. A process that is killed leaves a temporary folder, never half a cache; a file that
was cut or changed later does not match the manifest, and the folder is built again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablax.data.images import DataError

try:
    import fcntl
except ImportError:  # Windows: processes may decode twice, yet none sees half a cache
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"
_FORMAT = 1
_NO_ROOM = (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


def build_once(place: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """What `build` returned when it filled `place`; it is called only if `place` is not whole.

    Args:
        place: The folder to be. Processes that ask for the same one wait for the first.
        build: Writes files into the folder it is given and returns what JSON can hold. What it
            raises passes through, unless it could not write there.

    Raises:
        DataError: The folder cannot be read or written.
    """
    place = place.absolute()
    with _in_words(place):
        # Before the lock, which is a file: a cache that many share may be read-only.
        if _flaw(place) is None:
            return _manifest(place)["about"]
        place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        with _in_words(place):
            flaw = _flaw(place)
            if flaw is None:
                return _manifest(place)["about"]
            if place.exists():
                _log.warning("the cache %s is damaged (%s): decoding again", place, flaw)
            for left_over in place.parent.glob(f".{place.name}.new-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
        return _fill(place, new, build)


def _fill(place: Path, new: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    try:
        with _in_words(place, only=new):
            about = dict(build(new))
        with _in_words(place):
            files = {path.name: _measure(path) for path in sorted(new.iterdir())}
            manifest = {"format": _FORMAT, "about": about, "files": files}
            # Read back: the first answer has the types of all later ones (lists, not tuples).
            text = json.dumps(manifest, indent=1)
            (new / MANIFEST).write_text(text)
            new.chmod(0o755)
            if place.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
                place.replace(old / "damaged")
                shutil.rmtree(old, ignore_errors=True)
            new.replace(place)
            return json.loads(text)["about"]
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


@contextlib.contextmanager
def _in_words(place: Path, only: Path | None = None) -> Iterator[None]:
    """Say what to do when the file system refuses; `only` what concerns the files in that folder.

    A write that finds no room names no file, and NumPy's has no number either.
    """
    try:
        yield
    except OSError as error:
        if only is not None:
            if error.filename is None or isinstance(error.filename, int):
                ours = error.errno in _NO_ROOM
            else:
                ours = Path(os.fsdecode(error.filename)).is_relative_to(only)
            if not ours:
                raise
        raise DataError(
            f"the cache {place} cannot be read or written ({error.strerror or error}): make room, "
            "or name another folder in the environment variable ABLAX_CACHE"
        ) from error


def _flaw(place: Path) -> str | None:
    """Why the folder is not whole, or None."""
    if not place.is_dir():
        return "there is none"
    try:
        manifest = _manifest(place)
        if manifest["format"] != _FORMAT:
            return f"written in format {manifest['format']}, this is {_FORMAT}"
        for name, expected in manifest["files"].items():
            if not (place / name).is_file():
                return f"{name} is missing"
            size = (place / name).stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size:,} bytes instead of {expected['bytes']:,}"
            if _measure(place / name) != expected:
                return f"{name} has another checksum"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    return None


def _manifest(place: Path) -> dict[str, Any]:
    return json.loads((place / MANIFEST).read_text())


def _measure(path: Path) -> dict[str, int]:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            checksum = zlib.crc32(block, checksum)
    return {"bytes": path.stat().st_size, "crc32": checksum}


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of this folder; the system lets go of it when the process dies."""
    with _in_words(place):
        lock = (place.parent / f".{place.name}.lock").open("a")
    with lock as file:
        if fcntl is not None:
            # Some network file systems have no locks: then two processes may both decode.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
