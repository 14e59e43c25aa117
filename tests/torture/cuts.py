"""Power cuts without strace: the run's own calls of `os.fsync` say what is on the disk.

    python tests/torture/cuts.py FOLDER 0.3 0.7 0.97

runs `question.py` whole, then once for each share, cut after so much of its syncs: every name is
there, every file as it was at its last sync, empty where it never was. What C++ synced does not
count. Prints a line for each cut: what the same command made of the rest, `equal` or what else.
"""

from __future__ import annotations

import csv
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import run_tiny

SPENT = {"seconds", "attempts"}
"""Columns of results.csv that say what was spent."""
CUT = 9
"""The exit status of a run whose power was cut."""


def figures(folder: Path) -> list[dict[str, str]] | None:
    """The rows of results.csv, without what was spent."""
    path = folder / "results.csv"
    if not path.exists():
        return None
    rows = csv.DictReader(path.read_text().splitlines())
    return [{name: v for name, v in row.items() if name not in SPENT} for row in rows]


def forked(work: Callable[[], int], said: Path) -> int:
    """The exit status of work in a child, which need not import again what is imported."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with said.open("w") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(folder: Path, expected: list[dict[str, str]] | None) -> tuple[str, str]:
    """What the same run makes of a folder: equal, refused, silently wrong or stuck; the words."""
    said = folder.parent / f"{folder.name}.said"
    status = forked(lambda: run_tiny.run(folder), said)
    words = said.read_text().strip()
    if status == 3:
        return "refused", words.splitlines()[-1]
    if status:
        return "stuck", words[-2000:]
    found = figures(folder)
    return ("equal", "") if found == expected else ("silently wrong", f"{found}")


def run_and_cut(folder: Path, syncs: int) -> int:
    """Run, and cut the power after so many syncs; how many there were is left beside the folder."""
    sure: dict[int, bytes] = {}
    done = 0
    real = os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal done
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode):
            sure[about.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
        done += 1
        if done == syncs:
            for path in (each for each in folder.rglob("*") if each.is_file()):
                path.write_bytes(sure.get(path.stat().st_ino, b""))
            os._exit(CUT)

    os.fsync = fsync
    try:
        return run_tiny.run(folder)
    finally:
        os.fsync = real
        _count(folder).write_text(str(done))


def _count(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.syncs"


def main(place: Path, shares: list[float]) -> None:
    """Print what becomes of every cut."""
    whole = place / "whole"
    if forked(lambda: run_and_cut(whole, -1), place / "whole.said"):
        raise SystemExit((place / "whole.said").read_text())
    count, expected = int(_count(whole).read_text()), figures(whole)
    for share in shares:
        folder = place / f"cut-{share}"
        syncs = max(1, round(share * count))
        status = forked(lambda: run_and_cut(folder, syncs), place / "cut.said")  # noqa: B023
        assert status == CUT, (place / "cut.said").read_text()
        print(*outcome(folder, expected), f"after {syncs} of {count} syncs", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [float(each) for each in sys.argv[2:]])
