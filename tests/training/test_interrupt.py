"""Ctrl-C and SIGTERM: a flag first, an exception only when asked twice."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from ablax.training.loop import graceful_stop


def send(number):
    os.kill(os.getpid(), number)


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_first_signal_only_raises_the_flag_and_says_so(number, name, capfd):
    with graceful_stop() as stop:
        assert stop.requested is None
        send(number)
        assert stop.requested == name
    assert f"{name}: saving, then stopping" in capfd.readouterr().err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_after_a_request_interrupts_at_once(first):
    before = handlers()
    with graceful_stop():
        send(first)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert handlers() == before


def test_repeated_sigterm_changes_nothing():
    with graceful_stop() as stop:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.requested == "Ctrl-C"


def test_former_handlers_return_also_after_an_error():
    before, during = handlers(), []

    def fail():
        with graceful_stop():
            during.append(handlers())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert before not in during
    assert handlers() == before


def test_stops_nest_and_the_inner_one_hears_the_signal():
    with graceful_stop() as outer:
        with graceful_stop() as inner:
            send(signal.SIGTERM)
        assert (outer.requested, inner.requested) == (None, "SIGTERM")
        send(signal.SIGTERM)
        assert outer.requested == "SIGTERM"


def test_signal_that_was_ignored_stays_ignored():
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with graceful_stop() as stop:
            send(signal.SIGINT)
            assert stop.requested is None
            send(signal.SIGTERM)
            assert stop.requested == "SIGTERM"
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_other_threads_get_a_flag_that_never_rises():
    before, seen = handlers(), []

    def work():
        with graceful_stop() as stop:
            seen.append((stop.requested, handlers() == before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, True)]


@pytest.mark.slow
def test_a_process_that_is_asked_to_stop_finishes_its_chunk():
    script = textwrap.dedent("""
        import time
        from ablax.training.loop import graceful_stop
        with graceful_stop() as stop:
            print("ready", flush=True)
            while not stop.requested:
                time.sleep(0.01)
            print("saved", stop.requested)
    """)
    command = [sys.executable, "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "saved SIGTERM\n")
    assert "Ctrl-C again stops at once" in error
