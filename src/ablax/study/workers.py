"""Runs side by side: the order in which they are begun, and the processes that train them.

A worker is a process of its own with cores (or an accelerator) of its own, started once and kept.
The parent tells it which run to train; the worker tells how far it is. Whatever ends a worker costs
the run that it was at, and no other: the run is tried once more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from ablax.config import Recipe
from ablax.errors import AblaxError, memory
from ablax.study.environment import available_cores, gpus


class Job(NamedTuple):
    """What a worker has to know of an experiment: plain values, so that it can be sent."""

    source: str
    """A name, a path or a module, as `ablax run` takes it."""
    recipe: Recipe
    folder: str


class RunKey(NamedTuple):
    """One training: of which job, which variant, from which seed."""

    job: int
    variant: str
    seed: int


@dataclass
class Schedule:
    """Which run is next.

    Runs are begun in their order, but two of one variant begin side by side only when its programs
    are compiled: the second would compile the same ones again, at the same time.

    Example:
        >>> schedule = Schedule([RunKey(0, "full", 0), RunKey(0, "full", 1), RunKey(0, "cut", 0)])
        >>> schedule.begin(), schedule.begin(), schedule.begin()
        (RunKey(job=0, variant='full', seed=0), RunKey(job=0, variant='cut', seed=0), None)
        >>> schedule.compiled(RunKey(0, "full", 0))
        >>> schedule.begin()
        RunKey(job=0, variant='full', seed=1)
    """

    waiting: list[RunKey]
    under_way: list[RunKey] = field(default_factory=list)
    _compiled: set[tuple[int, str]] = field(default_factory=set)

    def begin(self) -> RunKey | None:
        """The next run; None where none may begin now."""
        compiling = {(run.job, run.variant) for run in self.under_way} - self._compiled
        for run in self.waiting:
            if (run.job, run.variant) not in compiling:
                self.waiting.remove(run)
                self.under_way.append(run)
                return run
        return None

    def compiled(self, run: RunKey) -> None:
        """The programs of its variant are compiled."""
        self._compiled.add((run.job, run.variant))

    def end(self, run: RunKey) -> None:
        """It is over."""
        self.under_way.remove(run)
        self.compiled(run)

    def again(self, run: RunKey) -> None:
        """It came to nothing, and is the next to begin."""
        self.under_way.remove(run)
        self.waiting.insert(0, run)

    def add(self, runs: Iterable[RunKey]) -> None:
        """More of them, behind all others; those that are known already change nothing."""
        known = {*self.waiting, *self.under_way}
        self.waiting += [run for run in runs if run not in known]

    def drop(self, job: int) -> list[RunKey]:
        """Begin no more runs of a job; those that will not be begun."""
        dropped = [run for run in self.waiting if run.job == job]
        self.waiting = [run for run in self.waiting if run.job != job]
        return dropped

    def left(self, job: int) -> int:
        """How many runs of a job are not over."""
        return sum(run.job == job for run in [*self.waiting, *self.under_way])


MEMORY_OF_A_WORKER = 2 << 30
"""Bytes that a worker takes for a small network, about, at most: those of `depth_sweep`."""


def worth(cores: int | None, runs: int, room: int | None = None) -> int:
    """How many workers a machine without accelerators has use for.

    As many as there are cores for, runs, and memory (`room`, in bytes; what is there by default).

    Example:
        >>> worth(None, runs=10)
        1
        >>> worth(1, runs=1)
        1
    """
    if cores is None:
        return 1
    room = memory() if room is None else room
    return max(1, min(available_cores() // cores, runs, room // MEMORY_OF_A_WORKER))


@runtime_checkable
class Shown(Protocol):
    """Where the progress of a run is shown."""

    def skip(self, work: float) -> None:
        """Work that a former attempt did."""

    def advance(
        self,
        work: float,
        *,
        images: int | None = None,
        loss: float | None = None,
        error: float | None = None,
    ) -> None:
        """A chunk is done."""


class Remote:
    """Tells the parent how far a run is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def skip(self, work: float) -> None:
        """Work that a former attempt did."""
        self._connection.send(("skip", work))

    def advance(self, work: float, **facts: Any) -> None:
        """A chunk is done; the facts are those of `Shown`."""
        self._connection.send(("advance", work, facts))


_SERVE = """
import os, sys
parent, descriptor, *cores = map(int, sys.argv[1:])
if sys.platform == "linux":  # from here on the system ends it with its parent: importing takes long
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == parent:
    from ablax.study.runner import serve
    serve(descriptor, *cores)
"""


class Worker:
    """A process that trains one run after the other; seen from the parent."""

    run: RunKey | None = None
    """What it is at."""

    def __init__(
        self, jobs: Sequence[Job], slot: int, cores: int | None, accelerators: int = 0
    ) -> None:
        self.cores = cores
        own = _cores(slot, cores)
        self.connection, theirs = Pipe()
        numbers = [os.getpid(), theirs.fileno(), *own]
        command = [sys.executable, "-c", _SERVE, *map(str, numbers)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | environment_of(slot, cores, accelerators),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's alone
        )
        theirs.close()
        self.tell(list(jobs))

    def tell(self, message: Any) -> None:
        """Send it; that nobody is there to read it is seen when its words are read."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def begin(self, run: RunKey) -> None:
        """Train this run next."""
        self.run = run
        self.tell(run)

    def how_it_ended(self) -> str:
        """In words, once nobody answers any more."""
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return "was killed (by the system, if the memory did not suffice)"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return "ran out of memory" if code == OUT_OF_MEMORY else f"ended with status {code}"

    def close(self, seconds: float = 5.0) -> None:
        """End it: in peace, or by force after so many seconds."""
        self.tell(None)
        self.connection.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


OUT_OF_MEMORY = 77
"""The status with which a worker says that its memory did not suffice."""


def _cores(slot: int, cores: int | None) -> list[int]:
    """The cores of the worker in a slot; all where they are not told apart or there are too few."""
    if cores is None or not hasattr(os, "sched_getaffinity"):
        return []
    there = sorted(os.sched_getaffinity(0))
    slot %= max(len(there) // cores, 1)
    return there[slot * cores : (slot + 1) * cores]


def leave_room(workers: int | None) -> None:
    """Take no more memory of a GPU than is needed, where workers are to have it.

    By default JAX takes three quarters of every GPU as soon as its first array is there.
    """
    if workers or (workers is None and gpus() > 1):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def environment_of(slot: int, cores: int | None, accelerators: int = 0) -> dict[str, str]:
    """What a worker's environment has of its own: its accelerator, or its number of threads."""
    if accelerators:
        own = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(accelerators)))
        return {"CUDA_VISIBLE_DEVICES": own.split(",")[slot % accelerators]}
    if cores is None:
        return {}
    threads = str(cores)
    names = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, threads)


class Lost(NamedTuple):
    """A run that two workers did not survive."""

    run: RunKey
    why: str


class RefusedError(AblaxError):
    """What a worker refused, in its words."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Pool:
    """Workers, and what they are at.

    `began`, `moved`, `ended` and `lost` are told of every run: that it begins, how far it is (the
    words of `Remote`), its test error at the end, and how its worker ended. With accelerators each
    worker has one, in turn.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: int,
        schedule: Schedule,
        *,
        began: Callable[[RunKey], None],
        moved: Callable[[RunKey, str, tuple[Any, ...]], None],
        ended: Callable[[RunKey, float | None], None],
        lost: Callable[[RunKey, str], None],
        accelerators: int = 0,
    ) -> None:
        self._jobs, self._schedule, self._accelerators = jobs, schedule, accelerators
        self._slots: list[Worker | None] = [None] * workers
        self._began, self._moved, self._ended, self._lost = began, moved, ended, lost
        self._tries: dict[RunKey, int] = {}
        self._refused: dict[int, RefusedError] = {}
        self.gone: list[Lost] = []

    def drive(self, stopped: Callable[[], str | None]) -> bool:
        """Train until nothing is left, or until `stopped` names a signal: then all are saved.

        Gives whether all came to their end.

        Raises:
            RefusedError: A worker met something that a person has to mend. The other runs of its
                job are saved and begin no more; other jobs went to their end.
        """
        told = False
        while True:
            name = stopped()
            if not name:
                self._give()
            elif not told:
                told = True
                self._stop(self._working(), name)
            busy = {worker.connection.fileno(): worker for worker in self._working()}
            if not busy:
                break
            for ready in wait([worker.connection for worker in busy.values()], timeout=0.2):
                self._hear(busy[cast("Connection", ready).fileno()])
        if self._refused:
            raise next(iter(self._refused.values()))
        return not self._schedule.waiting

    def _stop(self, workers: Sequence[Worker], name: str) -> None:
        for worker in workers:
            worker.tell(("stop", name))

    def close(self) -> None:
        """End all workers."""
        there = [worker for worker in self._slots if worker is not None]
        for worker in there:
            worker.tell(None)
        for worker in there:
            worker.close()

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._slots:
            if worker is not None:
                worker.process.kill()

    def _working(self) -> list[Worker]:
        return [worker for worker in self._slots if worker is not None and worker.run is not None]

    def _give(self) -> None:
        """A run to everybody who has none."""
        for slot, worker in enumerate(self._slots):
            if worker is not None and worker.run is not None:
                continue
            run = self._schedule.begin()
            if run is None:
                return
            cores = self._jobs[run.job].recipe.train.cores
            if worker is None or worker.cores != cores:
                if worker is not None:
                    worker.close()
                worker = Worker(self._jobs, slot, cores, self._accelerators)  # noqa: PLW2901
                self._slots[slot] = worker
            worker.begin(run)
            self._began(run)

    def _hear(self, worker: Worker) -> None:
        run = worker.run
        assert run is not None
        try:
            kind, *rest = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker, run)
            return
        if kind == "ended":
            worker.run = None
            self._schedule.end(run)
            self._ended(run, *rest)
        elif kind == "stopped":
            worker.run = None
            if run.job in self._refused:
                self._schedule.end(run)
            else:
                self._schedule.again(run)
        elif kind == "refused":
            worker.run = None
            self._schedule.end(run)
            self._schedule.drop(run.job)
            self._refused.setdefault(run.job, RefusedError(*rest))
            others = [each for each in self._working() if each.run and each.run.job == run.job]
            self._stop(others, "Ctrl-C")
        elif kind == "broken":
            sys.stderr.write(rest[0])
            raise RuntimeError(f"a worker failed at {run.variant}, seed {run.seed} (see above)")
        else:
            if kind == "advance" and rest[1].get("error") is not None:
                self._schedule.compiled(run)
            self._moved(run, kind, tuple(rest))

    def _bury(self, worker: Worker, run: RunKey) -> None:
        """A worker is gone: its run is tried once more."""
        why = worker.how_it_ended()
        worker.connection.close()
        self._slots[self._slots.index(worker)] = None
        self._tries[run] = self._tries.get(run, 0) + 1
        if self._tries[run] < 2:
            self._schedule.again(run)
            self._lost(run, f"its worker {why}: once more")
        else:
            self._schedule.end(run)
            self.gone.append(Lost(run, why))
            self._lost(run, f"its worker {why}, for the second time")


@contextlib.contextmanager
def closing(pool: Pool) -> Iterator[Pool]:
    """End the workers at the end of a block, at once where it failed."""
    try:
        yield pool
    except BaseException:
        pool.kill()
        raise
    finally:
        pool.close()
