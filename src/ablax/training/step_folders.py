"""The folders of checkpoints, one a step: which there are, and how they come and go.

At every moment of every function here a kill leaves at least one complete step where there was one.
A step is *listed* when its checksums were written, which is the last thing that happens to it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ablax.training.checksums import LIST_NAME

_ASIDE = "replaced-"  # a step that is being saved anew keeps its old files under this name


def folder_of(folder: Path, step: int) -> Path:
    """Where orbax puts `step`."""
    return folder / str(step)


def steps_in(folder: Path) -> list[int]:
    """The steps on the disk, good or not, ascending.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("10", "9", "11.orbax-checkpoint-tmp"):
        ...     (folder / name).mkdir()
        >>> steps_in(folder)
        [9, 10]
    """
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def set_aside(folder: Path, step: int) -> None:
    """Move an existing `step` away; `tidy` removes it once there is a new one, or puts it back."""
    old = folder_of(folder, step)
    if old.exists():
        old.rename(folder / f"{_ASIDE}{step}")


def prune(folder: Path, newest: int, keep: int) -> None:
    """Remove all steps but the last `keep` listed ones up to `newest`, and tidy up."""
    steps = steps_in(folder)
    listed = [step for step in steps if step <= newest and _is_listed(folder_of(folder, step))]
    for step in steps:
        if step not in listed[-keep:]:
            _remove(folder_of(folder, step))
    tidy(folder)


def withdraw(folder: Path, step: int) -> None:
    """Remove a `step` that failed on its way; what it was to replace comes back."""
    if not _is_listed(folder_of(folder, step)):
        shutil.rmtree(folder_of(folder, step), ignore_errors=True)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Remove what was left half-done; put back a step that was set aside and never replaced."""
    for path in folder.glob("*.orbax-checkpoint-tmp*"):
        shutil.rmtree(path)
    for path in folder.glob(f"{_ASIDE}*"):
        successor = folder / path.name.removeprefix(_ASIDE)
        if _is_listed(successor):
            _remove(path)
        else:
            shutil.rmtree(successor, ignore_errors=True)
            path.rename(successor)


def _is_listed(step_folder: Path) -> bool:
    return (step_folder / LIST_NAME).exists()


def _remove(step_folder: Path) -> None:
    """Remove a step, its checksums first: after a kill half-way it is plainly not good."""
    (step_folder / LIST_NAME).unlink(missing_ok=True)
    shutil.rmtree(step_folder)
