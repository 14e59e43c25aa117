"""Does the gradient reach the first layers, and does it stay in bounds?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ablax.doctor.finding import Finding
from ablax.doctor.patient import Patient
from ablax.measurements.gradients import kernel_norms

IMAGES = 64
FACTOR = 1e3
"""First layers against last ones, and both against 1: no one learning rate fits layers that ask for
steps a thousand times apart."""
CHECK = "gradients by layer"


def gradient_flow(patient: Patient, images: int = IMAGES) -> Finding:
    r"""The gradient by each kernel before training, in units that compare across layers.

        s_l = |W_l| |dL / dW_l|

    bounds, to first order, by how much the loss changes when a layer changes by as much as its own
    size. The product W_l . dL / dW_l is the same for all layers of a network of ReLUs without
    biases, however the layers are scaled, so s_l differs little between healthy layers; the bare
    norm differs with the size of the weights. With a the median of the first third of the
    layers, and z of the last:

    - vanishing: a < z / `FACTOR`, or a and z < 1 / `FACTOR` nats;
    - exploding: a > z `FACTOR`, or a or z > `FACTOR` nats.

    Args:
        patient: Who is examined.
        images: Of the loss.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks; He et al. 2015, Delving deep into rectifiers.
    """
    batch = jnp.asarray(patient.normalized(images))
    labels = jnp.asarray(patient.labels[:images])
    start = patient.variables

    def loss(params: Any) -> Any:
        held = {"params": params, "batch_stats": start["batch_stats"]}
        return patient.loss(patient.network, held, batch, labels)[0]

    slopes = jax.device_get(jax.jit(jax.grad(loss))(start["params"]))
    kernels = kernel_norms(patient.network, jax.device_get(start["params"]), slopes)
    if not kernels:
        return Finding(CHECK, None, "the network has no kernel", {}, "")
    return _judged(kernels)


def _judged(kernels: tuple[tuple[str, float, float], ...]) -> Finding:
    layers, norms, sizes = zip(*kernels, strict=True)
    effects = [norm * size for norm, size in zip(norms, sizes, strict=True)]
    third = max(1, len(kernels) // 3)
    first, last = float(np.median(effects[:third])), float(np.median(effects[-third:]))
    measured = {
        "layers": layers,
        "effects": tuple(effects),
        "norms": norms,
        "first": first,
        "last": last,
    }
    sentence = (
        f"before training, |W| |dL/dW| is {first:.2g} in the first third of {len(kernels)} layers "
        f"and {last:.2g} in the last; expected within a factor of {FACTOR:g} of each other and of 1"
    )
    if not np.isfinite(effects).all():
        sick, words = True, "exploding"
        sentence = "the gradient before training is not finite"
    elif first > FACTOR * last or max(first, last) > FACTOR:
        sick, words = True, "exploding"
    elif first * FACTOR < last or max(first, last) * FACTOR < 1:
        sick, words = True, "vanishing"
    else:
        return Finding(CHECK, False, sentence, measured)
    advice = (
        "start from weights scaled to the fan-in (HE_NORMAL), add batch normalization or "
        "shortcuts, or exchange saturating nonlinearities for ReLU"
    )
    return Finding(CHECK, sick, f"{words}: {sentence}", measured, advice)
