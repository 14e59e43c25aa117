"""What runs side by side save: whole experiments with 1, 2, ... workers; then many, by simulation.

Each experiment runs whole, by `ablax run`, with every number of workers in turns; the caches are
warm. `wall` is the seconds of the command, `busy` those that workers spend on runs (training,
evaluation, compiling, measuring, saving), `memory` the largest resident set of a worker in MB.

Then the order of `ablax.study.workers.Schedule` is simulated for machines of 1 to 1,024 cores: each
run takes as long as it took with one worker, plans and reports as long as they took. The simulation
knows nothing of memory bandwidth, which cores share: it is a bound. Its limit is the longest chain:
start, plan, the longest run, report; `ceiling` is what it says of infinitely many cores.

By hand, alone on the machine: `make bench-workers`, or `python benchmarks/workers.py --epochs 30`.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from result_table import write

from ablax.study.workers import RunKey, Schedule

EXPERIMENTS = ("alexnet_ablation", "depth_sweep")
SIMULATED = (1, 2, 4, 16, 64, 256, 1024)


def children(parent: int) -> list[int]:
    """The processes that one started."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(place.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(place.parent.name))
        except (OSError, IndexError):
            continue
    return found


def peak(process: int) -> float:
    """The largest resident set of a process so far, in MB; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def run(name: str, workers: int, words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of the command, and MB of its largest worker."""
    command = [sys.executable, "-m", "ablax", "run", name, "--config", "digits"]
    command += ["--workers", str(workers), "--results", str(folder), *words]
    began, largest = time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    over = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not over.wait(0.5):
            largest = max([largest, *map(peak, children(process.pid))])

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = process.communicate()[1].decode()
    over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(said)
    return time.monotonic() - began, largest


def seconds_of_runs(folder: Path) -> dict[tuple[str, int], float]:
    """What each run of a folder took: training, evaluation and compiling."""
    found: dict[tuple[str, int], float] = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            key = (row["variant"], int(row["seed"]))
            took = float(row["seconds"]) + float(row["compile_seconds"])
            found[key] = found.get(key, 0.0) + took
    return found


def simulated(runs: dict[tuple[str, int], float], workers: int) -> float:
    """Seconds until the last run ends, in the order of the real schedule.

    A variant is compiled when its first run is over: later than in truth, and no run begins early.
    """
    took = {RunKey(0, *key): seconds for key, seconds in runs.items()}
    schedule = Schedule(sorted(took, key=lambda run: run.seed))
    busy: list[tuple[float, RunKey]] = []
    now = 0.0
    while schedule.left(0):
        while len(busy) < workers and (run := schedule.begin()):
            heapq.heappush(busy, (now + took[run], run))
        now, ended = heapq.heappop(busy)
        schedule.end(ended)
    return now


def line(
    name: str, workers: int, how: str, wall: float, one: float, memory: str = ""
) -> dict[str, str]:
    """A row of the table; `one` is the wall time with the fewest workers."""
    found = {"experiment": name, "workers": str(workers), "how": how, "wall": f"{wall:.1f}"}
    return {**found, "speedup": f"{one / wall:.2f}", "memory": memory}


def measured(
    name: str, words: list[str], numbers: list[int], rounds: int, place: Path
) -> list[dict[str, str]]:
    """One experiment: measured with every number of workers in turns, and simulated with more."""
    run(name, max(numbers), words, place / f"{name}-warm")
    found: dict[int, list[tuple[float, float]]] = {workers: [] for workers in numbers}
    for number in range(rounds):
        for workers in numbers:
            folder = place / f"{name}-{number}-{workers}"
            found[workers].append(run(name, workers, words, folder))
    walls = {each: statistics.median(wall for wall, _ in took) for each, took in found.items()}
    one = walls[min(numbers)]
    runs = seconds_of_runs(place / f"{name}-0-{min(numbers)}")
    serial = max(one - simulated(runs, min(numbers)), 0.0)
    ceiling = one / (serial + max(runs.values()))
    print(f"{name}: {len(runs)} runs, {serial:.1f} s of plan and report, ceiling {ceiling:.1f}")
    rows = []
    for workers, took in found.items():
        memory = f"{max(memory for _, memory in took):.0f}"
        rows.append(line(name, workers, "measured", walls[workers], one, memory))
    for workers in SIMULATED:
        rows.append(line(name, workers, "simulated", serial + simulated(runs, workers), one))
    return rows


def main() -> None:
    """All experiments, then the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    words = ["--train.epochs", str(given.epochs), "--seeds", str(given.seeds)]
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as place:
        for name in EXPERIMENTS:
            rows += measured(name, words, given.workers, given.rounds, Path(place))
    write("workers", rows, epochs=str(given.epochs), seeds=str(given.seeds))


if __name__ == "__main__":
    main()
