"""The checks of training, each with its measurement, criterion and picture; the page of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from ablax.analysis.features import FeatureStatistics, feature_statistics
from ablax.analysis.gradient_check import (
    GradientCheck,
    LeafPrecision,
    check_gradient,
    check_precision,
)
from ablax.core import Network, features, layer_shapes, paths, walk
from ablax.doctor.trials import (
    ABOVE,
    History,
    Trained,
    Training,
    Trial,
    Variables,
    briefly_trained,
    compile_training,
    first_steps,
    range_test,
    rising_rates,
)
from ablax.errors import AblaxError
from ablax.experiment import network_macs
from ablax.inspection.timing import Machine, measure
from ablax.layers import Threshold
from ablax.losses import predictions
from ablax.measurements.gradients import kernel_norms
from ablax.measurements.units import NONLINEARITIES
from ablax.model import wilson
from ablax.report import figures as kit
from ablax.report.page import Block, Heading, Illustration, Items, Paragraph
from ablax.report.page import write_page as write
from ablax.report.statistics import flattened, least_loss
from ablax.report.study import Curve
from ablax.report.tables import Table
from ablax.report.tables import sentence as closed
from ablax.training.step import gradient as slopes_of
from ablax.training.step import loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of one check.

    Attributes:
        problem: Whether there is one; None where the check is inconclusive.
        sentence: What was measured, and the limit it was compared with.
        measurements: The figures, by name; those of a curve as tuples.
        advice: What to do about it, or to get a conclusive check; empty if healthy.
    """

    check: str
    problem: bool | None
    sentence: str
    measurements: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "problem", False: "healthy", None: "inconclusive"}[self.problem]


def _no_run(check: str) -> Finding:
    advice = "run it, and examine its folder"
    return Finding(check, None, "there is no finished run to judge", {}, advice)


def _share(count: int, total: int) -> str:
    """In percent, with its 95 % interval."""
    low, high = wilson(count, total)
    return f"{100 * count / total:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {total}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Some names, and how many more there are: `"a, b, c and 2 more"`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


CAPACITY_IMAGES = 256
BATCH = 64
CAPACITY_STEPS = 200
"""Of Adam: 50 passes over the 256 images."""
CAPACITY_RATES = (1e-3, 1e-2)
"""Of Adam; the second is tried where the first leaves too many wrong, and the better counts."""
ENOUGH = 0.05
"""Training error up to which a network is able enough."""
_ENDS = CAPACITY_IMAGES // BATCH  # steps of a pass
CAPACITY_CHECK = "capacity"


def capacity(trial: Trial, history: History | None = None) -> Finding:
    """Are there too few operations and parameters for the task?

    Of a finished run its curve; else whether the network memorizes 256 images.

    A run has a problem if its training loss is flat (`ablax.report.statistics`) and the error of
    its last weights on training images, without augmentation, is surely (95 %) above `ENOUGH`;
    healthy if it is not above. If the loss still falls, inconclusive.

    A network before training is healthy if 200 steps of Adam on 256 images leave at most `ENOUGH`
    of them wrong. If they leave more, the same network at twice the width tries: a problem if its
    error is surely below, else inconclusive.
    """
    if history is None or history.trained is None:
        return _of_network(trial)
    return of_run(trial, history.curve, _wrong(trial, history.trained))


def _wrong(trial: Trial, trained: Trained) -> int:
    """How many of the sampled training images."""
    return int(np.sum(predictions(trial.scores(trained.variables)) != trial.labels))


def of_run(trial: Trial, curve: Curve, wrong: int) -> Finding:
    """The criterion of `capacity` for a run, with so many wrong of the sampled training images."""
    total = len(trial.labels)
    low, high = wilson(wrong, total)
    classes = len(trial.model.classes)
    flat = flattened(curve, classes, least_loss(classes, trial.recipe.train.label_smoothing))
    sentence = (
        f"training error {_share(wrong, total)} images, limit {100 * ENOUGH:g} %; training loss: "
        f"{flat.reason}"
    )
    measured = {"train_error": wrong / total, "low": low, "high": high, "flat": flat.flat}
    if wrong / total <= ENOUGH:
        return Finding(CAPACITY_CHECK, False, sentence, measured)
    if flat.flat and low > ENOUGH:
        return Finding(CAPACITY_CHECK, True, sentence, measured, _LARGER)
    longer = "train until the loss is flat, or use more images"
    return Finding(CAPACITY_CHECK, None, sentence, measured, longer)


def _of_network(trial: Trial) -> Finding:
    wrong, total = _memorizes(trial, trial.network)
    measured = {"error": wrong / total, "images": total}
    sentence = (
        f"after {CAPACITY_STEPS} steps of Adam on {total} images {wrong} are wrong, "
        f"limit {100 * ENOUGH:g} %"
    )
    if wrong / total <= ENOUGH:
        return Finding(CAPACITY_CHECK, False, sentence, measured)
    if trial.wider is None:
        advice = "compare with a wider network, or look at the others"
        return Finding(CAPACITY_CHECK, None, sentence, measured, advice)
    try:
        wide = trial.wider()
    except AblaxError as error:
        sentence += "; no wider network can be built"
        return Finding(CAPACITY_CHECK, None, sentence, measured, str(error))
    wider, _ = _memorizes(trial, wide)
    sentence += f"; of the network at twice the width {wider} are wrong"
    measured["wider_error"] = wider / total
    if wilson(wider, total)[1] < wilson(wrong, total)[0]:
        return Finding(CAPACITY_CHECK, True, sentence, measured, _LARGER)
    advice = "size is not what is missing: look at the other checks"
    return Finding(CAPACITY_CHECK, None, sentence, measured, advice)


def _memorizes(trial: Trial, network: Network) -> tuple[int, int]:
    """How many of how many images are wrong in the last pass over them."""
    train = _by_adam(trial, network, CAPACITY_IMAGES, BATCH, CAPACITY_STEPS)
    total, errors = min(CAPACITY_IMAGES, len(trial.images)), []
    for rate in CAPACITY_RATES:
        done = train(np.full(CAPACITY_STEPS, rate))
        finite = math.isfinite(done.losses[-1])
        errors.append(float(np.mean(done.errors[-_ENDS:])) if finite else 1.0)
        if errors[-1] <= ENOUGH:
            break
    return round(min(errors) * total), total


def _by_adam(trial: Trial, network: Network, images: int, batch: int, steps: int) -> Training:
    """A training on some images as they are, without dropout, by Adam."""
    sizes = {"images": images, "batch": batch, "steps": steps}
    return compile_training(trial, network, optax.adam(1.0), varied=False, **sizes)


_LARGER = "more features or layers: the operations are too few for the task (--width)"


CONSTANT = 1e-3
"""Scores are constant if, from image to image, they vary by less than this share of their size."""
ONE_CLASS = 0.95
"""Share of the images that one predicted class must have, where no class has `COMMON` of them."""
COMMON = 0.8
FALLEN = 0.1
"""Share by which a loss must have fallen to count as fallen."""
COLLAPSE_CHECK = "collapse"


def collapse(trial: Trial, trained: Trained) -> Finding:
    """Has training collapsed, by the scores of the sample of training images, as in a test?

    A problem if the scores are constant (`CONSTANT`), if one class is predicted for nearly all
    images (`ONE_CLASS`), or if the loss has fallen by `FALLEN` while the accuracy's 95 % interval
    holds the share of the commonest class, which guessing reaches. Inconclusive if neither loss nor
    accuracy moved: the training was too short, or has another problem.
    """
    return collapse_criterion(trial.scores(trained.variables), trial.labels, trained)


def collapse_criterion(
    scores: Float[np.ndarray, "N classes"], labels: Int[np.ndarray, " N"], trained: Trained
) -> Finding:
    """The criterion of `collapse`, for scores."""
    if not np.isfinite(scores).all():
        advice = "the training diverged: see the learning rate"
        return Finding(COLLAPSE_CHECK, True, f"scores are not finite {trained.words}", {}, advice)
    count, classes = scores.shape
    size = float(np.sqrt(np.mean(scores**2)))
    spread = float(np.sqrt(np.mean(scores.var(axis=0)))) / size if size else 0.0
    predicted = np.bincount(scores.argmax(axis=1), minlength=classes) / count
    common = float(np.max(np.bincount(labels, minlength=classes))) / count
    right = int(np.sum(scores.argmax(axis=1) == labels))
    low, high = wilson(right, count)
    fall = 1 - trained.last_loss / trained.first_loss if trained.first_loss else 0.0
    measured = {"spread": spread, "largest_share": float(predicted.max())}
    measured |= {"accuracy": right / count, "accuracy_low": low, "accuracy_high": high}
    measured |= {"chance": common, "loss_fall": fall}
    accuracy = f"accuracy {_share(right, count)} training images, guessing {100 * common:.1f} %"
    loss = f"the loss went from {trained.first_loss:.3g} to {trained.last_loss:.3g}"
    at_chance = low <= common
    problem: bool | None = True
    if spread < CONSTANT:
        sentence = f"the scores vary by {spread:.1g} of their size from image to image; {accuracy}"
        advice = "look at dead units and at vanishing gradients; the loss may reward a constant"
    elif predicted.max() >= ONE_CLASS and common < COMMON:
        sentence = f"class {predicted.argmax()} is predicted for {100 * predicted.max():.1f} % of "
        sentence += f"the images; {accuracy}"
        advice = "look at the labels, the balance of the classes and the learning rate"
    elif at_chance and fall >= FALLEN:
        sentence = f"{loss}, but {accuracy}"
        advice = "is this loss appropriate to the task, and has it degenerate solutions?"
    elif at_chance:
        problem, sentence = None, f"{loss}; {accuracy}"
        advice = "train longer, or see the other checks: nothing has been learned"
    else:
        problem, sentence, advice = False, f"{accuracy}; {loss}", ""
    return Finding(COLLAPSE_CHECK, problem, f"{trained.words}: {sentence}", measured, advice)


DIVERGENCE_CHECK = "divergence"


def divergence(history: History | None) -> Finding:
    """Did the run diverge: is its last loss not finite, or above that of its first epoch?"""
    if history is None:
        return _no_run(DIVERGENCE_CHECK)
    curve = history.curve
    losses = curve.train_loss
    measured = {"epochs": curve.epochs, "losses": losses, "train_error": curve.train_error}
    measured |= {"test_epochs": curve.test_epochs, "test_error": curve.test_error}
    advice = "lower the rate, add a warm-up or a limit on the gradient, and check the gradient"
    if history.status == "diverged" or not all(map(math.isfinite, losses)):
        sentence = f"the loss is not a number any more after {len(losses)} epochs"
        return Finding(DIVERGENCE_CHECK, True, sentence, measured, advice)
    if len(losses) < 2:
        few = "there are fewer than 2 epochs"
        return Finding(DIVERGENCE_CHECK, None, few, measured, "train longer")
    first, last = losses[0], losses[-1]
    sentence = f"training loss {first:.3g} in the first epoch and {last:.3g} in the last"
    problem = last > first
    return Finding(DIVERGENCE_CHECK, problem, sentence, measured, advice if problem else "")


@kit.settings()
def curves_figure(found: Finding) -> Figure:
    """Training loss, and training and test error side by side, by epoch."""
    told = found.measurements
    size = (kit.WIDTH, 3.5)
    figure, (losses, errors) = kit.panels(2, 1, size, above=0.4, x="epochs", sharex=True)
    losses.plot(told["epochs"], told["losses"], "o-", color=kit.COLORS[1])
    losses.set_ylabel("training loss")
    errors.plot(told["epochs"], told["train_error"], "o-", color=kit.COLORS[1], label="training")
    errors.plot(told["test_epochs"], told["test_error"], "s--", color=kit.COLORS[2], label="test")
    errors.set_ylabel("error, %")
    errors.legend()
    for axes in (losses, errors):
        axes.set_ylim(bottom=0)
    return kit.set_caption(
        figure,
        "Training figures are means over an epoch, with augmentation and dropout, so the error "
        "may be above that on test images. The test images serve as validation.",
    )


GAP = 0.10
"""A run overfits if its test error is surely above its training error by more: one image in ten is
then wrong for no other reason than that it was not trained on."""
GENERALIZATION_CHECK = "train and test error"
NO_SPLIT = "the test images serve as validation, for no split was set apart: select nothing by them"


def generalization(trial: Trial, history: History | None) -> Finding:
    """Has the run learned by heart, by the errors of its last weights on training and test images?

    Both are those of a test. A problem if the lower end of the 95 % interval of the difference lies
    above `GAP`. The interval is that of Newcombe 1998, Interval estimation for the difference
    between independent proportions (method 10).
    """
    if history is None or history.trained is None or history.evaluation is None:
        return _no_run(GENERALIZATION_CHECK)
    train, tested = (_wrong(trial, history.trained), len(trial.labels)), history.evaluation
    test = int(np.sum(tested.predictions != tested.labels)), len(tested.labels)
    return generalization_criterion(train, test)


def generalization_criterion(train: tuple[int, int], test: tuple[int, int]) -> Finding:
    """The criterion of `generalization`, for the wrong and all of the images of either kind.

    Example:
        >>> criterion = generalization_criterion
        >>> criterion((0, 100), (50, 100)).verdict, criterion((0, 100), (2, 100)).verdict
        ('problem', 'healthy')
    """
    shares = [wrong / total for wrong, total in (train, test)]
    ends = [wilson(wrong, total) for wrong, total in (train, test)]
    gap = shares[1] - shares[0]
    low = gap - math.hypot(shares[1] - ends[1][0], ends[0][1] - shares[0])
    high = gap + math.hypot(ends[1][1] - shares[1], shares[0] - ends[0][0])
    verdict = None if low <= GAP < high else low > GAP
    sentence = (
        f"training error {_share(*train)}, test error {_share(*test)}: gap {100 * gap:.1f} "
        f"percentage points [{100 * low:.1f}, {100 * high:.1f}], limit {100 * GAP:g}; {NO_SPLIT}"
    )
    measured = {"train_error": shares[0], "test_error": shares[1], "gap": gap}
    measured |= {"gap_low": low, "gap_high": high}
    advice = {
        True: "more or augmented images, dropout, weight decay, or a smaller network",
        None: "use more images: the interval contains the limit",
        False: "",
    }[verdict]
    return Finding(GENERALIZATION_CHECK, verdict, sentence, measured, advice)


GRADIENT_IMAGES = 4
TOLERANCE = 1e-5
"""Largest relative error: central differences in float64 reach about 1e-9 where a loss is smooth;
a wrong factor or a forgotten term is seldom below 1e-3."""
TOLD = 0.5
"""Share of the leaves that must be conclusive for the check to be: kinks leave some open."""
GRADIENT_CHECK = "gradient"


def gradient(trial: Trial) -> Finding:
    """Is the gradient that trains the network the slope of its loss, by central differences?

    A problem if a leaf disagrees with them by more than `TOLERANCE`, in float64, or if the gradient
    in float32, computed as in training, disagrees with that in float64 (`check_precision`).
    Inconclusive if fewer than half of the leaves can, because of kinks (ReLU, maximum) between the
    points compared.
    """
    batch = trial.normalized(GRADIENT_IMAGES)
    labels = jnp.asarray(trial.labels[:GRADIENT_IMAGES])

    def total(precision: str) -> Callable[..., Any]:
        objective = dataclasses.replace(trial.objective, precision=precision)
        return lambda params, held, batch: loss(objective, params, held, batch, labels)[0]

    start = trial.variables
    arguments = start["params"], start["batch_stats"], batch
    try:
        found = check_gradient(total("float64"), *arguments, tolerance=TOLERANCE)
    except ValueError as error:
        advice = "look at the layer that the message names"
        return Finding(GRADIENT_CHECK, None, str(error), {}, advice)
    single = check_precision(total("float32"), total("float64"), *arguments)
    depth = {path: place for place, path in enumerate(paths(trial.network))}
    return _gradient_finding(found, single, depth)


def _gradient_finding(
    found: GradientCheck, single: Sequence[LeafPrecision], depth: Mapping[str, int]
) -> Finding:
    wrong = [row for row in found.leaves if row.verdict == "disagrees"]
    told = [row for row in found.leaves if row.verdict == "agrees"]
    size = f"{len(found.leaves)} leaves, loss of {GRADIENT_IMAGES} images, float64"
    measured = {
        "leaves": len(found.leaves),
        "agree": len(told),
        "disagree": len(wrong),
        "errors": {row.leaf: row.error for row in found.leaves},
        "float32_errors": {row.leaf: row.error for row in single},
    }
    if wrong:
        worst = max(wrong, key=lambda row: row.error)
        sentence = (
            f"{len(wrong)} of {size} disagree with finite differences, {worst.leaf} by a relative "
            f"{worst.error:.2g}; expected at most {TOLERANCE:g}"
        )
        # what lies nearer the scores than a wrong derivative is right: the fault is where that ends
        last = max(wrong, key=lambda row: depth.get(row.leaf.rpartition("/")[0], 0)).leaf
        advice = f"mend the derivative of {last}, or of what follows it up to the next parameters"
        return Finding(GRADIENT_CHECK, True, sentence, measured, advice)
    if untrue := [row for row in single if row.verdict == "disagrees"]:
        worst_row = max(untrue, key=lambda row: row.error)
        sentence = (
            f"{len(untrue)} of {len(single)} leaves in float32, as it trains here, disagree with "
            f"float64, {worst_row.leaf} by a relative {worst_row.error:.2g}"
        )
        advice = "look at the kernels for float32; ABLAX_NATIVE=0 trains without oneDNN"
        return Finding(GRADIENT_CHECK, True, sentence, measured, advice)
    open_ = [row.leaf for row in found.leaves if row.verdict == "inconclusive"]
    kinks = f"; kinks leave {listed(open_)} open" if open_ else ""
    worst_error = max((row.error for row in told), default=float("nan"))
    error = f"{worst_error:.1g}" if worst_error else "rounding"
    sentence = f"{len(told)} of {size} agree with finite differences to within {error}{kinks}"
    if len(told) < TOLD * len(found.leaves):
        advice = "exchange the kinks for smooth ones, such as tanh"
        return Finding(GRADIENT_CHECK, None, sentence, measured, advice)
    return Finding(GRADIENT_CHECK, False, sentence, measured)


GRADIENT_FLOW_IMAGES = 64
FACTOR = 1e3
"""First layers against last ones, and both against 1: no one learning rate fits layers that ask for
steps a thousand times apart."""
GRADIENT_FLOW_CHECK = "gradients by layer"


def gradient_flow(trial: Trial) -> Finding:
    r"""Does the gradient reach the first layers, and does it stay in bounds, before training?

    By each kernel, in units that compare across layers,

        s_l = |W_l| |dL / dW_l|

    bounds, to first order, by how much the loss changes when a layer changes by as much as its own
    size. The product W_l . dL / dW_l is the same for all layers of a network of ReLUs without
    biases, however the layers are scaled, so s_l differs little between healthy layers; the bare
    norm differs with the size of the weights. (Glorot, Bengio 2010, Understanding the difficulty of
    training deep feedforward neural networks; He et al. 2015, Delving deep into rectifiers.) With a
    the median of the first third of the layers, and z of the last:

    - vanishing: a < z / `FACTOR`, or a and z < 1 / `FACTOR` nats;
    - exploding: a > z `FACTOR`, or a or z > `FACTOR` nats.
    """
    batch = jnp.asarray(trial.normalized(GRADIENT_FLOW_IMAGES))
    labels = jnp.asarray(trial.labels[:GRADIENT_FLOW_IMAGES])
    start = trial.variables
    of_batch = jax.jit(partial(slopes_of, trial.objective))
    slopes, _ = jax.device_get(of_batch(start["params"], start["batch_stats"], batch, labels))
    kernels = kernel_norms(trial.network, jax.device_get(start["params"]), slopes)
    if not kernels:
        return Finding(GRADIENT_FLOW_CHECK, None, "the network has no kernel", {}, "")
    layers, norms, sizes = zip(*kernels, strict=True)
    effects = [norm * size for norm, size in zip(norms, sizes, strict=True)]
    third = max(1, len(kernels) // 3)
    first, last = float(np.median(effects[:third])), float(np.median(effects[-third:]))
    measured = {"layers": layers, "effects": tuple(effects), "norms": norms, "first": first}
    measured["last"] = last
    sentence = (
        f"before training, |W| |dL/dW| is {first:.2g} in the first third of {len(kernels)} layers "
        f"and {last:.2g} in the last; expected within a factor of {FACTOR:g} of each other and of 1"
    )
    if not np.isfinite(effects).all():
        words, sentence = "exploding", "the gradient before training is not finite"
    elif first > FACTOR * last or max(first, last) > FACTOR:
        words = "exploding"
    elif first * FACTOR < last or max(first, last) * FACTOR < 1:
        words = "vanishing"
    else:
        return Finding(GRADIENT_FLOW_CHECK, False, sentence, measured)
    advice = (
        "initialize with std scaled to the fan-in (HE_NORMAL), add batch normalization or "
        "shortcuts, or exchange saturating nonlinearities for ReLU"
    )
    return Finding(GRADIENT_FLOW_CHECK, True, f"{words}: {sentence}", measured, advice)


@kit.settings()
def gradients_figure(found: Finding) -> Figure:
    """The gradient's size against depth, in two units, with the limits of the criterion."""
    told = found.measurements
    names = ("|W| |dL/dW|: change of the loss per share of the layer", "|dL/dW|: bare norm")
    figure, drawn = kit.panels(2, 1, (kit.WIDTH, 3.4), above=0.6, grid="y", sharex=True)
    for axes, what, name in zip(drawn, ("effects", "norms"), names, strict=True):
        axes.plot(range(len(told[what])), told[what], "o-", color=kit.COLORS[1])
        axes.set_title(name)
    for limit in (1 / FACTOR, FACTOR):
        drawn[0].axhline(limit, color=kit.COLORS[2], lw=1.5, ls="--")
    for axes in drawn:
        kit.logarithmic(axes, "y")
    left_out = kit.name_layers(drawn[-1], told["layers"])
    return kit.set_caption(
        figure, f"{closed(found.sentence)} Dashed: limits of the upper measure.{left_out}"
    )


WINDOW = 7
"""Steps over which the median of the loss is taken: one unlucky batch decides nothing."""
RISE = 0.5
"""Share of the fall so far that the loss must rise again to count as diverging."""
LEAST = 0.1
"""The same as a share of where the fall began, if the loss has hardly fallen."""
LEARNING_RATE_CHECK = "learning rate"


def learning_rate(trial: Trial) -> Finding:
    """At which learning rate does training diverge, and does the recipe stay below it?

    Its own optimizer trains while the rate grows geometrically over 100 steps (Smith 2017, Cyclical
    learning rates for training neural networks, section 3.3). The diverging rate is the first,
    behind the least of the smoothed loss, at which this loss lies above its least by more than
    `RISE` of its fall and `LEAST` of where the fall began, or is not finite. A fall begins at the
    first loss, or at that of guessing, ln(classes), if that is less: an initial loss above that of
    guessing would make every later rise look small. A problem if the recipe's highest rate is the
    diverging rate or more. The test trains a few steps at each rate, so a rate a little below the
    limit may still diverge in a long training.
    """
    rate = trial.recipe.optimizer.rate
    rates, losses = rising_rates(trial), range_test(trial).losses
    place = diverges_at(losses, len(trial.model.classes))
    measured = {
        "rate": rate,
        "rates": tuple(map(float, rates)),
        "losses": tuple(map(float, losses)),
        "smoothed": tuple(map(float, smoothed(losses))),
        "diverging_rate": None if place is None else float(rates[place]),
    }
    if place is None:
        sentence = (
            f"no divergence up to a rate of {rates[-1]:.2g}, {ABOVE:g} times the recipe's {rate:g}"
        )
        return Finding(LEARNING_RATE_CHECK, False, sentence, measured)
    limit = float(rates[place])
    problem = rate >= limit
    where = f"{limit / rate:.2g} times" if limit >= rate else f"1/{rate / limit:.2g} of"
    sentence = (
        f"the loss starts to rise again at a rate of {limit:.2g}, {where} the recipe's {rate:g} "
        f"(range test, {len(losses)} steps)"
    )
    lower = f"lower the rate, to {limit / 10:.1g} at first: --optimizer.rate {limit / 10:.1g}"
    return Finding(LEARNING_RATE_CHECK, problem, sentence, measured, lower if problem else "")


@kit.settings()
def learning_rate_figure(found: Finding) -> Figure:
    """The loss against the learning rate, the recipe's rate and the diverging one marked."""
    told = found.measurements
    figure, (axes,) = kit.panels(1, 1, (kit.WIDTH, 5.7), above=0.4)
    curve = [value if math.isfinite(value) else math.nan for value in told["smoothed"]]
    axes.plot(told["rates"], told["losses"], ".", color="#B0B0B0", label="each step")
    axes.plot(told["rates"], curve, color=kit.COLORS[1], label="median of 7 steps")
    axes.axvline(told["rate"], color=kit.COLORS[3], lw=2, ls="--", label="rate of the recipe")
    if told["diverging_rate"] is not None:
        axes.axvline(told["diverging_rate"], color=kit.COLORS[2], lw=2, label="diverging from here")
    finite = [value for value in curve if math.isfinite(value)]
    top = max(finite[0], min(finite)) * 1.6 if finite else 1.0
    axes.set_ylim(0, top)
    kit.logarithmic(axes, "x")
    axes.set_xlabel("learning rate (logarithmic)")
    axes.set_ylabel("training loss")
    axes.set_title("Range test: where does training diverge?")
    axes.legend(loc="lower left")
    hidden = any(not loss <= top for loss in told["losses"])
    more = f" Losses above {top:.2g} are not shown." * hidden
    return kit.set_caption(figure, closed(found.sentence) + more)


def smoothed(losses: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """The running median, centered, so that it does not lag; infinite where a loss is not finite.

    Example:
        >>> smoothed(np.array([3.0, 9.0, 2.0, 1.0, 0.0])).tolist()
        [2.5, 2.0, 2.0, 2.0, 1.5]
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    half = WINDOW // 2
    parts = [finite[max(0, i - half) : i + half + 1] for i in range(len(finite))]
    return np.array([np.median(part) for part in parts])


def diverges_at(losses: Float[np.ndarray, " steps"], classes: int) -> int | None:
    """The step of a range test at which its loss starts to diverge; None where it does not.

    Example:
        >>> falls = np.linspace(2.3, 0.3, 60)
        >>> rises = np.linspace(0.3, 4.3, 40)
        >>> diverges_at(np.concatenate([falls, rises]), 10), diverges_at(falls, 10)
        (70, None)
    """
    curve = smoothed(losses)
    if not math.isfinite(curve[0]):
        return 0
    lowest = int(np.argmin(curve))
    start, least = min(float(curve[0]), math.log(classes)), float(curve[lowest])
    limit = least + max(RISE * (start - least), LEAST * start)
    above = np.flatnonzero(curve[lowest:] > limit)
    return lowest + int(above[0]) if len(above) else None


SMALL_SUBSET_IMAGES = 32
SMALL_SUBSET_STEPS = 200
SMALL_SUBSET_RATES = (1e-3, 3e-4, 1e-2)
"""Of Adam, tried in turn; the first that succeeds ends the check."""
LEFT = 0.05
"""Share of the loss of guessing, ln(classes), that may be left; at 10 classes the class of an image
then has a probability of 0.89 in the (geometric) mean."""

SMALL_SUBSET_CHECK = "small subset"


def small_subset(trial: Trial, steps: int = SMALL_SUBSET_STEPS) -> Finding:
    """Does the network learn a handful of images by heart? It must, or something is broken.

    So many full-batch steps of Adam on 32 training images: no augmentation, no dropout, no weight
    decay. A problem if an image is still wrong, or more than `LEFT` ln(classes) of the loss is
    left, at each of the `SMALL_SUBSET_RATES`.
    """
    count = min(SMALL_SUBSET_IMAGES, len(trial.images))
    train = _by_adam(trial, trial.network, count, count, steps)
    limit = LEFT * math.log(max(len(trial.model.classes), 2))
    best = (math.inf, math.inf, SMALL_SUBSET_RATES[0])
    for rate in SMALL_SUBSET_RATES:
        done = train(np.full(steps, rate))
        wrong, loss = float(done.errors[-1]), float(done.losses[-1])
        if math.isfinite(loss):
            best = min(best, (wrong, loss, rate))
        if best[0] == 0 and best[1] <= limit:
            break
    wrong, loss, rate = best
    problem = not (wrong == 0 and loss <= limit)
    if math.isfinite(loss):
        sentence = (
            f"after {steps} steps of Adam (rate {rate:g}) on {count} images {wrong * count:.0f} "
            f"are wrong and the loss is {loss:.2g}; expected none and at most {limit:.2g}"
        )
    else:
        sentence = f"the loss on {count} images is not finite, at Adam's rates {SMALL_SUBSET_RATES}"
    measured = {"wrong": wrong * count, "loss": loss, "images": count, "rate": rate, "limit": limit}
    advice = (
        "the loss or the gradient is wrong, two images are equal but for their class, or the "
        "network is far too small: look at the gradient, the units and the labels"
    )
    return Finding(SMALL_SUBSET_CHECK, problem, sentence, measured, advice if problem else "")


SPEED_SHARE = 0.02
"""Of the machine's rate below which a step is slow: beyond 50 times the time of its products, a
step does something else than products."""
BUSY = 2.0
"""Factor between the machine's rate before and after from which the check is inconclusive."""
SPEED_CHECK = "speed"


measured_machine = partial(measure, size=1024, numbers=2**24, repeats=3)
"""In a second or two: a limit needs no more digits."""


def speed(trial: Trial, machine: Callable[[], Machine] = measured_machine) -> Finding:
    """Is a training step of the recipe slow, against what the machine would need for its products?

    It takes 3 x the multiply-accumulates of the forward pass, times the batch: forward, the
    gradient by the inputs, the gradient by the weights. A problem if the machine's rate, measured
    by a large matrix product, would allow them in less than `SPEED_SHARE` of the measured time.
    Inconclusive if this rate differs by more than `BUSY` before and after. Augmentation, dropout
    and optimizer count to the time.
    """
    batch = min(trial.recipe.train.batch, len(trial.images))
    try:
        forward = network_macs(trial.network, trial.model.image_shape)
    except AblaxError as error:
        return Finding(SPEED_CHECK, None, str(error), {}, "")
    before, runs, after = machine(), (first_steps(trial), range_test(trial)), machine()
    seconds = min(run.seconds for run in runs)
    rate = max(before.rate, after.rate)
    least = 3 * forward * batch / rate
    share = least / seconds
    busy = rate > BUSY * min(before.rate, after.rate)
    problem = None if busy else share < SPEED_SHARE
    sentence = (
        f"a training step of {batch} images takes {1e3 * seconds:.3g} ms; its 3 x {forward:,} x "
        f"{batch} multiply-accumulates take {1e3 * least:.3g} ms at the {rate / 1e9:.3g} G "
        f"a second of a large matrix product here: {100 * share:.2g} %, "
        f"limit {100 * SPEED_SHARE:g} %"
    )
    measured = {"seconds": seconds, "least": least, "share": share, "rate": rate, "macs": forward}
    return Finding(SPEED_CHECK, problem, sentence, measured, _ADVICE[problem])


_ADVICE = {
    None: "the machine is busy with something else, for its rate differed by more than a factor of "
    f"{BUSY:g} before and after: measure again",
    True: "ablax roofline names the slow layers: exchange them, take larger batches, a GPU, or a "
    "smaller network",
    False: "",
}


UNITS_IMAGES = 256
DEAD = 0.5
"""Share of a layer's units that may ignore the input: beyond, it works as one of half its width."""
REPEATED = 0.5
"""Share of the units that may repeat another of the layer, for the same reason."""
SAME = 0.95
"""Size of the correlation from which a unit repeats another: 0.9 of the variance is shared."""
UNITS_CHECK = "units"


def units(trial: Trial, trained: Trained) -> Finding:
    """Do hidden units ignore the input, or repeat one another, before and after training?

    A unit of a feature map is a channel; it has a value at each place of each image. It is dead if
    its value is always the same. It repeats another if the size of their correlation is at least
    `SAME` with a unit before it. A problem if more than `DEAD` of a layer's units are dead, or more
    than `REPEATED` repeat another, after training. Layers of a single unit are left to the other
    checks. The hint is Ranzato's (`ablax.analysis.feature_statistics`).
    """
    layers = activations(trial.network, trial.model.image_shape)
    if not layers:
        return Finding(UNITS_CHECK, None, "the network has no layer of hidden units", {}, "")
    before = _by_layer(trial, trial.settled(trial.variables), layers)
    try:
        after = _by_layer(trial, trained.variables, layers)
    except ValueError as error:
        return Finding(UNITS_CHECK, True, str(error), {}, "see the learning rate")
    dead = [name for name, (share, _) in after.items() if share > DEAD]
    repeated = [name for name, (_, share) in after.items() if share > REPEATED]
    measured = {
        "layers": tuple(after),
        "dead_before": tuple(share for share, _ in before.values()),
        "dead_after": tuple(share for share, _ in after.values()),
        "repeated_before": tuple(share for _, share in before.values()),
        "repeated_after": tuple(share for _, share in after.values()),
    }
    most_dead = max(after, key=lambda name: after[name][0])
    most_repeated = max(after, key=lambda name: after[name][1])
    count = min(UNITS_IMAGES, len(trial.images))
    sentence = (
        f"{trained.words}, over {count} images: at most {_percent(after[most_dead][0])} dead "
        f"({most_dead}; {_percent(before[most_dead][0])} before), at most "
        f"{_percent(after[most_repeated][1])} repeat another ({most_repeated}; "
        f"{_percent(before[most_repeated][1])} before); limit {_percent(DEAD)} of a layer each"
    )
    alive = "lower the rate, initialize biases differently, or use LeakyReLU"
    distinct = "use another initialization, add dropout, or make the layer narrower"
    cures = (("dead", dead, alive), ("repeating", repeated, distinct))
    advice = [f"{problem}: {listed(where)}: {cure}" for problem, where, cure in cures if where]
    return Finding(UNITS_CHECK, bool(advice), sentence, measured, "; ".join(advice))


@kit.settings()
def units_figure(found: Finding) -> Figure:
    """Dead and repeated units of each layer, before and after training."""
    told = found.measurements
    size, share = (kit.WIDTH, 3.4), "% of the layer"
    figure, drawn = kit.panels(2, 1, size, above=0.6, grid="y", y=share, sharex=True)
    shown = (
        ("dead", "Units that ignore the input", DEAD),
        ("repeated", f"Units that repeat another (|r| ≥ {SAME})", REPEATED),
    )
    for axes, (what, name, limit) in zip(drawn, shown, strict=True):
        for shift, when, color in ((-0.2, "before", "#A6A6A6"), (0.2, "after", kit.COLORS[1])):
            shares = [100 * share for share in told[f"{what}_{when}"]]
            places = [place + shift for place in range(len(shares))]
            axes.bar(places, shares, width=0.38, color=color, label=f"{when} training")
        axes.axhline(100 * limit, color=kit.COLORS[2], lw=1.5, ls="--", label="limit")
        axes.set_ylim(0, 100)
        axes.set_title(name)
    drawn[0].legend(ncols=3)
    return kit.set_caption(
        figure, closed(found.sentence) + kit.name_layers(drawn[-1], told["layers"])
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def activations(network: Network, image_shape: tuple[int, int, int]) -> tuple[str, ...]:
    """The paths of the nonlinearities, in order; those inside a `Repeat` cannot be seen."""
    seen, kinds = layer_shapes(network, image_shape), (*NONLINEARITIES, Threshold)
    layers = walk(network.layers)
    return tuple(path for path, layer in layers if isinstance(layer, kinds) and path in seen)


def _by_layer(
    trial: Trial, variables: Variables, layers: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """The shares of dead and of repeated units of each layer."""
    images, labels = trial.images[:UNITS_IMAGES], trial.labels[:UNITS_IMAGES]
    found = feature_statistics(
        lambda batch: features(trial.network, variables, jnp.asarray(batch), at=layers),
        (batch for batch, _ in trial.model.batches(images, labels)),
        most_responses=1,
    )
    return {name: (float(each.constant.mean()), repeated(each)) for name, each in found.items()}


def repeated(statistics: FeatureStatistics) -> float:
    """The share of units whose correlation with a unit before them is `SAME` or more."""
    size = np.abs(np.nan_to_num(statistics.correlation))
    return float(np.mean(np.tril(size, -1).max(axis=1) >= SAME))


def examine(
    trial: Trial,
    history: History | None = None,
    begins: Callable[[str], None] = lambda _: None,
    ends: Callable[[Finding], None] = lambda _: None,
) -> tuple[Finding, ...]:
    """Every check of a network and, where there is one, a finished run of it.

    In the order of the lecture's slides; `begins` is told the name of each before it starts, `ends`
    what it found.
    """

    def trained() -> Trained:
        if history is not None and history.trained is not None:
            return history.trained
        return briefly_trained(trial)

    checks: dict[str, Callable[[], Finding]] = {
        SMALL_SUBSET_CHECK: lambda: small_subset(trial),
        GRADIENT_CHECK: lambda: gradient(trial),
        DIVERGENCE_CHECK: lambda: divergence(history),
        LEARNING_RATE_CHECK: lambda: learning_rate(trial),
        COLLAPSE_CHECK: lambda: collapse(trial, trained()),
        UNITS_CHECK: lambda: units(trial, trained()),
        GRADIENT_FLOW_CHECK: lambda: gradient_flow(trial),
        GENERALIZATION_CHECK: lambda: generalization(trial, history),
        CAPACITY_CHECK: lambda: capacity(trial, history),
        SPEED_CHECK: lambda: speed(trial),
    }
    found = []
    for name, check in checks.items():
        begins(name)
        found.append(check())
        ends(found[-1])
    return tuple(found)


FIGURES: dict[str, tuple[str, str, Callable[[Finding], Figure]]] = {
    LEARNING_RATE_CHECK: ("learning_rate", "losses", learning_rate_figure),
    GRADIENT_FLOW_CHECK: ("gradients", "effects", gradients_figure),
    UNITS_CHECK: ("units", "layers", units_figure),
    DIVERGENCE_CHECK: ("curves", "losses", curves_figure),
}
"""By check: the name of the file, the measurement without which nothing can be drawn, and how."""


def findings_table(name: str, findings: Sequence[Finding]) -> Table:
    """One row per check."""
    rows = tuple((each.check, each.verdict, closed(each.sentence)) for each in findings)
    return Table(f"Examination of {name}", ("check", "finding", "measured"), rows)


def summary(findings: Sequence[Finding]) -> str:
    """The outcome in a sentence.

    Example:
        >>> summary([Finding("speed", True, "slow"), Finding("units", False, "alive")])
        'Problem found: speed (1 of 2 checks passed).'
    """
    problem = [each.check for each in findings if each.problem]
    open_ = [each.check for each in findings if each.problem is None]
    passed = sum(each.problem is False for each in findings)
    found = "No problem found"
    if problem:
        found = f"Problem{'s' * (len(problem) > 1)} found: {', '.join(problem)}"
    said = f"{found} ({passed} of {len(findings)} checks passed)."
    return f"{said} Inconclusive: {', '.join(open_)}." if open_ else said


def what_to_do(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The advice, check by check."""
    return tuple(f"{each.check}: {each.advice}" for each in findings if each.advice)


def write_page(name: str, note: str, findings: Sequence[Finding], folder: Path) -> Path:
    """Write `doctor.md`, `doctor.html` (pictures inside) and the pictures as PNG and SVG.

    Gives the path of `doctor.html`. The note says what the data are.

    Raises:
        ReportError: The folder cannot be written.
    """
    table = findings_table(name, findings)
    found: list[Block] = [Paragraph(summary(findings), lead=True), Paragraph(closed(note)), table]
    if steps := what_to_do(findings):
        found += [Heading("What to do"), Items(tuple(map(closed, steps)))]
    drawings = {}
    for each in findings:
        stem, needed, draw = FIGURES.get(each.check, ("", "", None))
        if draw is not None and each.measurements.get(needed):
            drawings[stem] = kit.drawing(draw(each), dpi=110)
            found += [Heading(each.check.capitalize()), Illustration(stem, closed(each.sentence))]
    return write(folder, "doctor", table.title, found, drawings)
