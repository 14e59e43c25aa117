"""Kill the parent or a worker of a run at random moments, go on, and compare with a quiet run.

`python kills.py --kills 50 --seed 0`: every time a few kills, then the command once more without
any. Status 1 where a run ended in another `results.csv`, left a process behind, or in a traceback.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
WORDS = (
    *("run", str(HERE / "question.py"), "--config", "smoke", "--seeds", "2", "--workers", "2"),
    *("--data.share", "0.2", "--train.checkpoint-seconds", "0", "--train.chunk", "2"),
)


def start(folder: Path) -> subprocess.Popen[str]:
    """The run in `folder`, by the command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "ablax", *WORDS, "--results", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def figures(folder: Path) -> list[dict[str, str]]:
    """`results.csv` without what time and chance decide."""
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "attempts")} for row in rows]


def children(parent: int) -> list[int]:
    """The processes that one started and that are there."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            words = (place / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(words[1]) == parent and words[0] != "Z":
            found.append(int(place.name))
    return found


def alive(process: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def kill_one(process: subprocess.Popen[str], whom: str, chance: random.Random) -> str:
    """Kill the parent, a worker, or interrupt the parent; what is wrong after it, in words."""
    workers = children(process.pid)
    if whom == "worker":
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        return ""
    if whom in ("SIGINT", "SIGTERM"):
        process.send_signal(signal.Signals[whom])
        out, _ = process.communicate(timeout=60)
        # -15: the run is over, and Python was taking itself apart, where no handler is left
        known = (130, 143, 0, -signal.SIGTERM)
        wrong = "" if process.returncode in known else f"status {process.returncode}"
        if "Traceback" in out:
            wrong += f" traceback: {out[-800:]}"
        return wrong
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(map(alive, workers)):
        time.sleep(0.1)
    left = [each for each in workers if alive(each)]
    return f"{len(left)} workers are left behind" if left else ""


def one(folder: Path, expected: list[dict[str, str]], length: float, chance: random.Random) -> str:
    """One run with kills, and its end; what is wrong with it, in words."""
    told = []
    for _ in range(chance.randint(1, 2)):
        whom = chance.choice(["parent", "worker", "worker", "SIGINT", "SIGTERM"])
        told.append(whom)
        process = start(folder)
        time.sleep(chance.uniform(0.3, 1.0) * length)
        if process.poll() is None and (wrong := kill_one(process, whom, chance)):
            return f"{whom}: {wrong}"
        out, _ = process.communicate(timeout=300)
        if "Traceback" in out:
            return f"{whom}: traceback: {out[-800:]}"
    process = start(folder)
    out, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        return f"{told}: status {process.returncode}: {out[-800:]}"
    return "" if figures(folder) == expected else f"{told}: other figures"


def main() -> int:
    """Some runs with kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, ends = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        for name in ("warm", "quiet"):  # the first one compiles
            began = time.monotonic()
            process = start(Path(place, name))
            out, _ = process.communicate()
            if process.returncode:
                print(out)
                return 1
            length = time.monotonic() - began
        expected = figures(Path(place, "quiet"))
        for number in range(given.kills):
            wrong = one(Path(place, f"killed-{number}"), expected, length, chance)
            ends[wrong or "equal"] += 1
            print(f"{number + 1}: {wrong or 'equal'}", flush=True)
    print(dict(ends))
    return int(set(ends) != {"equal"})


if __name__ == "__main__":
    sys.exit(main())
