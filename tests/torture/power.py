"""Power cuts: resume a run from every state that a disk may be left in, and see what comes of it.

    python tests/torture/power.py                   50 states of a whole run
    python tests/torture/power.py --states 200 --seed 1
    python tests/torture/power.py --without-syncs   every fsync must be missed by some state

Every state must end in the same results.csv (but for what was spent), and no run may lose all of
its checkpoints once it had some. Needs strace and Linux, and takes minutes: `make torture`.
`cuts.py` has a few states of the same run without strace.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from cuts import figures, outcome
from disk import HOWS, Call, Disk, left, paths_of, trace

import ablax
from ablax.training.checkpoint import LIST_NAME, find_damage, steps_in

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src"


@dataclass(frozen=True)
class State:
    """A moment, after so many calls, and what became of what was not sure."""

    calls: int
    how: str
    seed: int


def environment(sources: Path) -> dict[str, str]:
    """What a run is started with."""
    return {**os.environ, "PYTHONPATH": str(sources), "JAX_PLATFORMS": "cpu"}


def record(place: Path, sources: Path) -> tuple[list[Call], list[dict[str, str]]]:
    """The calls of a whole run, and its figures."""
    folder = place / "run" / "results"
    folder.parent.mkdir(parents=True)
    command = [sys.executable, str(HERE / "run_tiny.py"), str(folder)]
    name = "".join(f"\\x{byte:02x}" for byte in os.path.realpath(folder.parent).encode())
    calls = trace(command, place / "calls", environment(sources))
    ours = [call for call in calls if name in call.arguments + call.result]
    return ours, figures(folder)


def make(calls: list[Call], state: State, root: Path, place: Path) -> None:
    """The folder as the power cut left it."""
    disk = Disk(root)
    for call in calls[: state.calls]:
        disk.follow(call)
    left(disk, state.how, random.Random(state.seed), place)


def touching(calls: list[Call]) -> list[int]:
    """After which calls there is something else, or something more is sure."""
    changing = ("write", "pwrite64", "rename", "fsync", "fdatasync", "mkdir", "unlink", "ftruncate")
    numbered = enumerate(calls, start=1)
    return [number for number, call in numbered if call.name.startswith(changing)]


def lost(calls: list[Call], folder: Path, root: Path) -> list[str]:
    """The runs of which an older checkpoint was given up, and no good one is left."""
    given_up = {
        path.parent.parent
        for call in calls
        if call.name.startswith("unlink")
        for path in paths_of(call)
        if path.name == LIST_NAME
    }
    places = [folder / path.relative_to(os.path.realpath(root)) for path in given_up]
    return [
        str(place)
        for place in places
        if not place.is_dir() or all(find_damage(place / str(n)) for n in steps_in(place))
    ]


def cuts(calls: list[Call], count: int, seed: int) -> list[State]:
    """States at random moments, every way of losing things in turn."""
    chance = random.Random(seed)
    moments = touching(calls)
    return [
        State(chance.choice(moments), HOWS[number % len(HOWS)], chance.randrange(2**32))
        for number in range(count)
    ]


def examine(place: Path, sources: Path, options: argparse.Namespace) -> Counter[str]:
    """Record a run, cut it, count what the states end in, and print those that are not equal."""
    calls, expected = record(place, sources)
    root, found = place / "run", Counter()
    for number, state in enumerate(cuts(calls, options.states, options.seed)):
        folder = place / f"state-{number}"
        make(calls, state, root, folder)
        gone = lost(calls[: state.calls], folder, root)
        told, words = outcome(folder / "results", expected)
        told, words = ("lost", gone[0]) if gone and told == "equal" else (told, words)
        found[told] += 1
        if told != "equal":
            print(f"  {told}: {state}: {words}", flush=True)
            if options.first_fault:
                break
        shutil.rmtree(folder)
    return found


def sync_lines(sources: Path) -> list[tuple[Path, int, str]]:
    """Every line that forces something to the disk: file, number, text."""
    pattern = re.compile(r"^\s+(os\.fsync|sync_folder|sync_tree)\(.*\)$")
    found = []
    for path in sorted((sources / "ablax").rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines()):
            if pattern.match(line):
                found.append((path, number, line.strip()))
    return found


def without(sources: Path, path: Path, number: int, place: Path) -> Path:
    """A copy of the sources in which one line does nothing."""
    copy = place / "src"
    shutil.copytree(sources, copy)
    target = copy / path.relative_to(sources)
    lines = target.read_text().splitlines()
    indent = len(lines[number]) - len(lines[number].lstrip())
    lines[number] = " " * indent + "pass"
    target.write_text("\n".join(lines) + "\n")
    return copy


def main() -> int:
    """Examine; the status is 0 where nothing is silently wrong or stuck."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-syncs", action="store_true")
    parser.add_argument("--first-fault", action="store_true", help="stop at the first")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        print("strace is not installed: nothing was tested", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        if options.without_syncs:
            return 1 if unnoticed(Path(scratch), options) else 0
        found = examine(Path(scratch), Path(ablax.__file__).parents[1], options)
    print(dict(found))
    return 0 if found["equal"] == sum(found.values()) else 1


def unnoticed(place: Path, options: argparse.Namespace) -> list[str]:
    """The lines that force something to the disk, and without which every state is equal."""
    found = []
    for number, (path, line, text) in enumerate(sync_lines(SOURCES)):
        copy = without(SOURCES, path, line, place / str(number))
        again = [sys.executable, __file__, f"--states={options.states}", f"--seed={options.seed}"]
        done = subprocess.run(
            [*again, "--first-fault"],
            env=environment(copy),
            text=True,
            capture_output=True,
            check=False,
        )
        said = "noticed" if done.returncode else "NOT NOTICED"
        name = f"{path.relative_to(SOURCES)}:{line + 1}: {text}"
        found += [name] if not done.returncode else []
        print(f"{name}: {said}\n{done.stdout}{done.stderr[-500:]}", flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
