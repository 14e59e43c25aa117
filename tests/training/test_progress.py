"""Progress: the arithmetic of the time left, plain lines, bars."""

import io
import re
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ablax.training.progress import clock_text, console_here, progress, seconds_left


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def piped(**options):
    return Console(file=io.StringIO(), **options)


def test_time_left_is_the_rest_at_the_mean_speed():
    assert seconds_left(total=100.0, skipped=0.0, done=25.0, elapsed=10.0) == 30.0


def test_time_left_is_unknown_before_anything_is_done_and_zero_at_the_end():
    assert seconds_left(100.0, 0.0, 0.0, 5.0) is None
    assert seconds_left(100.0, 60.0, 0.0, 5.0) is None
    assert seconds_left(100.0, 100.0, 0.0, 0.0) == 0.0
    assert seconds_left(100.0, 60.0, 41.0, 5.0) == 0.0


amounts = st.floats(1.0, 1e12)


@given(left=amounts, skipped=amounts, done=amounts, elapsed=st.floats(0.0, 1e6))
def test_work_of_a_former_attempt_does_not_change_the_time_left(left, skipped, done, elapsed):
    fresh = seconds_left(left + done, 0.0, done, elapsed)
    resumed = seconds_left(left + done + skipped, skipped, done, elapsed)
    assert resumed == pytest.approx(fresh, rel=1e-2, abs=(skipped + done) * 1e-15 * elapsed / done)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3600.0, "1:00:00"), (90061.0, "25:01:01")],
)
def test_clock_text_is_minutes_or_hours(seconds, text):
    assert clock_text(seconds) == text


def test_pipe_gets_a_line_every_ten_seconds_and_one_for_each_run():
    clock, console = Clock(), piped()
    with progress(200.0, console=console, clock=clock) as p:
        run = p.start_run("full · seed 0", 100.0)
        for _ in range(10):  # 2.5 s a chunk: lines at 10 and 20 s, and the last at 25 s
            clock.now += 2.5
            run.advance(10.0, images=5000, loss=0.51234, error=12.34)
        run.end(3.14)
        run = p.start_run("without 3,4 · seed 0", 100.0)
        clock.now += 5
        run.advance(50.0, loss=1.0)
        clock.now += 5
        run.advance(50.0)
        run.end()
    assert console.file.getvalue().splitlines() == [
        "[ 20%] full · seed 0: 2,000 images/s, loss 0.512, error 12.3%, "
        "0:10 elapsed, about 0:40 left",
        "[ 40%] full · seed 0: 2,000 images/s, loss 0.512, error 12.3%, "
        "0:20 elapsed, about 0:30 left",
        "[ 50%] full · seed 0: done in 0:25, test error 3.1%, 0:25 elapsed, about 0:25 left",
        "[100%] without 3,4 · seed 0: done in 0:10, 0:35 elapsed, about 0:00 left",
    ]


def test_skipped_runs_and_parts_count_as_done_but_not_for_speed():
    clock, console = Clock(), piped()
    with progress(400.0, console=console, clock=clock) as p:
        p.skip(100.0)  # a whole run
        run = p.start_run("b", 100.0)
        run.skip(50.0)  # half a run
        clock.now += 10
        run.advance(50.0)
        assert p.seconds_left == 40.0
        run.end()
    assert console.file.getvalue() == ("[ 50%] b: done in 0:10, 0:10 elapsed, about 0:40 left\n")


def test_time_left_counts_down_between_two_chunks():
    clock = Clock()
    with progress(100.0, console=piped(), clock=clock) as p:
        run = p.start_run("a", 100.0)
        clock.now += 10
        assert p.seconds_left is None
        run.advance(50.0)
        assert p.seconds_left == 10.0
        clock.now += 4
        assert p.seconds_left == 6.0
        clock.now += 40
        assert p.seconds_left == 0.0


def test_run_that_ends_early_does_not_leave_work_behind():
    clock = Clock()
    with progress(200.0, console=piped(), clock=clock) as p:
        run = p.start_run("a", 100.0)
        clock.now += 10
        run.advance(50.0)
        run.end()
        assert p.seconds_left == 20.0


def test_runs_side_by_side_share_the_work_and_the_slowest_decides_at_the_end():
    clock, console = Clock(), piped()
    with progress(300.0, console=console, clock=clock) as p:
        fast, slow = p.start_run("a", 100.0), p.start_run("b", 100.0)
        clock.now += 10
        fast.advance(100.0)
        slow.advance(20.0)
        assert p.seconds_left == 40.0  # b at its own speed; all together it would be 15
        fast.end()
        p.add(500.0)
        assert p.seconds_left == pytest.approx(680 / 12)
        slow.lose("its worker was killed: once more")
        again = p.start_run("b", 100.0)
        again.skip(20.0)
        clock.now += 10
        again.advance(80.0)
        again.end()
    last = console.file.getvalue().splitlines()[-1]
    assert last.startswith("[ 27%] b: done in 0:10")  # 220 of 820: what was lost counts for nothing


def test_pipe_gets_no_escape_codes_even_with_forced_color(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    for console in (piped(), piped(force_terminal=True)):
        clock = Clock()
        with progress(1.0, console=console, clock=clock) as p:
            run = p.start_run("[bold]x[/bold] " + "long " * 40, 1.0)
            clock.now += 60
            run.advance(1.0, loss=0.5)
            run.end(1.0)
        text = console.file.getvalue()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
        assert len(text.splitlines()) == 2
        assert text.splitlines()[0].startswith("[100%] [bold]x[/bold] long long")


def test_pipe_that_cannot_print_a_character_does_not_stop_the_run():
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"))
    with progress(1.0, console=console, clock=Clock()) as p:
        run = p.start_run("full · seed 0", 1.0)
        run.end()
    assert raw.getvalue().startswith(b"[100%] full ? seed 0: done")


def test_terminal_gets_two_bars_and_a_line_for_each_run_that_stays(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    console, clock = Console(file=Terminal(), force_terminal=True, width=140), Clock()
    with progress(200.0, console=console, clock=clock) as p:
        run = p.start_run("without [b]3,4[/b] · seed 2", 100.0)
        clock.now += 10
        run.advance(50.0, images=1000, loss=0.5, error=12.0)
        clock.now += 7  # nothing is reported, yet the clock goes on
        p._moving._rich.refresh()
        drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
        run.end(3.0)
    assert re.search(r"experiment +━+.* 25% 0:17 elapsed, about 0:23 left", drawn)
    bar = r"without \[b\]3,4\[/b\] · seed 2 +━+.* 50% 100 images/s, loss 0\.5, error 12\.0%"
    assert re.search(bar, drawn)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert "without [b]3,4[/b] · seed 2: done in 0:17, test error 3.0%" in text


def test_bars_leave_the_screen_and_the_cursor_returns_when_a_run_fails(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(file=Terminal(), force_terminal=True, width=100)
    hide, show, erase = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"

    def fail():
        with progress(1.0, console=console) as p:
            p.start_run("a", 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    text = console.file.getvalue()
    assert text.rfind(show) > text.rfind(hide) > -1
    assert text.rstrip().endswith(erase)


class Cell:
    """Stands for what IPython gives back for something that may be shown again."""

    def __init__(self):
        self.shown = []

    def update(self, data, raw):
        assert raw
        self.shown.append(data["text/plain"])


def test_in_a_notebook_one_line_is_written_again(monkeypatch):
    cell, said = Cell(), io.StringIO()
    ipython = SimpleNamespace(get_ipython=lambda: "a kernel")
    shown = SimpleNamespace(display=lambda data, raw, display_id: cell)
    for name, module in {
        "ipykernel": ipython, "IPython": ipython, "IPython.display": shown
    }.items():  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("ablax.training.progress._SECONDS_BETWEEN_UPDATES", -1.0)
    with progress(10.0, console=Console(file=said), clock=lambda: 0.0) as reporter:
        run = reporter.start_run("full · seed 0", 10.0)
        run.advance(5.0, loss=0.5)
        run.end(3.1)
    assert any(line.startswith("[ 50%] full · seed 0 50%, loss 0.5, ") for line in cell.shown)
    assert said.getvalue().count("\n") == 1
    assert "test error 3.1%" in said.getvalue()
    assert console_here().width == 120


def test_a_quiet_console_shows_no_progress(capsys):
    with progress(10.0, console=console_here(shown=False)) as reporter:
        run = reporter.start_run("full", 10.0)
        run.end(3.1)
    assert capsys.readouterr().out == ""
