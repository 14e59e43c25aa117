"""Is a training step slow, against what the machine could do?"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ablax.analysis.cost import macs
from ablax.core import abstract_variables
from ablax.doctor.finding import Finding
from ablax.doctor.patient import Patient
from ablax.doctor.short_training import first_steps, range_test
from ablax.inspection.machine import Machine, measure

SHARE = 0.02
"""Of the machine's rate below which a step is slow: beyond 50 times the time of its products, a
step does something else than products."""
BUSY = 2.0
"""Factor between the machine's rate before and after from which nothing can be told."""
CHECK = "speed"


def measured_machine() -> Machine:
    """The machine, measured in a second or two: a limit needs no more digits."""
    return measure(size=1024, numbers=2**24, repeats=3)


def speed(patient: Patient, machine: Callable[[], Machine] = measured_machine) -> Finding:
    """The time of a training step of the recipe, against that of its products alone.

    A step takes 3 x the multiply-accumulates of the forward pass, times the batch: forward, the
    gradient by the inputs, the gradient by the weights. Sick if the machine's rate, measured by a
    large matrix product, would allow them in less than `SHARE` of the measured time. Cannot be told
    if this rate differs by more than `BUSY` before and after. Augmentation,
    dropout and optimizer count to the time.

    Args:
        patient: Who is examined.
        machine: Measures the limits.
    """
    height, width, channels = patient.images.shape[1:]
    image = jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32)
    shapes = abstract_variables(patient.network, (height, width, channels))
    batch = min(patient.recipe.train.batch, len(patient.images))
    try:
        forward = macs(patient.network.apply, shapes, image)
    except ValueError as error:
        return Finding(CHECK, None, f"the cost cannot be counted: {error}", {}, "")
    before, runs, after = machine(), (first_steps(patient), range_test(patient)), machine()
    seconds = min(run.seconds for run in runs)
    rate = max(before.rate, after.rate)
    least = 3 * forward * batch / rate
    share = least / seconds
    busy = rate > BUSY * min(before.rate, after.rate)
    sick = None if busy else share < SHARE
    sentence = (
        f"a training step of {batch} images takes {1e3 * seconds:.3g} ms; its 3 x {forward:,} x "
        f"{batch} multiply-accumulates take {1e3 * least:.3g} ms at the {rate / 1e9:.3g} G "
        f"a second of a large matrix product here: {100 * share:.2g} %, limit {100 * SHARE:g} %"
    )
    return Finding(
        CHECK,
        sick,
        sentence,
        {"seconds": seconds, "least": least, "share": share, "rate": rate, "macs": forward},
        _ADVICE[sick],
    )


_ADVICE = {
    None: "the machine is busy with something else, for its rate differed by more than a factor of "
    f"{BUSY:g} before and after: measure again",
    True: "ablax roofline names the slow layers: exchange them, take larger batches, a GPU, or a "
    "smaller network",
    False: "",
}
