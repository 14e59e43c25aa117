"""One side of a benchmark in a Python of its own, round by round: PyTorch beside a newer JAX.

`TORCH_PYTHON=/path/to/python` names the Python that has torch and ablax; without it PyTorch is
looked for in the Python that runs the benchmark.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import util

TORCH_PYTHON = os.environ.get("TORCH_PYTHON") or (sys.executable if util.find_spec("torch") else "")
"""The Python that has PyTorch; empty where none is known."""

Timed = Callable[[], float]


class InAnotherPython:
    """Seconds that a script of `TORCH_PYTHON` measures in a process of its own, resting between.

    The process ends with this object.

    Args:
        words: The script, and the words that make it `serve`.
    """

    def __init__(self, *words: str) -> None:
        self._child = subprocess.Popen(
            [TORCH_PYTHON, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self) -> float:
        """A round."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("round\n")
        self._child.stdin.flush()
        for line in self._child.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise SystemExit(f"{TORCH_PYTHON} stopped: does it have torch and ablax?")

    def __del__(self) -> None:
        self._child.communicate()  # closes its input, which ends it


def serve(timed: Timed) -> None:
    """The other side of `InAnotherPython`: a round for every line, until there is none."""
    for _ in sys.stdin:
        print(f"seconds {timed()}", flush=True)


def torch_version() -> str:
    """Of the PyTorch that is timed; empty where there is none."""
    if not TORCH_PYTHON:
        return ""
    code = "from importlib.metadata import version; print(version('torch'))"
    found = subprocess.run([TORCH_PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip()
