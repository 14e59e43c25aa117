"""Checkpoints written beside the training: the device goes on while the disk is busy."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import jax
import numpy as np
from jaxtyping import PyTree

from ablax.training import checkpoint


class BackgroundSave:
    """Saves states in a thread, one after another; used with `with`.

    The state is copied to the host before `save` returns, because the next steps use up its memory.
    What fails is told where it can be heard: by the next `save`, by `wait`, or at the end of the
    `with` block, unless that ends with an error of its own.

    A group of processes (`jax.distributed`) saves in the foreground: all have to take part.

    Args:
        checkpoints: Where states are kept.
    """

    def __init__(self, checkpoints: checkpoint.Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._under_way: Future[None] | None = None

    def save(self, step: int, state: PyTree) -> None:
        """Begin to save `state`, once the save before it is done.

        Raises:
            CheckpointError: The save before this one failed.
        """
        self.wait()
        if jax.process_count() > 1:
            checkpoint.save(self._checkpoints, step, state)
            return
        # A copy: on a CPU an array of NumPy may be the device's own memory.
        copy = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        self._under_way = self._thread.submit(checkpoint.save, self._checkpoints, step, copy)

    def wait(self) -> None:
        """Return when the last state is saved.

        Raises:
            CheckpointError: It could not be.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def __enter__(self) -> BackgroundSave:
        """Nothing is begun yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is under way; an error of the block goes before one of the disk."""
        self._thread.shutdown(wait=True)
        if error is None:
            self.wait()
