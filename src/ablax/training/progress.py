"""Where experiments stand: bars on a terminal, plain lines without one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_UPDATES = 0.5


def seconds_left(total: float, skipped: float, done: float, elapsed: float) -> float | None:
    """How long the rest takes at the mean speed of this attempt; `None` while nothing is done.

    `(total - skipped - done) * elapsed / done`: what a former attempt did counts as done, but says
    nothing about the speed of this one.

    Example:
        >>> seconds_left(total=100.0, skipped=50.0, done=10.0, elapsed=3.0)
        12.0
    """
    left = max(total - skipped - done, 0.0)
    if left == 0.0:
        return 0.0
    return left * elapsed / done if done > 0 else None


def clock_text(seconds: float | None) -> str:
    """Seconds as `m:ss` or `h:mm:ss`; `?` when unknown.

    Example:
        >>> clock_text(62.4), clock_text(3661.0), clock_text(None)
        ('1:02', '1:01:01', '?')
    """
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class RunProgress:
    """Where one run stands; made by `Progress.start_run`."""

    def __init__(self, whole: Progress, label: str, work: float, now: float) -> None:
        self._whole, self.label, self.work = whole, label, work
        self.began = self.advanced = now
        self.skipped, self.done = 0.0, 0.0
        self.facts: list[str] = []

    @property
    def share(self) -> float:
        """What is behind it, 0 to 1."""
        return min((self.skipped + self.done) / self.work, 1.0) if self.work > 0 else 0.0

    @property
    def left(self) -> float:
        """Seconds to its end, at its own speed up to its last chunk; 0 while nobody can say."""
        elapsed = self.advanced - self.began
        return seconds_left(self.work, self.skipped, self.done, elapsed) or 0.0

    def skip(self, work: float) -> None:
        """Work of it that a former attempt did."""
        self.skipped += work
        self._whole.skip(work)

    def advance(
        self,
        work: float,
        *,
        images: int | None = None,
        loss: float | None = None,
        error: float | None = None,
    ) -> None:
        """A chunk is done; its images are for the images per second since the last one.

        Loss and error, in percent, are shown.
        """
        now = self._whole.now()
        took, self.advanced = now - self.advanced, now
        self.done += work
        self.facts = []
        if images is not None and took > 0:
            self.facts.append(f"{images / took:,.0f} images/s")
        if loss is not None:
            self.facts.append(f"loss {loss:.3g}")
        if error is not None:
            self.facts.append(f"error {error:.1f}%")
        self._whole.advanced(self, work)

    def end(self, test_error: float | None = None) -> None:
        """It is over; work that it did not report counts as skipped."""
        self._whole.skip(max(self.work - self.skipped - self.done, 0.0))
        self.facts = [f"done in {clock_text(self._whole.now() - self.began)}"]
        if test_error is not None:
            self.facts.append(f"test error {test_error:.1f}%")
        self._whole.ended(self)

    def lose(self, why: str) -> None:
        """It came to nothing, or to no more than what it saved; what it did counts no more."""
        self.facts = [why]
        self._whole.lost(self)


class Progress:
    """The state of one or more experiments and of the runs under way; made by `progress`.

    Work is in a unit of the caller's choice, e.g. images times MACs per image.
    """

    def __init__(
        self, total_work: float, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self.now = console, clock
        self._total, self._skipped, self._done = total_work, 0.0, 0.0
        self._began = self._measured = self._last_line = clock()
        self._runs: list[RunProgress] = []
        self._moving = _moving(console, self._times)

    def add(self, work: float) -> None:
        """There is more to do than was known."""
        self._total += work

    def start_run(self, label: str, work: float) -> RunProgress:
        """A run begins; `work` is all of it, with that of a former attempt (then call `skip`)."""
        run = RunProgress(self, label, work, self.now())
        self._runs.append(run)
        self._show()
        return run

    def skip(self, work: float) -> None:
        """Work that a former attempt did, such as that of a whole run."""
        self._skipped += work
        self._show()

    def advanced(self, run: RunProgress, work: float) -> None:
        """A run did so much work."""
        self._measured = run.advanced
        self._done += work
        now = self.now()
        due = now - self._last_line >= _SECONDS_BETWEEN_LINES
        self._show(self._line(run) if run.facts and due else None)

    def ended(self, run: RunProgress) -> None:
        """A run is over, which is said in a line that stays."""
        line = self._line(run)
        self._runs.remove(run)
        if self._moving is not None:
            self._moving.say(line)
        self._show(line)

    def lost(self, run: RunProgress) -> None:
        """A run came to nothing: its work is to be done again."""
        self._skipped -= run.skipped
        self._total += run.done  # it cost its time, and gave nothing
        self.ended(run)

    @property
    def seconds_left(self) -> float | None:
        """The estimate for the whole experiment: made at the last chunk, counting down since.

        At the mean speed of all runs so far; but no less than what the slowest run under way needs:
        at the end fewer run side by side.
        """
        elapsed, since = self._measured - self._began, self.now() - self._measured
        left = seconds_left(self._total, self._skipped, self._done, elapsed)
        if left is None:
            return None
        return max(left - since, *(run.left - since for run in self._runs), 0.0)

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._moving is not None:
            self._moving.close()

    def _line(self, run: RunProgress) -> str:
        """All facts: `[ 40%] full · seed 0: loss 0.31, 1:02 elapsed, about 1:33 left`."""
        return f"[{self._share():4.0%}] {run.label}: {', '.join([*run.facts, self._times()])}"

    def _share(self) -> float:
        whole = self._skipped + self._done
        return min(whole / self._total, 1.0) if self._total > 0 else 1.0

    def _times(self) -> str:
        elapsed = clock_text(self.now() - self._began)
        return f"{elapsed} elapsed, about {clock_text(self.seconds_left)} left"

    def _show(self, line: str | None = None) -> None:
        """Bring the screen up to date; `line` is what is said where nothing moves."""
        if self._moving is not None:
            self._moving.show(self._share(), self._runs)
        elif line is not None:
            self._last_line = self.now()
            _write_plain(self._console, line)


class _Bars:
    """The bars of rich: all that there is to do, and a bar for every run under way."""

    def __init__(self, console: Console, times: Callable[[], str]) -> None:
        self._rich = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            _Facts(times),
            console=console,
            refresh_per_second=2,
            transient=True,
        )
        self._whole = self._rich.add_task("experiment", total=1.0)
        self._tasks: dict[RunProgress, TaskID] = {}
        self._rich.start()

    def show(self, whole: float, runs: Sequence[RunProgress]) -> None:
        self._rich.update(self._whole, completed=whole)
        for gone in [run for run in self._tasks if run not in runs]:
            self._rich.remove_task(self._tasks.pop(gone))
        for run in runs:
            if run not in self._tasks:
                self._tasks[run] = self._rich.add_task(run.label, total=1.0, facts="")
            facts = ", ".join(run.facts)
            self._rich.update(self._tasks[run], completed=run.share, facts=facts)

    def say(self, line: str) -> None:
        self._rich.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        self._rich.stop()


class _Cell:
    """A line below the cell of a notebook, which is written again and again."""

    def __init__(self, console: Console, times: Callable[[], str]) -> None:
        from IPython.display import display

        self._console, self._times, self._shown = console, times, 0.0
        self._line = display({"text/plain": times()}, raw=True, display_id=True)

    def show(self, whole: float, runs: Sequence[RunProgress]) -> None:
        now = time.monotonic()
        if now - self._shown > _SECONDS_BETWEEN_UPDATES:
            self._shown = now
            parts = [", ".join([f"{run.label} {run.share:.0%}", *run.facts]) for run in runs]
            told = f"[{whole:4.0%}] {', '.join(['; '.join(parts), self._times()])}"
            self._line.update({"text/plain": told}, raw=True)

    def say(self, line: str) -> None:
        _write_plain(self._console, line)

    def close(self) -> None:
        self._line.update({"text/plain": self._times()}, raw=True)


class _Facts(ProgressColumn):
    """Right of a bar: the facts of a run; for the experiment its times, which go on by themselves.

    A first chunk compiles for half a minute: a clock that stands would look like a crash.
    """

    def __init__(self, times: Callable[[], str]) -> None:
        super().__init__()
        self._times = times

    def render(self, task: Task) -> Text:
        """The text, without markup."""
        facts: str | None = task.fields.get("facts")
        return Text(self._times() if facts is None else facts)


@contextmanager
def progress(
    total_work: float,
    *,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Show the progress of an experiment, by the object to report to.

    On a terminal a bar for all and one a run under way, in a notebook a line that changes, and a
    line for each run that ended. Anywhere else (a pipe, CI) plain lines without control characters:
    at most one in ten seconds, and one at the end of each run. `total_work` is that of all runs,
    finished ones included (then call `skip`).

    Example:
        >>> import sys
        >>> with progress(10.0, console=Console(file=sys.stdout), clock=lambda: 0.0) as p:
        ...     run = p.start_run("full · seed 0", 10.0)
        ...     run.advance(10.0, loss=0.5)
        ...     run.end(3.1)
        [100%] full · seed 0: done in 0:00, test error 3.1%, 0:00 elapsed, about 0:00 left
    """
    reporter = Progress(total_work, console or Console(), clock)
    try:
        yield reporter
    finally:
        reporter.close()


def console_here(shown: bool = True) -> Console:
    """What is printed to: a terminal as rich makes it, plain text in a notebook; or nothing."""
    notebook = _in_notebook()
    return Console(
        quiet=not shown, force_jupyter=False if notebook else None, width=120 * notebook or None
    )


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def _moving(console: Console, times: Callable[[], str]) -> _Bars | _Cell | None:
    """What shows progress in place; None where only lines can be written."""
    if console.quiet:
        return None
    # FORCE_COLOR makes rich call a pipe a terminal: ask the file
    if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
        return _Bars(console, times)
    return _Cell(console, times) if _in_notebook() else None


def _write_plain(console: Console, line: str) -> None:
    """Past rich, which wraps at 80 columns; and never fail a run over a character."""
    if console.quiet:
        return
    encoding = getattr(console.file, "encoding", None) or "utf-8"
    console.file.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    console.file.flush()


@contextmanager
def busy(console: Console, what: str) -> Iterator[None]:
    """Say what takes a while: with a sign of life on a terminal, in a line without one."""
    if not console.is_terminal:
        console.print(f"{what} ...", soft_wrap=True, markup=False, highlight=False)
        yield
        return
    with console.status(what):
        yield
