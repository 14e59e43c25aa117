"""`python -m ablax.data.prepare cifar10 --folder data`: download a set and prepare it.

Preparing needs TensorFlow, reading does not. So TensorFlow is installed into an environment in a
temporary folder, used once and deleted. This package's own environment never sees it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ablax.data.images import DataError

PACKAGES = ("tensorflow", "tensorflow-datasets", "array-record", "importlib-resources", "pillow")

Run = Callable[[Sequence[str]], int]
"""Runs a command in the foreground and returns its exit status."""
_run: Run = subprocess.call

_PROGRAM = """\
import sys
import tensorflow_datasets as tfds
name, folder = sys.argv[1:]
try:
    builder = tfds.builder(name, data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {str(error)[:500]}")
print("prepared", builder.info.full_name, "in", builder.data_dir)
"""


def prepare(
    name: str, folder: Path, *, python: str = sys.executable, run: Run | None = None
) -> None:
    """Download a set of tensorflow-datasets and write it to `folder` as ArrayRecord.

    It is named as there: `cifar10`, `cifar10:3.0.2`, `NAME/config`. TensorFlow must support the
    version of `python`, the interpreter of the temporary environment; `run` runs a command, by
    default as a child process with this terminal.

    Raises:
        DataError: The name is not one, or a step failed: which, and what to try.
    """
    name = name.removeprefix("tfds:")
    if not re.fullmatch(r"\w+(/[\w.\-]+)?(:\d+\.\d+\.\d+)?", name):
        raise DataError(f"'{name}' is no name of a data set: expected for example cifar10")
    run = _run if run is None else run
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix="ablax-tensorflow-"))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be made: {error.strerror}") from error
    try:
        for title, command, advice in steps(name, folder, home, python):
            print(f"{title} ...", flush=True)
            if status := run(command):
                raise DataError(f"{title} failed (exit status {status}): {advice}")
    finally:
        shutil.rmtree(home, ignore_errors=True)
        print("the temporary environment is deleted", flush=True)
    print(f"ready: --data.dir {folder} (or TFDS_DATA_DIR={folder})", flush=True)


def steps(name: str, folder: Path, home: Path, python: str) -> list[tuple[str, list[str], str]]:
    """What is done, by which command, and what to try when it fails."""
    inside = str(home / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    return [
        (
            f"making a temporary environment in {home}",
            [python, "-m", "venv", str(home)],
            "the Python needs its venv module (Debian and Ubuntu: install python3-venv)",
        ),
        (
            "installing TensorFlow into it (about 600 MB)",
            [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
            "this needs a network, 3 GB of room in the temporary folder (TMPDIR) and a Python that "
            f"TensorFlow supports ({python} may be too new: make data DATA={name} PYTHON=...)",
        ),
        (
            f"downloading and preparing {name} in {folder}",
            [inside, "-c", _PROGRAM, name, str(folder)],
            "the lines above say why. It needs a network that reaches the hosts of the set; sets "
            "behind a registration (imagenet2012) first need their files, fetched by hand, in "
            f"{folder / 'downloads' / 'manual'}",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 with a message for what a person can mend."""
    parser = argparse.ArgumentParser(prog="python -m ablax.data.prepare", description=__doc__)
    parser.add_argument("name", help="as tensorflow-datasets calls it, e.g. cifar10")
    parser.add_argument("--folder", type=Path, default=Path("data"), help="default: ./data")
    given = parser.parse_args(arguments)
    # Ends like Ctrl-C, so that the environment is deleted then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        prepare(given.name, given.folder)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
