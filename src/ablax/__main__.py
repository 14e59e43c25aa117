"""The command line: `ablax COMMAND ...` or `python -m ablax COMMAND ...`.

Each command is a file of `ablax.commands` with one public function of the file's name, and that
file alone is imported. Exit statuses: 0; 1 where the doctor found a problem; 2 for whatever a
person can mend, with one message; 130 after Ctrl-C and 143 after SIGTERM, whether or not there was
something to save; 141 where nobody reads the output any more.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ablax.errors import AblaxError, brief, is_out_of_memory, nearest

#: Each command and what it does, in the order of the help.
COMMANDS = {
    "list": "list the experiments, recipes and networks",
    "run": "run an experiment, or resume one",
    "keep": "copy a finished run's tables, plots and report into experiments/results",
    "report": "make a run's report again from its files, without training",
    "show": "print a network of the zoo, one line per layer",
    "table": "cost of every layer: multiply-accumulates, parameters, memory",
    "doctor": "diagnose training",
    "inspect": "visualize filters, feature maps and what activates a network",
    "check-gradient": "compare a network's gradient with finite differences",
    "profile": "time of a training step, layer by layer",
    "draw": "draw a network's data-flow graph as a page",
    "roofline": "each layer against the compute and bandwidth limits of this machine",
    "receptive-field": "receptive field of each layer, theoretical or effective",
    "plot-errors": "plot published errors against multiply-accumulates and parameters",
    "import": "import pretrained weights of another library",
    "predict": "classify pictures: the five most probable classes of each",
    "evaluate": "test error of weights on a data set",
}

_USAGE = "usage: ablax COMMAND ... (ablax COMMAND --help explains its options)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave: status 0, or 2 and one message that says what to mend.

    The words behind `ablax` are those of the process by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ± still gets its table
    _without_checks_of_jax()
    try:
        try:
            _main(words)
        finally:
            sys.stdout.flush()  # here, where a closed pipe is no traceback
    except AblaxError as error:
        _leave(str(error), error.status)
    except KeyboardInterrupt as error:
        status = 143 if isinstance(error, _Terminated) else 130
        _leave("stopped at once; what was saved before is as it was", status)
    except BrokenPipeError:  # as other tools: `ablax list | head` ends in silence
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if fault := _without_devices():
            _leave(fault)
        if not is_out_of_memory(error):
            raise
        _leave(
            "this machine's memory does not suffice for it: give a smaller --batch, --images, "
            "--image-size, --width or --train.batch"
        )


def _without_checks_of_jax() -> None:
    """Checks for one's own code, which ours outside the layers would not pass; said in a line."""
    for name, usual in (("RANK_PROMOTION", "allow"), ("DTYPE_PROMOTION", "standard")):
        given = os.environ.get(f"JAX_NUMPY_{name}", usual)
        if given != usual and "jax" not in sys.modules:
            del os.environ[f"JAX_NUMPY_{name}"]
            print(f"ablax computes without JAX_NUMPY_{name}={given}", file=sys.stderr)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, where no run saves on it."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _leave(message: str, status: int = 2) -> None:
    print(f"ablax: {message}", file=sys.stderr)
    sys.exit(status)


def _main(words: Sequence[str]) -> None:
    if not words:
        print(_overview())
        raise AblaxError("which command? ablax list, for instance")
    name, *rest = words
    if name in _OPTIONS:
        if rest:
            raise AblaxError(f"{name} takes no further word, and {rest[0]!r} is one: leave it out")
        print(_overview() if name != "--version" else _version())
        return
    if name not in COMMANDS:
        said = name.split()[0] if name.strip() else name  # "run mine", in quotes
        raise AblaxError(f"there is no command {name!r}: {nearest(said, (*COMMANDS, *_OPTIONS))}")
    module_name = _module(name)
    with _sign_of_life(name):
        module = importlib.import_module(f"ablax.commands.{module_name}")
        from ablax.commands.options import parse

        defaults = module.defaults(rest) if name == "run" else {}
        parse(getattr(module, module_name), rest, name, defaults)()


@contextlib.contextmanager
def _sign_of_life(name: str) -> Iterator[None]:
    """Count seconds in a line of the terminal until the command says something itself."""
    screen, former = sys.stderr, (sys.stdout, sys.stderr)
    if not screen.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield
        return
    over, lock, began = threading.Event(), threading.Lock(), time.monotonic()

    def count() -> None:
        while not over.wait(1.0):
            with lock:
                if not over.is_set():
                    screen.write(f"\r\033[2mablax {name}: {time.monotonic() - began:.0f} s\033[0m")
                    screen.flush()

    def leave() -> None:
        with lock:
            if not over.is_set():
                over.set()
                screen.write("\r\033[K")
                screen.flush()

    sys.stdout, sys.stderr = (_Watched(each, leave) if each.isatty() else each for each in former)
    threading.Thread(target=count, daemon=True).start()
    try:
        yield
    finally:
        leave()
        sys.stdout, sys.stderr = former


class _Watched:
    """A stream that calls somebody before it is written to."""

    def __init__(self, stream: Any, before: Callable[[], None]) -> None:
        self._stream, self._before = stream, before

    def write(self, text: str) -> int:
        self._before()
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_OPTIONS = ("--help", "--version", "-h")


def _version() -> str:
    from importlib.metadata import version

    return f"ablax {version('ablax')}"


def _module(name: str) -> str:
    """`import` is a word of Python's and cannot name a module that one imports."""
    return "import_weights" if name == "import" else name.replace("-", "_")


def _overview() -> str:
    lines = [f"  {name:<18}{about}" for name, about in COMMANDS.items()]
    about = "A laboratory for convolutional networks on JAX."
    return "\n".join([_USAGE, "       ablax --version", "", about, "", "commands:", *lines])


def _without_devices() -> str:
    """What to say where JAX was asked for devices that are not there; empty where they are."""
    asked, jax = os.environ.get("JAX_PLATFORMS", ""), sys.modules.get("jax")
    if not asked or jax is None:
        return ""
    try:
        jax.devices()
    except Exception as error:  # of several kinds, a bare AssertionError among them
        why = f" ({brief(error)})" if str(error) else ""
        return (
            f"JAX finds no device of JAX_PLATFORMS={asked}{why}: unset it to take what is there, "
            "or set it to cpu"
        )
    return ""


if __name__ == "__main__":
    main()
