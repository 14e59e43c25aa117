"""The training loop: compiled chunks of steps, evaluation, checkpoints, and a stop that saves."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, Int32, UInt8

from ablax.config import OptimizerConfig, Recipe, TrainConfig, flat
from ablax.core import ImageShape, Network, abstract_variables, check, fingerprint, parameter_shapes
from ablax.data.augment import Augmentation
from ablax.data.images import ChannelStatistics, ImageSet, Split, refuse_unlearnable
from ablax.errors import AblaxError, refuse_beyond_memory
from ablax.files import default_root, digest, make_folder, sealed, unsealed, write_atomic
from ablax.model import Model, preprocessing_of
from ablax.training import checkpoint
from ablax.training.checkpoint import BackgroundSave
from ablax.training.dataset import Dataset, InMemory
from ablax.training.metrics import (
    Claim,
    MetricsLog,
    by_epoch,
    contradiction,
    mean_of,
    read_metrics,
    vouched,
)
from ablax.training.optimizer import check_rate_factors, schedule
from ablax.training.progress import console_here
from ablax.training.progress import progress as shown_progress
from ablax.training.step import State, StepFigures, evaluation_step, initial_state, task_of

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
    """Advances and evaluates the states of one network under a recipe, whatever their seed.

    It is compiled once. A `rule` moves the weights instead of the recipe's optimizer and schedule.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: Its scores do not fit the classes.
        ConfigError: The schedule does not fit the training's length, or a rate factor is of no
            parameter.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        dataset: Dataset,
        mesh: Mesh,
        rule: optax.GradientTransformation | None = None,
    ) -> None:
        check(network, dataset.image_shape, dataset.classes)
        if recipe.optimizer.rate_factors:
            check_rate_factors(recipe.optimizer, parameter_shapes(network, dataset.image_shape))
        train = recipe.train
        refuse_too_large(network, dataset.image_shape, train.batch, mesh)
        self.recipe = recipe
        self.dataset = dataset
        self._replicated = NamedSharding(mesh, P())
        self.task = task_of(network, recipe, dataset.mean, dataset.std, dataset.steps_per_epoch)
        if rule is not None:
            self.task = replace(self.task, optimizer=rule)
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
        on_cpu = jax.default_backend() == "cpu"
        default = self.dataset.longest_chunk or (LONGEST_CPU_CHUNK if on_cpu else per_epoch)
        longest = self.recipe.train.chunk or default
        portions = -(-per_epoch // longest)
        epoch, within = divmod(step, per_epoch)
        ends = (per_epoch * (i + 1) // portions for i in range(portions))
        return epoch * per_epoch + next(end for end in ends if end > within)

    def advance(self, state: State, seed: int, step: int, length: int) -> tuple[State, StepFigures]:
        """Take `length` steps from `step` in one compiled loop; the given state is used up.

        The figures, of every step, are on the host.
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
        """Predictions and losses of every test image, each counted once, in the data's order.

        Where there are folds, of the images that the state's seed is tested on.
        """
        parts = []
        for images, labels, count in self.dataset.test_batches(int(state.seed)):
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

    def model(self, state: State, name: str, weights: str) -> Model:
        """The network with the weights of a state, as evaluated; the words are for captions."""
        data = self.dataset
        return Model(
            name,
            self.task.network,
            {"params": state.params, "batch_stats": state.batch_stats},
            preprocessing_of(data.image_shape, data.mean, data.std),
            data.class_names,
            weights,
            self.recipe.train.precision,
        )

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


def refuse_too_large(network: Network, image_shape: ImageShape, batch: int, mesh: Mesh) -> None:
    """Refuse a training whose weights, gradients and images alone are more than the memory."""
    leaves = jax.tree.leaves(abstract_variables(network, image_shape).get("params", {}))
    parameters = sum(leaf.size for leaf in leaves)
    device, there = mesh.devices.flat[0], None
    if device.platform != "cpu":
        there = (device.memory_stats() or {}).get("bytes_limit")
    refuse_beyond_memory(
        8 * parameters + 4 * math.prod((batch // mesh.size, *image_shape)),
        f"{parameters:,} weights with their gradients, and a batch of {batch:,} images of "
        f"{'x'.join(map(str, image_shape))}",
        "--width, --data.image-size or --train.batch",
        there,
    )


def _all_finite(state: State) -> Bool[Array, ""]:
    leaves = jax.tree.leaves((state.params, state.batch_stats))
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class StopRequest:
    """The first signal that asked the run to stop: `None`, `"Ctrl-C"` or `"SIGTERM"`."""

    requested: str | None = None


@contextlib.contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a flag that the training loop reads between chunks.

    A Ctrl-C when a stop is already asked for raises `KeyboardInterrupt` at once; a repeated SIGTERM
    changes nothing. The former handlers return at the end. A signal that was ignored before (as
    `nohup` and background jobs do) stays ignored. Outside the main thread, where Python can set no
    handler, the flag never rises.

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
            stop.requested = _SIGNALS[signal.Signals(number)]
            said = f"\n{stop.requested}: saving, then stopping. Ctrl-C again stops at once.\n"
            # without a buffer: a signal may arrive inside a `print`
            with contextlib.suppress(OSError):
                os.write(2, said.encode())
        elif number == signal.SIGINT:
            # whoever swallows it, in a callback of C say, does not swallow a third
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    # None: set by something other than Python; we could not put it back.
    ours = [number for number, old in former.items() if old not in (signal.SIG_IGN, None)]
    try:
        for number in ours:
            signal.signal(number, note)
        yield stop
    finally:
        for number in ours:
            signal.signal(number, former[number])


Moment = Literal["start", "training", "end"]
"""Before the first step; at every evaluation but the last; after the last step."""

Observer = Callable[[Moment, int, State], None]
"""Is shown the state at a moment, after so many steps. It may be shown one twice, when a run is
killed and goes on."""


class DivergedError(AblaxError):
    """The loss is no longer a number."""


class StoppedError(AblaxError):
    """A person or the system asked the run to stop; its state is saved.

    The status is that of a process that the signal ended, 128 and its number: no bad input.
    """

    def __init__(self, stop: StopRequest, message: str) -> None:
        super().__init__(f"stopped by {stop.requested}{message}")
        numbers = {name: int(number) for number, name in _SIGNALS.items()}
        self.status = 128 + numbers[stop.requested or "Ctrl-C"]


class Tick(NamedTuple):
    """What the loop tells after every chunk: steps, images, and the mean training loss.

    The test error is in percent, where the chunk ended in an evaluation.
    """

    steps: int
    images: int
    loss: float
    test_error: float | None


class Fitted(NamedTuple):
    """A run at its end: the last state, and its evaluation on the test images."""

    state: State
    evaluation: Evaluation


def train(
    trainer: Trainer,
    seed: int,
    checkpoints: checkpoint.Checkpoints | None,
    stop: StopRequest,
    log: Callable[[int, dict[str, float]], None],
    on_resume: Callable[[int, Mapping[str, Any]], None],
    on_tick: Callable[[Tick], None],
    observe: Observer | None = None,
    begin: Callable[[State], State] | None = None,
    note: Callable[[], Mapping[str, Any]] = dict,
) -> Fitted:
    """Train one network from one seed to the recipe's last epoch.

    Starts from the newest good checkpoint where there is one. After every chunk the figures are
    logged before the state is saved, so a log is never behind its checkpoint. States are saved
    while the next chunk runs.

    Args:
        seed: Of initial weights, order, augmentation and dropout.
        checkpoints: Where states are kept; None keeps none.
        stop: Asked after every chunk.
        log: Told the step and the figures of every chunk.
        on_resume: Told the step from which the run goes on, and the note that was kept with it.
        observe: Shown the state, at every `Moment`; its time is not counted.
        begin: Given the initial state, gives the one that the run starts from; asked only where
            the run does not go on from a checkpoint.
        note: Asked before each checkpoint for what is kept with it, such as what it vouches for.

    Raises:
        DivergedError: A loss is not finite; nothing is saved after it.
        StoppedError: `stop` was requested; the state is saved.
        CheckpointError: A checkpoint cannot be written, or none that is there can be read.
    """
    state = trainer.initial_state(seed)
    step, evaluation, loss = 0, None, float("nan")
    restored = None if checkpoints is None else checkpoint.restore(checkpoints, state)
    if restored is not None:
        state, step, kept = restored
        on_resume(step, kept)
    else:
        state = begin(state) if begin is not None else state
        if observe is not None:
            observe("start", 0, state)
    saved = time.monotonic()
    train, per_epoch = trainer.recipe.train, trainer.dataset.steps_per_epoch
    saving = contextlib.nullcontext() if checkpoints is None else BackgroundSave(checkpoints)
    with saving as saver:
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
            if saver is not None and (due or stop.requested or step == trainer.total_steps):
                saver.save(step, state, note())
                saved = time.monotonic()
            if saver is not None and stop.requested and step < trainer.total_steps:
                saver.wait()
                raise StoppedError(
                    stop,
                    f" after step {step} of {trainer.total_steps}; the state is saved: the same "
                    "command goes on from here",
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


def set_up(cores: int | None = None) -> None:
    """Keep every compiled program in the user's cache, where no other place was chosen already.

    On a CPU, XLA computes with as many threads as there are `cores`, if it has not begun yet; with
    one a core of the machine where None.
    """
    if cores is not None:
        # XLA reads it when its first device is made, and nobody else should
        former = os.environ.get("NPROC")
        os.environ["NPROC"] = str(cores)
        jax.devices()
        del os.environ["NPROC"]
        os.environ |= {} if former is None else {"NPROC": former}
    if jax.config.values["jax_compilation_cache_dir"] is None:
        try:
            root = default_root().expanduser()
        except RuntimeError:  # a user without a home, as in some containers
            root = Path(tempfile.gettempdir()) / "ablax"
        if _can_be_filled(root / "xla"):
            jax.config.update("jax_compilation_cache_dir", str(root / "xla"))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        # One for every program, where the disk fills up later: nothing is lost but time.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")


@cache
def _can_be_filled(folder: Path) -> bool:
    """Whether the cache takes a program; says it once where it does not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 20))
    except OSError as error:
        print(
            f"compiled programs are not kept for the next start: {folder} cannot be written "
            f"({error.strerror or error}); make room, or name another folder in ABLAX_CACHE",
            file=sys.stderr,
        )
        return False
    return True


_ABOUT = "fit.json"
"""What a folder of `fit` was trained with, so that nothing else goes on there."""


class Epoch(NamedTuple):
    """The figures of one epoch, counted from 1: a row of a DataFrame.

    Losses are in nats, errors in percent; those of training are means over the epoch's images as
    they were met, those of the test of all its images after the epoch. Seconds are of training and
    evaluation, without compiling.
    """

    epoch: int
    train_loss: float
    train_error: float
    test_loss: float
    test_error: float
    seconds: float


class Fit(NamedTuple):
    """What `fit` gives: the trained model, and its history by epoch."""

    model: Model
    history: list[Epoch]


def fit(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    test: tuple[np.ndarray, np.ndarray],
    optimizer: optax.GradientTransformation | OptimizerConfig | None = None,
    batch_size: int = 128,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    name: str = "the network",
    classes: Sequence[str] = (),
    folder: Path | str | None = None,
    progress: bool = True,
) -> Fit:
    """Train a network on images and labels that are in memory.

    Images are standardized by mean and standard deviation of the training images, which the model
    keeps. The last epoch's weights are the model's; there are as many classes as scores.

    Args:
        network: Any.
        images: (N, H, W, C): uint8, or numbers in [0, 1], which are brought to the nearest of 256
            levels.
        labels: (N,): integers, the class of each image, counted from 0.
        epochs: Passes over the images.
        test: Images and labels of the test, after every epoch.
        optimizer: Any transformation of optax, its schedule counted in steps; or fields of a
            recipe; by default SGD with momentum and a cosine schedule.
        augmentation: How each training image is varied; not at all by default.
        seed: Of initial weights, order, augmentation and dropout.
        name: What tables and captions call the network.
        classes: Their names; "class 0", "class 1", ... by default.
        folder: Where checkpoints and metrics are kept; the same call goes on from there. Without
            one nothing is written.
        progress: Whether progress is shown.

    Raises:
        AblaxError: Images, labels, batch and network do not fit one another, or the folder is of
            another training; before anything is compiled.
        DivergedError: The loss is no longer a number.
        StoppedError: Ctrl-C, where there is a folder; the state is saved.

    Example:
        >>> from ablax.data import digits
        >>> from ablax.zoo import lenet5
        >>> data = digits.load_digits()
        >>> model, history = fit(  # doctest: +SKIP
        ...     lenet5(), data.train.images, data.train.labels, epochs=2,
        ...     test=(data.test.images, data.test.labels),
        ... )
        >>> history[-1].test_error < 50  # doctest: +SKIP
        True
    """
    data = _as_data(network, (images, labels), test, classes, batch_size)
    mesh, rule = data_mesh(), None
    recipe = Recipe(
        augment=augmentation or Augmentation(),
        train=TrainConfig(epochs=epochs, batch=batch_size),
    )
    if isinstance(optimizer, OptimizerConfig):
        recipe = replace(recipe, optimizer=optimizer)
    else:
        rule = optimizer
    set_up()
    trainer = Trainer(network, recipe, InMemory(data, batch_size, mesh), mesh, rule)
    place = None if folder is None else Path(folder)
    of = {} if place is None else _claim(place, trainer, seed)
    state, records = _fitted(trainer, seed, place, of, name, progress)
    weights = f"trained for {epochs} epoch{'s' * (epochs != 1)}, seed {seed}"
    return Fit(trainer.model(state, name, weights), _history(records))


def _fitted(
    trainer: Trainer,
    seed: int,
    folder: Path | None,
    of: Mapping[str, Any],
    name: str,
    progress: bool,
) -> tuple[State, list[dict[str, Any]]]:
    """The state after the last epoch, and the figures of every chunk."""
    records: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(
            shown_progress(float(trainer.total_steps), console=console_here(progress))
        )
        checkpoints, log, stop = None, None, StopRequest()
        if folder is not None:
            place = folder / "checkpoints"
            checkpoints = stack.enter_context(checkpoint.open_checkpoints(place, of=of))
            log = stack.enter_context(MetricsLog(folder, of=of["key"]))
            stop = stack.enter_context(graceful_stop())

        def record(step: int, values: dict[str, float]) -> None:
            records.append(values)
            if log is not None:
                log.write(step, **values)

        def tick(chunk: Tick) -> None:
            shown_run.advance(
                float(chunk.steps), images=chunk.images, loss=chunk.loss, error=chunk.test_error
            )

        def resume(step: int, note: Mapping[str, Any]) -> None:
            if folder is not None and (claim := note.get("log")):
                _refuse_contradiction(folder, of["key"], step, Claim(*claim))
            shown_run.skip(float(step))

        def note() -> dict[str, Any]:
            return {} if folder is None else {"log": vouched(folder, of["key"])}

        shown_run = shown.start_run(f"{name} · seed {seed}", float(trainer.total_steps))
        fitted = train(trainer, seed, checkpoints, stop, record, resume, tick, note=note)
        shown_run.end(fitted.evaluation.error)
    return fitted.state, records if folder is None else read_metrics(folder)


def _refuse_contradiction(folder: Path, key: str, step: int, claim: Claim) -> None:
    if found := contradiction(folder, key, claim):
        raise AblaxError(
            f"the checkpoint of step {step} in {folder} vouches for the metrics, but {found}: it "
            "was damaged or changed. Put it back, or give another folder"
        )


def _history(records: list[dict[str, Any]]) -> list[Epoch]:
    """The figures of whole epochs from those of the chunks in them."""
    found = []
    for epoch, chunks in by_epoch(records).items():
        loss, error = (mean_of(figure, chunks) for figure in ("train_loss", "train_error"))
        last, seconds = chunks[-1], math.fsum(chunk["seconds"] for chunk in chunks)
        found.append(Epoch(epoch, loss, error, last["test_loss"], last["test_error"], seconds))
    return found


def _as_data(
    network: Network,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    batch_size: int,
) -> ImageSet:
    """The arrays as a data set, after all that can be refused without a compiler."""
    given = {"training": train, "test": test}
    levels = {which: _levels(f"{which} images", images) for which, (images, _) in given.items()}
    height, width, channels = shape = levels["training"].shape[1:]
    if levels["test"].shape[1:] != shape:
        raise AblaxError(
            f"the training images are of {shape} and the test images of "
            f"{levels['test'].shape[1:]}: expected one shape (H, W, C)"
        )
    count = _scores_of(network, (height, width, channels))
    learned, tested = (
        Split(levels[which], _labels(which, given[which][1], len(levels[which]), count))
        for which in given
    )
    if not 1 <= batch_size <= len(learned):
        raise AblaxError(
            f"batch_size is {batch_size}, and there are {len(learned)} training images: give at "
            "least 1 and at most that"
        )
    if classes and len(classes) != count:
        raise AblaxError(f"{len(classes)} classes are named, and the network has {count} scores")
    statistics = ChannelStatistics.of(learned.images)
    names = tuple(classes) or tuple(f"class {k}" for k in range(count))
    found = ImageSet("the data", learned, tested, names, statistics.mean, statistics.std)
    refuse_unlearnable(found)
    return found


def _levels(which: str, images: np.ndarray) -> UInt8[np.ndarray, "N H W C"]:
    """Images as levels of 0 to 255."""
    given = np.asarray(images)
    if given.ndim != 4 or not given.size:
        hint = "; give gray images as images[..., None]" if given.ndim == 3 else ""
        raise AblaxError(
            f"the {which} have shape {given.shape}, and (N, H, W, C), none of them 0, is "
            f"expected{hint}"
        )
    if given.dtype == np.uint8:
        return given
    if not np.issubdtype(given.dtype, np.floating):
        raise AblaxError(f"the {which} are of {given.dtype}: expected uint8, or floats in [0, 1]")
    low, high = float(given.min()), float(given.max())
    if not (low >= 0 and high <= 1):  # of nan both are false
        raise AblaxError(
            f"the {which} are floats from {low:g} to {high:g}: expected uint8, or floats in [0, 1] "
            "(divide levels by 255; mean and standard deviation are taken out by fit)"
        )
    return np.rint(given * 255).astype(np.uint8)


def _scores_of(network: Network, image_shape: tuple[int, int, int]) -> int:
    """How many scores an image gets."""
    check(network, image_shape)
    variables = abstract_variables(network, image_shape)
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    shape = jax.eval_shape(network.apply, variables, image).shape
    if len(shape) != 2 or shape[1] < 2:
        raise AblaxError(
            f"the network's scores for one image have shape {shape}, and (1, classes), at least "
            "two of them, is expected: end its head in a dense layer"
        )
    return int(shape[1])


def _labels(which: str, given: np.ndarray, images: int, classes: int) -> Int32[np.ndarray, " N"]:
    labels = np.asarray(given)
    if labels.shape != (images,) or not np.issubdtype(labels.dtype, np.integer):
        raise AblaxError(
            f"the {which} labels are of shape {labels.shape} and type {labels.dtype}, and there "
            f"are {images} images: expected one integer for each"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise AblaxError(
            f"the {which} labels go from {labels.min()} to {labels.max()}, and the network has "
            f"{classes} scores: expected 0 to {classes - 1}"
        )
    return labels.astype(np.int32)


def _claim(folder: Path, trainer: Trainer, seed: int) -> dict[str, Any]:
    """Refuse a folder of another training, and say whose it is, as its checkpoints do.

    The optimizer of somebody is not compared.
    """
    data = trainer.dataset
    ours = json.loads(json.dumps(flat(trainer.recipe)))
    ours |= {"seed": seed, "network": fingerprint(trainer.task.network, data.image_shape)}
    ours |= {"data": data.fingerprint}
    path, whose = folder / _ABOUT, {"seed": seed, "key": digest(ours)[:16]}
    if not path.exists():
        make_folder(folder)
        write_atomic(path, sealed(ours))
        return whose
    try:
        theirs = unsealed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AblaxError(
            f"{path} cannot be trusted ({error}), so nobody knows what was trained there: give "
            "another folder"
        ) from error
    differing = [key for key in ours if ours[key] != theirs.get(key)]
    if differing:
        raise AblaxError(
            f"{folder} holds another training ({', '.join(differing)} differ): give another folder"
        )
    return whose
