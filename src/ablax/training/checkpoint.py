"""Checkpoints that survive a kill, a full disk and a flipped bit: orbax behind four functions.

A step is *good* when orbax has committed it and every bit of it agrees with the checksums written
afterwards (orbax itself does not notice a flipped bit). Older steps go only when the new one is
good. Orbax is imported at the first save or restore: it costs a third of a second.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from ablax.errors import AblaxError
from ablax.files import sync_folder
from ablax.training.checksums import find_damage, write_checksums
from ablax.training.step_folders import folder_of, prune, set_aside, steps_in, tidy, withdraw
from ablax.training.structure import describe, differences

_LOG = logging.getLogger(__name__)


class CheckpointError(AblaxError):
    """A checkpoint cannot be written or read."""


class Restored(NamedTuple):
    """What a good checkpoint held."""

    state: PyTree
    step: int
    note: dict[str, Any]


@dataclass
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        folder: Their absolute folder; one sub-folder a step.
        keep: How many good steps stay.
    """

    folder: Path
    keep: int
    _manager: Any = field(default=None, repr=False)


def open_checkpoints(folder: Path, *, keep: int = 2) -> Checkpoints:
    """Make `folder` ready for checkpoints, and clear what a killed process left half-done.

    Args:
        folder: Where they go; created with its parents when missing.
        keep: How many good steps stay, at least 1. With 1, a flipped bit leaves nothing to fall
            back on.

    Returns:
        The handle the other functions take. One process (or one `jax.distributed` group) at a time.

    Raises:
        CheckpointError: `folder` is a file, or cannot be written.
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep = {keep}: at least one checkpoint must stay")
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        checkpoints = Checkpoints(folder, keep)
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
    """Save `state`; on return it is committed, checksummed, and older steps are pruned.

    A step that exists is replaced. Later steps are removed: a run that saves step 10 after it was
    at step 20 went back, and the old 20 is not its future.

    Args:
        checkpoints: From `open_checkpoints`.
        step: The number of training steps done, 0 or more.
        state: A pytree of arrays and Python numbers. PRNG keys as `jax.random.key_data`.
        note: Anything JSON can hold, returned by `restore`.

    Raises:
        CheckpointError: The disk is full or cannot be written. The steps before are as they were.
        TypeError: A leaf is no array or number, or `note` is not JSON.
        ValueError: `step` is negative, or two leaves have the same dotted path.
    """
    if step < 0:
        raise ValueError(f"step = {step}: must not be negative")
    # Made before anything is written: what cannot be described cannot be restored.
    record = {"structure": describe(state), "note": dict(note or {})}
    json.dumps(record, allow_nan=False)
    try:
        if _is_primary():
            set_aside(checkpoints.folder, step)
        _barrier("ablax:set aside")
        _commit(checkpoints, step, state, record)
        if _is_primary():
            write_checksums(folder_of(checkpoints.folder, step))
            sync_folder(checkpoints.folder)
            prune(checkpoints.folder, step, checkpoints.keep)
        _barrier("ablax:pruned")
    except BaseException as error:
        _forget_manager(checkpoints)
        if _is_primary():
            with contextlib.suppress(OSError):
                withdraw(checkpoints.folder, step)
        if not isinstance(error, OSError) and not _is_disk_full(error):
            raise
        raise _write_error(checkpoints, step, state, error) from error


def restore(checkpoints: Checkpoints, like: PyTree) -> Restored | None:
    """The newest good checkpoint; a damaged one is named in a logged warning and passed over.

    Args:
        checkpoints: From `open_checkpoints`.
        like: The expected tree, of arrays or `jax.ShapeDtypeStruct`: arrays come back with the
            sharding given here, on the first device when there is none; numpy arrays and Python
            numbers as such.

    Returns:
        `(state, step, note)`, the state bit for bit as saved; `None` when there is no checkpoint.

    Raises:
        CheckpointError: There are checkpoints, but none is good; or the newest good one is that of
            another network: its paths, shapes or dtypes are not those of `like`.
    """
    steps = steps_in(checkpoints.folder)
    faults = []
    for step in reversed(steps):
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
            "Delete the folder to start anew, or give another --results folder."
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
    return checkpoints._manager


def _commit(checkpoints: Checkpoints, step: int, state: PyTree, record: dict[str, Any]) -> None:
    with _quiet():
        import orbax.checkpoint as ocp

        manager = _manager(checkpoints)
        manager.reload()  # steps came and went behind its back
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(record)
        )
        manager.save(step, args=items, force=True)  # force: also a step before the latest
        manager.wait_until_finished()


def _read(checkpoints: Checkpoints, step: int, like: PyTree) -> Restored:
    with _quiet():
        import orbax.checkpoint as ocp

        manager = _manager(checkpoints)
        manager.reload()
        record = manager.restore(
            step, args=ocp.args.Composite(record=ocp.args.JsonRestore())
        ).record
        foreign = differences(record["structure"], describe(like))
        if foreign:
            raise CheckpointError(
                f"the checkpoint {folder_of(checkpoints.folder, step)} is that of another network "
                f"or optimizer: {foreign}\n"
                "Give another --results folder, or delete this one to start anew."
            )
        target = jax.tree.map(_placed, like)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(target))
        return Restored(manager.restore(step, args=items).state, step, record["note"])


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


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, says so. Tensorstore says it in words only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _write_error(
    checkpoints: Checkpoints, step: int, state: PyTree, error: BaseException
) -> CheckpointError:
    kept = ", ".join(str(step) for step in steps_in(checkpoints.folder)) or "none"
    if _is_disk_full(error):
        needed = sum(getattr(leaf, "nbytes", 8) for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(checkpoints.folder).free
        why = f"no space left: {free:,} bytes are free, about {needed:,} are needed. Free some"
    else:
        why = f"{error}. Make the folder one that can be written"
    return CheckpointError(
        f"step {step} cannot be saved to {checkpoints.folder}: {why}, then run the same command "
        f"again. Steps still there: {kept}."
    )


def _is_primary() -> bool:
    return jax.process_index() == 0


def _barrier(name: str) -> None:
    """Wait for the other hosts, where there are any."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what orbax logs, through absl and asyncio, off the user's screen."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
