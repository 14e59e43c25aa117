"""What runs side by side save: whole experiments with 1, 2, ... workers; then many, by simulation.

Each experiment runs whole, by `ablax run`, in turns: run after run in one process that has all
cores (0 workers), and with every number of workers that have one core each; the caches are warm.
`wall` is the seconds of the command, `memory` the largest resident set of a worker in MB, `speedup`
how many times faster than 0 workers (measured) or than one worker (simulated).

Then the order of `ablax.study.workers.Schedule` is simulated for machines of 1 to 1,024 cores: each
run takes as long as it took with one worker, plans and reports as long as they took. The simulation
knows nothing of memory bandwidth, which cores share: it is a bound. Its limit is the longest chain:
start, plan, the longest run, report; `ceiling` is what it says of infinitely many cores. At last,
how long a worker takes to start.

By hand, alone on the machine: `make bench-workers`, or `python benchmarks/workers.py --epochs 30`.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from result_table import write

from ablax.study.environment import available_cores
from ablax.study.workers import RunKey, Schedule, Worker

EXPERIMENTS = ("alexnet_ablation", "depth_sweep")
SIMULATED = (1, 2, 4, 16, 64, 256, 1024)


def children(parent: int) -> list[int]:
    """The processes that one started."""
    try:
        return [
            int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        ]
    except OSError:  # it is gone
        return []


def peak(process: int) -> float:
    """The largest resident set of a process so far, in MB; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def run(name: str, workers: int, length: tuple[int, int], folder: Path) -> tuple[float, float]:
    """Seconds of the command, and MB of its largest worker; `length` is epochs and seeds."""
    command = [sys.executable, "-m", "ablax", "run", name, "--config", "digits"]
    cores = 1 if workers else available_cores()
    command += ["--workers", str(workers), "--train.cores", str(cores)]
    command += ["--train.epochs", str(length[0]), "--seeds", str(length[1])]
    command += ["--results", str(folder)]
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


def start_of_a_worker() -> float:
    """Seconds until a new one could train, and has ended."""
    began = time.monotonic()
    worker = Worker([], 0, 1)
    worker.tell(None)
    worker.process.wait()
    return time.monotonic() - began


def seconds_of_runs(folder: Path) -> dict[tuple[str, int], float]:
    """What each run of a folder took that one worker made, one after the other.

    From the end of the run before to its own; the first one from when the folder was claimed.
    """
    ended = {}
    for path in (folder / "runs").glob("*.json"):
        variant, _, seed = path.stem.rpartition("-seed-")
        ended[variant, int(seed)] = path.stat().st_mtime
    order = sorted(ended, key=ended.__getitem__)
    before = [(folder / "recipe.json").stat().st_mtime, *(ended[key] for key in order)]
    return {key: ended[key] - last for key, last in zip(order, before, strict=False)}


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
    """A row of the table; `one` is the wall time that its speedup refers to."""
    found = {"experiment": name, "workers": str(workers), "how": how, "wall": f"{wall:.1f}"}
    return {**found, "speedup": f"{one / wall:.2f}", "memory": memory}


def measured(
    name: str, length: tuple[int, int], numbers: list[int], rounds: int, place: Path
) -> list[dict[str, str]]:
    """One experiment: measured with every number of workers in turns, and simulated with more."""
    for workers in (0, max(numbers)):  # compiles: with all cores, and with one
        run(name, workers, (length[0], 1), place / f"{name}-warm-{workers}")
    found: dict[int, list[tuple[float, float]]] = {workers: [] for workers in (0, *numbers)}
    for number in range(rounds):
        for workers in found:
            folder = place / f"{name}-{number}-{workers}"
            found[workers].append(run(name, workers, length, folder))
    walls = {each: statistics.median(wall for wall, _ in took) for each, took in found.items()}
    one = walls[min(numbers)]
    runs = seconds_of_runs(place / f"{name}-0-{min(numbers)}")
    serial = max(one - simulated(runs, min(numbers)), 0.0)
    ceiling = one / (serial + max(runs.values()))
    print(f"{name}: {len(runs)} runs, {serial:.1f} s of plan and report, ceiling {ceiling:.1f}")
    rows = []
    for workers, took in found.items():
        memory = f"{max(memory for _, memory in took):.0f}"
        rows.append(line(name, workers, "measured", walls[workers], walls[0], memory))
    for workers in SIMULATED:
        rows.append(line(name, workers, "simulated", serial + simulated(runs, workers), one))
    return rows


def main() -> None:
    """All experiments, then the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    length = given.epochs, given.seeds
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as place:
        for name in given.names:
            rows += measured(name, length, given.workers, given.rounds, Path(place))
    start = statistics.median(start_of_a_worker() for _ in range(5))
    about = {"epochs": str(given.epochs), "seeds": str(given.seeds)}
    write("workers", rows, **about, start_of_a_worker=f"{start:.1f} s")


if __name__ == "__main__":
    main()
