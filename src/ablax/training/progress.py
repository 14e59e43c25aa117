"""Where an experiment stands: two bars on a terminal, plain lines without one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn
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


class Progress:
    """The state of the experiment and of its current run; made by `progress`.

    Work is in a unit of the caller's choice, e.g. images times MACs per image.
    """

    def __init__(
        self, total_work: float, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._clock = console, clock
        self._total, self._skipped, self._done = total_work, 0.0, 0.0
        self._began = self._measured = self._last_advance = self._last_line = clock()
        self._run_began = self._began
        self._label, self._run_work, self._run_done = "", 0.0, 0.0
        self._facts: list[str] = []
        self._bars = _moving(console, self._times)

    def start_run(self, label: str, work: float) -> None:
        """A run begins; `work` is all of it, with that of a former attempt (then call `skip`)."""
        self._label, self._run_work, self._run_done, self._facts = label, work, 0.0, []
        self._run_began = self._last_advance = self._clock()
        self._show()

    def skip(self, work: float) -> None:
        """Work that a former attempt did, of the current run or, between runs, of whole runs."""
        self._skipped += work
        self._run_done += work
        self._show()

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
        now = self._clock()
        took, self._last_advance, self._measured = now - self._last_advance, now, now
        self._done += work
        self._run_done += work
        self._facts = []
        if images is not None and took > 0:
            self._facts.append(f"{images / took:,.0f} images/s")
        if loss is not None:
            self._facts.append(f"loss {loss:.3g}")
        if error is not None:
            self._facts.append(f"error {error:.1f}%")
        self._show()

    def end_run(self, test_error: float | None = None) -> None:
        """The current run is over; work it did not report counts as skipped."""
        self._skipped += max(self._run_work - self._run_done, 0.0)
        took = clock_text(self._clock() - self._run_began)
        self._facts = [f"done in {took}"]
        if test_error is not None:
            self._facts.append(f"test error {test_error:.1f}%")
        line = self._line()
        self._label, self._run_work, self._run_done, self._facts = "", 0.0, 0.0, []
        if self._bars is not None:
            self._bars.say(line)
        self._show(line)

    @property
    def seconds_left(self) -> float | None:
        """The estimate for the whole experiment: made at the last chunk, counting down since."""
        elapsed, since = self._measured - self._began, self._clock() - self._measured
        left = seconds_left(self._total, self._skipped, self._done, elapsed)
        return None if left is None else max(left - since, 0.0)

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._bars is not None:
            self._bars.close()

    def _line(self) -> str:
        """All facts: `[ 40%] full · seed 0: loss 0.31, 1:02 elapsed, about 1:33 left`."""
        return f"[{self._share():4.0%}] {self._label}: {', '.join([*self._facts, self._times()])}"

    def _share(self) -> float:
        whole = self._skipped + self._done
        return min(whole / self._total, 1.0) if self._total > 0 else 1.0

    def _times(self) -> str:
        elapsed = clock_text(self._clock() - self._began)
        return f"{elapsed} elapsed, about {clock_text(self.seconds_left)} left"

    def _show(self, last_line: str | None = None) -> None:
        """Bring the screen up to date; `last_line` is what must be said about a run that ended."""
        if self._bars is not None:
            share = min(self._run_done / self._run_work, 1.0) if self._run_work > 0 else 0.0
            self._bars.show(self._share(), share, self._label, self._facts)
            return
        now = self._clock()
        if last_line is None:
            if not self._facts or now - self._last_line < _SECONDS_BETWEEN_LINES:
                return
            last_line = self._line()
        self._last_line = now
        _write_plain(self._console, last_line)


class _Bars:
    """The two bars of rich: the whole experiment, and the current run."""

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
        self._run = self._rich.add_task("", total=1.0, visible=False, facts="")
        self._rich.start()

    def show(self, whole: float, run: float, label: str, facts: list[str]) -> None:
        self._rich.update(self._whole, completed=whole)
        fields: dict[str, Any] = {"facts": ", ".join(facts), "visible": bool(label)}
        self._rich.update(self._run, completed=run, description=label, **fields)

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

    def show(self, whole: float, run: float, label: str, facts: list[str]) -> None:
        now = time.monotonic()
        if now - self._shown > _SECONDS_BETWEEN_UPDATES:
            self._shown = now
            parts = [f"[{whole:4.0%}] {label} {run:.0%}", *facts, self._times()]
            self._line.update({"text/plain": ", ".join(parts)}, raw=True)

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

    On a terminal two bars, in a notebook a line that changes, and a line for each run that ended.
    Anywhere else (a pipe, CI) plain lines without control characters: at most one in ten seconds,
    and one at the end of each run. `total_work` is that of all runs, finished ones included (then
    call `skip`).

    Example:
        >>> import sys
        >>> with progress(10.0, console=Console(file=sys.stdout), clock=lambda: 0.0) as p:
        ...     p.start_run("full · seed 0", 10.0)
        ...     p.advance(10.0, loss=0.5)
        ...     p.end_run(3.1)
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
