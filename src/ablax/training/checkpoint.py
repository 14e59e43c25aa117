"""Checkpoints that survive a kill, a full disk and a flipped bit: orbax behind four functions.

A step is *good* when orbax has committed it and every bit of it agrees with the checksums written
afterwards (orbax itself does not notice a flipped bit). Older steps go only when the new one is
good. Orbax is imported at the first save or restore, because that is slow.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from ablax.errors import AblaxError, silenced
from ablax.files import make_folder, sync_folder, sync_tree, what_helps, write_atomic

LIST_NAME = "checksums.sha256"
"""`sha256sum --check checksums.sha256` inside the folder verifies it without ablax."""


def write_checksums(folder: Path) -> None:
    """List the SHA-256 of every file under `folder` in `folder/checksums.sha256`, atomically.

    Nobody may write to the folder any more. An OSError says what cannot be read or written.
    """
    write_atomic(folder / LIST_NAME, "".join(_line(folder, name) for name in _names(folder)))


def find_damage(folder: Path) -> str | None:
    """What differs between `folder` and its list of checksums; `None` when every bit agrees.

    The list itself is covered: it must be, character for character, what the files it names would
    give today. Hidden files that are not listed (a desktop's `.DS_Store`) do not count.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "weights").write_bytes(b"1234")
        >>> write_checksums(folder)
        >>> find_damage(folder) is None
        True
        >>> _ = (folder / "weights").write_bytes(b"1235")
        >>> find_damage(folder)
        'weights does not match its checksum'
    """
    try:
        text = (folder / LIST_NAME).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return f"{LIST_NAME} is missing (it was not written to the end)"
    except (OSError, UnicodeDecodeError) as error:
        return f"{LIST_NAME} cannot be read ({error})"
    lines = text.split("\n")[:-1]
    listed = [line[66:] for line in lines]
    for name in _names(folder):
        if name not in listed and not Path(name).name.startswith("."):
            return f"{name} is not in {LIST_NAME}"
    for name, line in zip(listed, lines, strict=True):
        try:
            now = _line(folder, name)
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            return f"{name} is missing" if missing else f"{name} cannot be read ({error})"
        if now != line + "\n":
            return f"{name} does not match its checksum"
    return None if listed and text.endswith("\n") else f"{LIST_NAME} is damaged"


def _names(folder: Path) -> list[str]:
    """Every file under `folder` but the list itself, sorted, with forward slashes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return [name for name in names if name != LIST_NAME]


def _line(folder: Path, name: str) -> str:
    with (folder / name).open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n"


# The folders of checkpoints, one per step: which there are, and how they come and go.
#
# At every moment of every function here a kill leaves at least one complete step where there was
# one. A step is *listed* when its checksums were written, which is the last thing that happens to
# it.

_ASIDE = "replaced-"  # a step that is being saved again keeps its old files under this name


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


def describe(tree: PyTree) -> dict[str, str]:
    """The dotted path and the type of every leaf, in the order of the leaves.

    Leaves are arrays, `jax.ShapeDtypeStruct` and Python numbers, in any containers. A ValueError
    where two leaves have the same dotted path, as in `{"a.b": 1, "a": {"b": 2}}`.

    Example:
        >>> describe({"bias": np.zeros(64, np.float32), "step": 3})
        {'bias': 'float32[64]', 'step': 'int'}
    """
    described: dict[str, str] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if name in described:
            raise ValueError(f"two leaves of the state have the path {name}: rename one of them")
        described[name] = _leaf_type(name, leaf)
    return described


def differences(found: Mapping[str, str], expected: Mapping[str, str], *, most: int = 5) -> str:
    """Where two descriptions differ, a line each up to `most`; empty when they agree.

    Example:
        >>> print(differences({"w": "float32[3]"}, {"w": "float32[4]", "b": "float32[4]"}))
        2 of 2 leaves differ:
          w: found float32[3], expected float32[4]
          b: found nothing, expected float32[4]
    """
    both = {**expected, **found}
    names = [name for name in both if found.get(name) != expected.get(name)]
    if not names:
        return ""
    lines = [f"{len(names)} of {len(both)} leaves differ:"]
    for name in names[:most]:
        there, wanted = found.get(name, "nothing"), expected.get(name, "nothing")
        lines.append(f"  {name}: found {there}, expected {wanted}")
    if len(names) > most:
        lines.append(f"  ... and {len(names) - most} more")
    return "\n".join(lines)


def _leaf_type(name: str, leaf: Any) -> str:
    if isinstance(leaf, (bool, int, float)) and not isinstance(leaf, np.generic):
        return type(leaf).__name__
    if not isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct, np.ndarray, np.generic)):
        raise TypeError(f"{name} is a {type(leaf).__name__}: a state holds arrays and numbers")
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        raise TypeError(f"{name} is a PRNG key: save jax.random.key_data of it")
    return f"{leaf.dtype}[{','.join(str(size) for size in leaf.shape)}]"


_LOG = logging.getLogger(__name__)


class CheckpointError(AblaxError):
    """A checkpoint cannot be written or read."""


class Restored(NamedTuple):
    """What a good checkpoint held, with the note that was kept beside it."""

    state: PyTree
    step: int
    note: Mapping[str, Any]


@dataclass
class Checkpoints:
    """The checkpoints of one run: a sub-folder per step, of which `keep` good ones stay.

    `of` says whose they are. At the end of a `with` block they are closed.
    """

    folder: Path
    keep: int
    of: Mapping[str, Any] = field(default_factory=dict)
    _manager: Any = field(default=None, repr=False)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: object) -> None:
        close(self)


def open_checkpoints(
    folder: Path, *, keep: int = 2, of: Mapping[str, Any] | None = None
) -> Checkpoints:
    """Make `folder` ready for checkpoints, and clear what a killed process left half-done.

    One process (or one `jax.distributed` group) at a time. With `keep=1`, a flipped bit leaves
    nothing to fall back on.

    Raises:
        CheckpointError: `folder` is a file, or cannot be written.
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep = {keep}: at least one checkpoint must stay")
    folder = folder.absolute()
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
        checkpoints = Checkpoints(folder, keep, dict(of or {}))
        if _is_primary():
            tidy(folder)
    except OSError as error:
        raise CheckpointError(
            f"checkpoints cannot be written to {folder} ({error.strerror or error}). "
            "Give another folder, or make this one a folder that can be written."
        ) from error
    return checkpoints


def save(
    checkpoints: Checkpoints, step: int, state: PyTree, *, note: Mapping[str, Any] | None = None
) -> None:
    """Save `state` after so many steps; on return it is on the disk, and older ones are pruned.

    The note is what JSON can hold; `restore` gives it back.

    A step that exists is replaced. Later steps are removed: a run that saves step 10 after it was
    at step 20 went back, and the old 20 is not its future. Leaves are arrays and Python numbers,
    PRNG keys as `jax.random.key_data`.

    Raises:
        CheckpointError: The disk is full or cannot be written. The steps before are as they were.
        TypeError: A leaf is no array or number.
        ValueError: `step` is negative, or two leaves have the same dotted path.
    """
    if step < 0:
        raise ValueError(f"step = {step}: must not be negative")
    # Made before anything is written: what cannot be described cannot be restored.
    record = {"step": step, "of": dict(checkpoints.of), "structure": describe(state)}
    record |= {"note": dict(note or {})}
    json.dumps(record, allow_nan=False)
    try:
        if _is_primary():
            set_aside(checkpoints.folder, step)
        _barrier("ablax:set aside")
        _commit(checkpoints, step, state, record)
        if _is_primary():
            sync_tree(folder_of(checkpoints.folder, step))
            write_checksums(folder_of(checkpoints.folder, step))
            sync_folder(checkpoints.folder)
            prune(checkpoints.folder, step, checkpoints.keep)
        _barrier("ablax:pruned")
    except BaseException as error:
        _forget_manager(checkpoints)
        if _is_primary():
            with contextlib.suppress(OSError):
                withdraw(checkpoints.folder, step)
        if not isinstance(error, OSError) and _disk_says(error) is None:
            raise
        raise _write_error(checkpoints, step, state, error) from error


def restore(checkpoints: Checkpoints, like: PyTree) -> Restored | None:
    """The newest good checkpoint, bit for bit as saved; None where there is none.

    A damaged one is named in a logged warning and passed over, and so is one that was never written
    to its end, for which nobody vouches. `like` is the expected tree, of
    arrays or `jax.ShapeDtypeStruct`: arrays come back with the sharding given here, on the first
    device when there is none; numpy arrays and Python numbers as such.

    Raises:
        CheckpointError: There are checkpoints, but none is good; or the newest good one is that of
            another network: its paths, shapes or dtypes are not those of `like`.
    """
    faults = []
    for step in reversed(steps_in(checkpoints.folder)):
        if not _is_listed(folder_of(checkpoints.folder, step)):
            cut = f"{LIST_NAME} is missing (it was not written to the end)"
            _LOG.warning("checkpoint %s, step %d is not good: %s", checkpoints.folder, step, cut)
            continue
        fault = find_damage(folder_of(checkpoints.folder, step))
        if fault is None:
            try:
                return _read(checkpoints, step, like)
            except CheckpointError:
                raise
            except Exception as error:  # orbax has no exception of its own for what it cannot read
                _forget_manager(checkpoints)
                fault = f"orbax cannot read it ({type(error).__name__}: {error})"
        faults.append(f"step {step}: {fault}")
        _LOG.warning("checkpoint %s, step %d is not good: %s", checkpoints.folder, step, fault)
    if faults:
        raise CheckpointError(
            f"no good checkpoint in {checkpoints.folder}: {'; '.join(faults)}. "
            "Delete the folder to start from scratch, or give another --results folder."
        )
    return None


def close(checkpoints: Checkpoints) -> None:
    """Wait for what is under way and let go of orbax; closing twice does nothing."""
    manager, checkpoints._manager = checkpoints._manager, None
    if manager is not None:
        with _quiet():
            manager.wait_until_finished()
            manager.close()


def _manager(checkpoints: Checkpoints) -> Any:
    """Orbax's manager, made at first use. It keeps everything: pruning is ours."""
    if checkpoints._manager is None:
        import orbax.checkpoint as ocp

        # LatestN(None) keeps all. Orbax would prune before our checksums are written.
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(None),
            enable_async_checkpointing=False,
            save_root_metadata=False,
        )
        checkpoints._manager = ocp.CheckpointManager(checkpoints.folder, options=options)
    checkpoints._manager.reload()  # steps came and went behind its back
    return checkpoints._manager


def _commit(checkpoints: Checkpoints, step: int, state: PyTree, record: dict[str, Any]) -> None:
    _hush_left_overs()
    with _quiet():
        import orbax.checkpoint as ocp

        manager = _manager(checkpoints)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(record)
        )
        manager.save(step, args=items, force=True)  # force: also a step before the latest
        manager.wait_until_finished()


def _read(checkpoints: Checkpoints, step: int, like: PyTree) -> Restored:
    with _quiet():
        import orbax.checkpoint as ocp

        manager = _manager(checkpoints)
        record = manager.restore(
            step, args=ocp.args.Composite(record=ocp.args.JsonRestore())
        ).record
        _refuse_anothers(checkpoints, step, record)
        foreign = differences(record["structure"], describe(like))
        if foreign:
            raise CheckpointError(
                f"the checkpoint {folder_of(checkpoints.folder, step)} is that of another network "
                f"or optimizer: {foreign}\n"
                "Give another --results folder, or delete this one to start from scratch."
            )
        target = jax.tree.map(_placed, like)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(target))
        note = record.get("note", {})
        return Restored(manager.restore(step, args=items).state, step, note)


def _refuse_anothers(checkpoints: Checkpoints, step: int, record: Mapping[str, Any]) -> None:
    """Refuse a step that was saved as another one, or by another run."""
    theirs, ours = record.get("of", {}), checkpoints.of
    differing = [
        f"{name}: {theirs.get(name)!r} there, {ours[name]!r} expected"
        for name in ours
        if theirs.get(name) != ours[name]
    ]
    if record.get("step", step) != step:
        differing.insert(0, f"step: {record['step']!r} there, {step} expected")
    if differing:
        raise CheckpointError(
            f"the checkpoint {folder_of(checkpoints.folder, step)} is of another run "
            f"({'; '.join(differing)}). Put it where it belongs, or delete this folder to train "
            "the run again."
        )


def _placed(leaf: Any) -> Any:
    """`leaf`, with the first device where it names none (orbax would guess from the old run)."""
    if isinstance(leaf, jax.ShapeDtypeStruct) and leaf.sharding is None:
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)
    return leaf


def _forget_manager(checkpoints: Checkpoints) -> None:
    """Drop a manager that failed: its inner state is no longer to be trusted."""
    with contextlib.suppress(Exception):
        close(checkpoints)


@functools.cache
def _hush_left_overs() -> None:
    """Keep quiet what orbax and tensorstore have still under way when a save fails.

    Each of their writes fails for itself, in threads and at the end of the process: a hundred lines
    around the sentence that says it all.
    """
    former = sys.unraisablehook

    def hook(told: Any) -> None:
        where = told.exc_traceback.tb_frame.f_code.co_name if told.exc_traceback else ""
        if (told.exc_type, where) != (RuntimeError, "call_soon_threadsafe"):  # of a closed loop
            former(told)

    sys.unraisablehook = hook
    for logger, sign in (("asyncio", "orbax"), ("absl", "_SignalingThread")):
        logging.getLogger(logger).addFilter(functools.partial(_lacks, sign))


def _lacks(sign: str, told: logging.LogRecord) -> bool:
    return sign not in told.getMessage()


def _disk_says(error: BaseException | None) -> int | None:
    """The number of the disk's refusal in `error` or what caused it; None where it is another.

    Tensorstore says it in words only.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            if code == number or os.strerror(code) in str(error):
                return code
        error = error.__cause__ or error.__context__
    return None


def _write_error(
    checkpoints: Checkpoints, step: int, state: PyTree, error: BaseException
) -> CheckpointError:
    kept = ", ".join(str(step) for step in steps_in(checkpoints.folder)) or "none"
    refusal = _disk_says(error)
    if refusal in (errno.ENOSPC, errno.EDQUOT):
        needed = sum(getattr(leaf, "nbytes", 8) for leaf in jax.tree.leaves(state))
        free, files = shutil.disk_usage(checkpoints.folder).free, _free_files(checkpoints.folder)
        why = f"no space left: {free:,} bytes are free, about {needed:,} are needed. Free some"
        if files is not None and files < _FILES:
            why = f"no space left for its files: the disk takes {files} more. Remove some"
    else:
        said = os.strerror(refusal) if refusal else str(error)
        why = f"{said}. {what_helps(refusal)}"
    return CheckpointError(
        f"step {step} cannot be saved to {checkpoints.folder}: {why}, then run the same command "
        f"again. Steps still there: {kept}."
    )


_FILES = 100
"""More than one step of a checkpoint has."""


def _free_files(folder: Path) -> int | None:
    """How many more files the disk takes; None where nobody counts them."""
    about = os.statvfs(folder) if hasattr(os, "statvfs") else None
    return about.f_favail if about is not None and about.f_files else None


def _is_primary() -> bool:
    return jax.process_index() == 0


def _barrier(name: str) -> None:
    """Wait for the other hosts, where there are any."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def _quiet() -> AbstractContextManager[None]:
    """Orbax logs through absl and asyncio."""
    return silenced("absl", "asyncio")


class BackgroundSave:
    """Saves states in a thread, one after another, while the device goes on; used with `with`.

    The state is copied to the host before `save` returns, because the next steps use up its memory.
    A CheckpointError is told where it can be heard: by the next `save`, by `wait`, or at the end of
    the `with` block, unless that ends with an error of its own.

    A group of processes (`jax.distributed`) saves in the foreground: all have to take part.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._under_way: Future[None] | None = None

    def save(self, step: int, state: PyTree, note: Mapping[str, Any] | None = None) -> None:
        """Begin to save `state`, once the save before it is done."""
        self.wait()
        if jax.process_count() > 1:
            save(self._checkpoints, step, state, note=note)
            return
        # A copy: on a CPU an array of NumPy may be the device's own memory.
        copy = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        self._under_way = self._thread.submit(save, self._checkpoints, step, copy, note=note)

    def wait(self) -> None:
        """Return when the last state is saved."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def __enter__(self) -> BackgroundSave:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait for what is under way; an error of the block goes before one of the disk."""
        self._thread.shutdown(wait=True)
        if error is None:
            self.wait()
