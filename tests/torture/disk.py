"""What a disk may hold after a power cut, from a trace of what a run asked the system for.

Only what was forced to the disk is sure to be there: the bytes of a file since its last `fsync`,
and the names of a folder since the last `fsync` of that folder, may be there, or not, or in part
(POSIX promises no more; file systems differ in what they do beyond that). `trace` runs a command
under strace, `Disk` follows its calls, and `left` writes down what a disk may hold after a cut.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,rename,renameat,renameat2,mkdir,mkdirat,rmdir,"
    "unlink,unlinkat,fsync,fdatasync,ftruncate,truncate,lseek,close,link,linkat,symlink"
)
BLOCK = 512
"""Bytes that a disk writes whole."""


@dataclass(frozen=True)
class Call:
    """A call that came to its end: its process, name, arguments and result, as strace has them."""

    process: int
    name: str
    arguments: str
    result: str


def trace(command: list[str], log: Path, env: dict[str, str]) -> list[Call]:
    """The calls of a command and of its children, in the order in which they ended."""
    strace = [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        "100000000",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(log),
    ]
    subprocess.run([*strace, *command], env=env, check=True, stdout=subprocess.DEVNULL)
    return list(parsed(log.read_text()))


_BEGUN = re.compile(r"^(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)\)\s+= (.*)$")
_WHOLE = re.compile(r"^(\d+)\s+(\w+)\((.*)\)\s+= (.*)$")


def parsed(text: str) -> Iterator[Call]:
    """The calls in what strace wrote; those that failed are left out."""
    begun: dict[int, str] = {}
    for line in text.splitlines():
        if found := _BEGUN.match(line):
            begun[int(found[1])] = found[3]
            continue
        if found := _RESUMED.match(line):
            process = int(found[1])
            call = Call(process, found[2], begun.pop(process, "") + found[3], found[4])
        elif found := _WHOLE.match(line):
            call = Call(int(found[1]), found[2], found[3], found[4])
        else:
            continue
        if not call.result.startswith(("-1", "?")):
            yield call


_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})*)(?:\(deleted\))?>")


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _strings(arguments: str) -> list[bytes]:
    return [_bytes(found) for found in _HEX.findall(arguments)]


_ARGUMENT = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>, )?"((?:\\x[0-9a-f]{2})*)"')


def paths_of(call: Call) -> list[Path]:
    """The paths among the arguments; relative ones below the descriptor in front of them."""
    pairs = (match.groups() for match in _ARGUMENT.finditer(call.arguments))
    return [Path(*(_bytes(part or "").decode() for part in pair)) for pair in pairs]


@dataclass(eq=False)
class File:
    """The bytes there are, those that are sure, and whether they were synced."""

    data: bytearray = field(default_factory=bytearray)
    sure: bytes = b""

    def copy(self) -> File:
        return File(bytearray(self.data), self.sure)


@dataclass(eq=False)
class Folder:
    """The names there are, those that are sure, and the changes of names since, in order."""

    names: dict[str, File | Folder] = field(default_factory=dict)
    sure: dict[str, File | Folder] = field(default_factory=dict)
    changes: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def change(self, **names: File | Folder | None) -> None:
        """Names appear or, as None, go; all of one call come together."""
        self.changes.append(dict(names))
        _apply(self.names, names)


def _apply(names: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """The tree below `root` as the calls make it. Files are followed from their opening."""

    def __init__(self, root: Path) -> None:
        self.root, self.tree = os.path.realpath(root), Folder()
        self._open: dict[tuple[int, int], tuple[File, int, bool]] = {}
        self.syncs = 0
        """How many calls made something sure."""

    def follow(self, call: Call) -> None:
        """Do what a call did."""
        handler = getattr(self, f"_{_KINDS.get(call.name, call.name)}", None)
        if handler is None:
            raise NotImplementedError(call.name)
        handler(call)

    def _parts(self, path: str) -> list[str] | None:
        """The names from the root on; None elsewhere."""
        path = os.path.normpath(path)
        if not path.startswith(self.root + os.sep):
            return [] if path == self.root else None
        return list(Path(path[len(self.root) + 1 :]).parts)

    def _folder(self, parts: list[str]) -> Folder | None:
        node: File | Folder | None = self.tree
        for part in parts:
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node if isinstance(node, Folder) else None

    def _paths(self, call: Call) -> list[list[str] | None]:
        """The paths among the arguments."""
        return [self._parts(str(path)) for path in paths_of(call)]

    def _openat(self, call: Call) -> None:
        result = re.match(r"(\d+)<((?:\\x[0-9a-f]{2})*)>", call.result)
        parts = self._parts(_bytes(result[2]).decode()) if result else None
        if not parts:
            return
        flags = call.arguments
        if "O_DIRECTORY" in flags or ("O_TMPFILE" in flags):
            return
        folder = self._folder(parts[:-1])
        if folder is None:
            return
        node = folder.names.get(parts[-1])
        if node is None:
            if "O_CREAT" not in flags:
                return
            node = File()
            folder.change(**{parts[-1]: node})
        if isinstance(node, Folder):
            return
        if "O_TRUNC" in flags:
            del node.data[:]
        descriptor = int(result[1])
        self._open[self._table(call), descriptor] = (node, 0, "O_APPEND" in flags)

    def _table(self, call: Call) -> int:
        """Whose descriptors: threads share them, and no child of a run writes below the root."""
        return 0

    def _opened(self, call: Call) -> tuple[tuple[int, int], tuple[File, int, bool]] | None:
        match = re.match(r"(\d+)", call.arguments)
        key = (0, int(match[1])) if match else (0, -1)
        path = _PATH.search(call.arguments.split(",")[0])
        if key not in self._open or path is None:
            return None
        if self._parts(_bytes(path[1]).decode().removesuffix(" (deleted)")) is None:
            return None
        return key, self._open[key]

    def _put(self, file: File, at: int, data: bytes) -> None:
        if len(file.data) < at:
            file.data.extend(bytes(at - len(file.data)))
        file.data[at : at + len(data)] = data

    def _write(self, call: Call) -> None:
        if found := self._opened(call):
            key, (file, at, append) = found
            written = b"".join(_strings(call.arguments))[: int(call.result.split()[0])]
            at = len(file.data) if append else at
            self._put(file, at, written)
            self._open[key] = (file, at + len(written), append)

    def _pwrite(self, call: Call) -> None:
        if found := self._opened(call):
            _, (file, _, _) = found
            written = b"".join(_strings(call.arguments))[: int(call.result.split()[0])]
            self._put(file, int(call.arguments.rsplit(", ", 1)[1], 0), written)

    def _lseek(self, call: Call) -> None:
        if found := self._opened(call):
            key, (file, _, append) = found
            self._open[key] = (file, int(call.result.split()[0]), append)

    def _close(self, call: Call) -> None:
        if found := self._opened(call):
            del self._open[found[0]]

    def _ftruncate(self, call: Call) -> None:
        if found := self._opened(call):
            self._cut(found[1][0], call)

    def _truncate(self, call: Call) -> None:
        parts = self._paths(call)[0]
        folder = self._folder(parts[:-1]) if parts else None
        if folder is not None and isinstance(node := folder.names.get(parts[-1]), File):
            self._cut(node, call)

    def _cut(self, file: File, call: Call) -> None:
        size = int(call.arguments.rsplit(", ", 1)[1], 0)
        self._put(file, size, b"")
        del file.data[size:]

    def _rename(self, call: Call) -> None:
        old, new = self._paths(call)
        if not old or not new:
            if old or new:
                raise NotImplementedError(f"a rename across the root: {call}")
            return
        source, target = self._folder(old[:-1]), self._folder(new[:-1])
        node = source.names[old[-1]]
        if source is target:
            source.change(**{old[-1]: None, new[-1]: node})
        else:
            target.change(**{new[-1]: node})
            source.change(**{old[-1]: None})

    def _mkdir(self, call: Call) -> None:
        parts = self._paths(call)[0]
        if parts and (folder := self._folder(parts[:-1])) is not None:
            folder.change(**{parts[-1]: Folder()})

    def _unlink(self, call: Call) -> None:
        parts = self._paths(call)[0]
        if parts and (folder := self._folder(parts[:-1])) is not None:
            folder.change(**{parts[-1]: None})

    def _fsync(self, call: Call) -> None:
        path = _PATH.search(call.arguments)
        parts = self._parts(_bytes(path[1]).decode()) if path else None
        if parts is None:
            return
        self.syncs += 1
        folder = self._folder(parts)
        if folder is not None:
            folder.sure, folder.changes = dict(folder.names), []
        elif found := self._opened(call):
            found[1][0].sure = bytes(found[1][0].data)


_KINDS = {
    "open": "openat",
    "creat": "openat",
    "writev": "write",
    "pwrite64": "pwrite",
    "pwritev": "pwrite",
    "renameat": "rename",
    "renameat2": "rename",
    "mkdirat": "mkdir",
    "rmdir": "unlink",
    "unlinkat": "unlink",
    "fdatasync": "fsync",
}


HOWS = ("nothing", "names", "empty", "data", "everything", "torn", "any")
"""What becomes of that which is not sure: none of it; the names alone, their files short or empty;
the bytes alone; all; the names with files torn at a block; each by chance."""


def left(disk: Disk, how: str, chance: random.Random, place: Path) -> None:
    """Write down what a disk may hold."""
    _write_folder(disk.tree, how, chance, place)


def _write_folder(folder: Folder, how: str, chance: random.Random, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    kept = {"nothing": 0, "data": 0}.get(how, len(folder.changes))
    kept = chance.randint(0, len(folder.changes)) if how == "any" else kept
    names = dict(folder.sure)
    for change in folder.changes[:kept]:
        _apply(names, change)
    for name, node in names.items():
        if isinstance(node, Folder):
            _write_folder(node, how, chance, place / name)
        else:
            (place / name).write_bytes(_content(node, how, chance))


def _content(file: File, how: str, chance: random.Random) -> bytes:
    now, sure = bytes(file.data), file.sure
    if how == "any":
        how = chance.choice(("nothing", "names", "empty", "torn", "everything"))
    if now == sure or how in ("everything", "data"):
        return now
    if how == "nothing":
        return sure
    if how == "names":  # the length, and not the bytes
        return sure[: len(now)] + bytes(max(len(now) - len(sure), 0))
    if how == "empty":
        return sure if sure else b""
    cut = chance.randrange(0, len(now) + BLOCK, BLOCK)
    return now[:cut] + sure[cut : len(now)]
