"""The training loop: compiled chunks of steps, evaluation, checkpoints, and a stop that saves."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, Int32

from ablax.config import Recipe
from ablax.core import Network, check, parameter_shapes
from ablax.errors import AblaxError
from ablax.files import default_root
from ablax.training import checkpoint
from ablax.training.checkpoint import BackgroundSave
from ablax.training.dataset import Dataset
from ablax.training.optimizer import check_rate_factors, schedule
from ablax.training.step import State, StepFigures, evaluation_step, initial_state, task_of

# ------------------------------------------------------------------------------------------
# A network under a recipe on a data set, compiled once and shared by all seeds.

LONGEST_CPU_CHUNK = 50
"""Steps in one compiled loop on a CPU: seconds, so that progress shows and Ctrl-C is heard."""


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """All devices in a row: every batch is split over them, everything else is on each."""
    return jax.make_mesh(
        (len(devices or jax.devices()),),
        ("data",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=devices,
    )


class Evaluation(NamedTuple):
    """Every test image once, in the data's order: its class, the predicted class, the loss."""

    labels: Int32[np.ndarray, " N"]
    predictions: Int32[np.ndarray, " N"]
    losses: Float32[np.ndarray, " N"]

    @property
    def error(self) -> float:
        """Share of the images whose highest score is not that of their class, in percent."""
        return 100 * float(np.mean(self.predictions != self.labels))


class Trainer:
    """Advances and evaluates the states of one network, whatever their seed.

    Args:
        network: What is trained.
        recipe: How, and for how long.
        dataset: Where its batches come from.
        mesh: The devices.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: Its scores do not fit the classes.
        ConfigError: The schedule does not fit the training's length, or a rate factor is of no
            parameter.
    """

    def __init__(self, network: Network, recipe: Recipe, dataset: Dataset, mesh: Mesh) -> None:
        check(network, dataset.image_shape, dataset.classes)
        if recipe.optimizer.rate_factors:
            check_rate_factors(recipe.optimizer, parameter_shapes(network, dataset.image_shape))
        train = recipe.train
        self.recipe = recipe
        self.dataset = dataset
        self._replicated = NamedSharding(mesh, P())
        self.task = task_of(network, recipe, dataset.mean, dataset.std, dataset.steps_per_epoch)
        self._schedule = schedule(recipe.optimizer, train.epochs, dataset.steps_per_epoch)
        self.total_steps = train.epochs * dataset.steps_per_epoch
        self.compile_seconds = 0.0
        self._programs: dict[Any, Any] = {}

    def initial_state(self, seed: int) -> State:
        """The state before the first step, on every device."""
        state = initial_state(
            self.task.network, self.task.optimizer, seed, self.dataset.image_shape
        )
        return jax.device_put(state, self._replicated)

    def chunk_end(self, step: int) -> int:
        """Where the loop that starts at `step` ends: in its epoch, at a place the recipe fixes.

        An epoch of S steps is cut in the fewest portions of at most `chunk` steps, whose lengths
        differ by one at most, so that no more than two programs are compiled.
        """
        per_epoch = self.dataset.steps_per_epoch
        longest = self.recipe.train.chunk or self.dataset.longest_chunk or _longest_chunk(per_epoch)
        portions = -(-per_epoch // longest)
        epoch, within = divmod(step, per_epoch)
        ends = (per_epoch * (i + 1) // portions for i in range(portions))
        return epoch * per_epoch + next(end for end in ends if end > within)

    def advance(self, state: State, seed: int, step: int, length: int) -> tuple[State, StepFigures]:
        """Take `length` steps from `step` in one compiled loop; the given state is used up.

        Returns:
            The state after them, and loss and correct images of every step, on the host.
        """
        arguments = self.dataset.arguments(seed, step, length)
        program = self._compile(
            length,
            self.dataset.program(self.task, length),
            state,
            *arguments,
            donate_argnums=0,
            out_shardings=self._replicated,
        )
        state, figures = program(state, *arguments)
        return state, StepFigures(*jax.device_get(tuple(figures)))

    def is_finite(self, state: State) -> bool:
        """Whether every parameter and statistic is a number: a loss tells only a step later."""
        program = self._compile("finite", _all_finite, state)
        return bool(program(state))

    def evaluate(self, state: State) -> Evaluation:
        """Predictions and losses of every test image, each counted once, in the data's order."""
        parts = []
        for images, labels, count in self.dataset.test_batches():
            arguments = (state, images, labels)
            program = self._compile(
                "evaluate", self._evaluation, *arguments, out_shardings=self._replicated
            )
            parts.append((program(*arguments), count))
        counted = [[whole[:count] for whole in part] for part, count in jax.device_get(parts)]
        return Evaluation(*(np.concatenate(part) for part in zip(*counted, strict=True)))

    def _evaluation(self, state: State, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        evaluation = evaluation_step(self.task, state, images, labels)
        return labels, evaluation.predictions, evaluation.losses

    def rate(self, step: int) -> float:
        """The learning rate of one step."""
        return float(self._schedule(step))

    def _compile(self, name: Any, function: Any, *arguments: Any, **options: Any) -> Any:
        """The compiled function of that name; the time it takes is counted apart."""
        if name not in self._programs:
            started = time.perf_counter()
            self._programs[name] = jax.jit(function, **options).lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - started
        return self._programs[name]


def _all_finite(state: State) -> Bool[Array, ""]:
    leaves = jax.tree.leaves((state.params, state.batch_stats))
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _longest_chunk(steps_per_epoch: int) -> int:
    return LONGEST_CPU_CHUNK if jax.default_backend() == "cpu" else steps_per_epoch


# ------------------------------------------------------------------------------------------
# Stop between two steps, not inside one: Ctrl-C and SIGTERM become a flag.

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        requested: `None`, `"Ctrl-C"` or `"SIGTERM"`: the first signal that came.
    """

    requested: str | None = None


@contextlib.contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a flag that the training loop reads between chunks.

    A Ctrl-C when a stop is already asked for raises `KeyboardInterrupt` at once; a repeated SIGTERM
    changes nothing. The former handlers return at the end. A signal that was ignored before (as
    `nohup` and background jobs do) stays ignored. Outside the main thread, where Python can set no
    handler, the flag never rises.

    Yields:
        The flag.

    Raises:
        KeyboardInterrupt: At the second Ctrl-C.

    Example:
        >>> with graceful_stop() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     print(stop.requested)
        SIGTERM
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.requested is None:
            stop.requested = _NAMES[signal.Signals(number)]
            _say(f"{stop.requested}: saving, then stopping. Ctrl-C again stops at once.")
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in _NAMES}
    # None: set by something other than Python; we could not put it back.
    ours = [number for number, old in former.items() if old not in (signal.SIG_IGN, None)]
    try:
        for number in ours:
            signal.signal(number, note)
        yield stop
    finally:
        for number in ours:
            signal.signal(number, former[number])


def _say(text: str) -> None:
    """Write to the standard error without its buffer: a signal may arrive inside a `print`."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())


# ------------------------------------------------------------------------------------------
# When the state of a run is shown to whoever measures it.

Moment = Literal["start", "training", "end"]
"""Before the first step; at every evaluation but the last; after the last step."""


# ------------------------------------------------------------------------------------------
# One run: from a seed, or from its last checkpoint, to the last epoch.

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
        evaluation: Of every test image, after the last epoch.
    """

    state: State
    evaluation: Evaluation


def train(
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
        begin: Given the initial state, gives the one that the run starts from; asked only where
            the run does not go on from a checkpoint.

    Returns:
        The last state, and its evaluation on the test images.

    Raises:
        DivergedError: A loss is not finite; nothing is saved after it.
        StoppedError: `stop` was requested; the state is saved.
        CheckpointError: A checkpoint cannot be written, or none that is there can be read.
    """
    state = trainer.initial_state(seed)
    step, evaluation, loss = 0, None, float("nan")
    restored = checkpoint.restore(checkpoints, state)
    if restored is not None:
        state, step, _ = restored
        on_resume(step)
    else:
        state = begin(state) if begin is not None else state
        if observe is not None:
            observe("start", 0, state)
    saved = time.monotonic()
    train, per_epoch = trainer.recipe.train, trainer.dataset.steps_per_epoch
    with BackgroundSave(checkpoints) as saver:
        while step < trainer.total_steps:
            started, compiling = time.perf_counter(), trainer.compile_seconds
            length = trainer.chunk_end(step) - step
            state, figures = trainer.advance(state, seed, step, length)
            _refuse_divergence(np.asarray(figures.loss), step, loss, trainer)
            step, loss = step + length, float(np.mean(figures.loss, dtype=np.float64))
            if not trainer.is_finite(state):
                raise _diverged("a parameter", step, [loss], trainer)
            evaluation = trainer.evaluate(state) if _evaluates(step, trainer) else None
            values = {
                "epoch": step / per_epoch,
                "steps": length,
                "train_loss": loss,
                "train_error": 100 - 100 * float(np.sum(figures.correct)) / (length * train.batch),
                "rate": trainer.rate(step - 1),
            }
            if evaluation is not None:
                values["test_error"] = evaluation.error
                values["test_loss"] = float(np.mean(evaluation.losses, dtype=np.float64))
            compile_seconds = trainer.compile_seconds - compiling
            seconds = time.perf_counter() - started - compile_seconds
            log(step, values | {"seconds": seconds, "compile_seconds": compile_seconds})
            on_tick(Tick(length, length * train.batch, loss, values.get("test_error")))
            if observe is not None and evaluation is not None and step < trainer.total_steps:
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
    return Fitted(state, evaluation if evaluation is not None else trainer.evaluate(state))


def _evaluates(step: int, trainer: Trainer) -> bool:
    epoch, within = divmod(step, trainer.dataset.steps_per_epoch)
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


# ------------------------------------------------------------------------------------------
# Where compiled programs are kept, so that a second start does not compile again.


def cache_folder() -> Path:
    """The folder `xla` in the user's cache."""
    try:
        return default_root().expanduser() / "xla"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "ablax" / "xla"


def set_up() -> None:
    """Keep every compiled program on disk, where the user has not chosen a place already."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
