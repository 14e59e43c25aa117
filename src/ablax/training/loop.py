"""One run: from a seed, or from its last checkpoint, to the last epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ablax.errors import AblaxError
from ablax.training import checkpoint
from ablax.training.background_save import BackgroundSave
from ablax.training.interrupt import StopRequest
from ablax.training.moment import Moment
from ablax.training.state import State
from ablax.training.trainer import Judged, Trainer

Observer = Callable[[Moment, int, State], None]
"""Is shown the state at a moment, after so many steps. It may be shown one twice, when a run is
killed and goes on."""


class DivergedError(AblaxError):
    """The loss is no longer a number."""


class StoppedError(AblaxError):
    """A person or the system asked the run to stop; its state is saved."""


@dataclass(frozen=True)
class Tick:
    """What the loop tells after every chunk of steps.

    Attributes:
        steps: Steps taken in the chunk.
        images: Training images seen in the chunk.
        loss: Mean training loss of the chunk.
        test_error: Percent, where the chunk ended in an evaluation.
    """

    steps: int
    images: int
    loss: float
    test_error: float | None


@dataclass(frozen=True)
class Fitted:
    """A run at its end.

    Attributes:
        state: After the last step.
        judged: Of every test image, after the last epoch.
    """

    state: State
    judged: Judged


def fit(
    trainer: Trainer,
    seed: int,
    checkpoints: checkpoint.Checkpoints,
    stop: StopRequest,
    log: Callable[[int, dict[str, float]], None],
    on_resume: Callable[[int], None],
    on_tick: Callable[[Tick], None],
    observe: Observer | None = None,
    begin: Callable[[State], State] | None = None,
) -> Fitted:
    """Train one network from one seed to the recipe's last epoch.

    Starts from the newest good checkpoint where there is one. After every chunk the figures are
    logged before the state is saved, so a log is never behind its checkpoint. States are saved
    while the next chunk runs.

    Args:
        trainer: The compiled network.
        seed: Of initial weights, order, augmentation and dropout.
        checkpoints: Where states are kept.
        stop: Asked after every chunk.
        log: Told the step and the figures of every chunk.
        on_resume: Told the step from which the run goes on, where it is not 0.
        on_tick: Told about every chunk.
        observe: Shown the state, at every `Moment`; its time is not counted.
        begin: Given the state as drawn, gives the one that the run starts from; asked only where
            the run does not go on from a checkpoint.

    Returns:
        The last state, and how it judges the test images.

    Raises:
        DivergedError: A loss is not finite; nothing is saved after it.
        StoppedError: `stop` was requested; the state is saved.
        CheckpointError: A checkpoint cannot be written, or none that is there can be read.
    """
    state = trainer.initial_state(seed)
    step, judged, loss = 0, None, float("nan")
    restored = checkpoint.restore(checkpoints, state)
    if restored is not None:
        state, step, _ = restored
        on_resume(step)
    else:
        state = begin(state) if begin is not None else state
        if observe is not None:
            observe("start", 0, state)
    saved = time.monotonic()
    train, per_epoch = trainer.recipe.train, trainer.feed.steps_per_epoch
    with BackgroundSave(checkpoints) as saver:
        while step < trainer.total_steps:
            started, compiling = time.perf_counter(), trainer.compile_seconds
            length = trainer.chunk_end(step) - step
            state, figures = trainer.advance(state, seed, step, length)
            _refuse_divergence(np.asarray(figures.loss), step, loss, trainer)
            step, loss = step + length, float(np.mean(figures.loss, dtype=np.float64))
            if not trainer.is_finite(state):
                raise _diverged("a parameter", step, [loss], trainer)
            judged = trainer.judge(state) if _evaluates(step, trainer) else None
            values = {
                "epoch": step / per_epoch,
                "steps": length,
                "train_loss": loss,
                "train_error": 100 - 100 * float(np.sum(figures.correct)) / (length * train.batch),
                "rate": trainer.rate(step - 1),
            }
            if judged is not None:
                values["test_error"] = judged.error
                values["test_loss"] = float(np.mean(judged.losses, dtype=np.float64))
            compile_seconds = trainer.compile_seconds - compiling
            seconds = time.perf_counter() - started - compile_seconds
            log(step, values | {"seconds": seconds, "compile_seconds": compile_seconds})
            on_tick(Tick(length, length * train.batch, loss, values.get("test_error")))
            if observe is not None and judged is not None and step < trainer.total_steps:
                observe("training", step, state)
            due = time.monotonic() - saved >= train.checkpoint_seconds
            if due or stop.requested or step == trainer.total_steps:
                saver.save(step, state)
                saved = time.monotonic()
            if stop.requested and step < trainer.total_steps:
                saver.wait()
                raise StoppedError(
                    f"stopped by {stop.requested} after step {step} of {trainer.total_steps}; "
                    "the state is saved: the same command goes on from here"
                )
        if observe is not None:
            observe("end", step, state)
    return Fitted(state, judged if judged is not None else trainer.judge(state))


def _evaluates(step: int, trainer: Trainer) -> bool:
    epoch, within = divmod(step, trainer.feed.steps_per_epoch)
    train = trainer.recipe.train
    return within == 0 and (epoch % train.evaluate_every == 0 or epoch == train.epochs)


def _refuse_divergence(losses: np.ndarray, step: int, last: float, trainer: Trainer) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        finite = losses[: bad[0]]
        raise _diverged("the loss", step + int(bad[0]) + 1, [last, *finite.tolist()], trainer)


def _diverged(what: str, step: int, losses: Sequence[float], trainer: Trainer) -> DivergedError:
    known = [loss for loss in losses if np.isfinite(loss)]
    last = f"; the last finite loss is {known[-1]:.4g}" if known else ""
    rate = trainer.recipe.optimizer.rate
    return DivergedError(
        f"{what} is not a number at step {step} of {trainer.total_steps}{last}. Try a smaller rate "
        f"(--optimizer.rate {rate / 3:.2g}), a warm-up (--optimizer.warmup 1) or a limit on the "
        "gradient (--optimizer.clip 1)"
    )
