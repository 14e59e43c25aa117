"""The training that a variant's first weights come from, run before the variant's own."""

from __future__ import annotations

from collections.abc import Callable

from ablax.bench import Bench
from ablax.finished_runs import pretraining_log
from ablax.measurements.measurement import RUN_COLUMNS
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.loop import StopRequest, Tick, fit
from ablax.training.metrics import MetricsLog
from ablax.training.step import State, transplant


def pretrained(
    bench: Bench,
    name: str,
    seed: int,
    state: State,
    stop: StopRequest,
    on_resume: Callable[[int], None],
    on_tick: Callable[[Tick], None],
) -> State:
    """The state that a run starts from, after its pretraining where it has one.

    The pretraining keeps its own checkpoints beside the run's, and goes on from them; its figures
    go to `pretraining/metrics.jsonl`.

    Args:
        bench: Its trainers.
        name: The variant.
        seed: Of both trainings.
        state: As drawn.
        stop: Asked after every chunk.
        on_resume: Told the step from which the pretraining goes on.
        on_tick: Told about every chunk of it.

    Raises:
        StoppedError: `stop` was requested; the state is saved.
        DivergedError: A loss of the pretraining is not finite.
        CheckpointError: As `fit`.
    """
    pretraining = bench.order.experiment.pretraining_of(name)
    if pretraining is None:
        return state
    folder = bench.order.folder
    own = folder.checkpoints(name, seed)
    checkpoints = open_checkpoints(own.with_name(f"{own.name}-pretraining"))
    try:
        with MetricsLog(pretraining_log(folder.path), tensorboard=False, by=RUN_COLUMNS) as log:
            fitted = fit(
                bench.pretrainers[name],
                seed,
                checkpoints,
                stop,
                log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
                on_resume=on_resume,
                on_tick=on_tick,
            )
    finally:
        close(checkpoints)
    return transplant(state, fitted.state, pretraining.fresh)
