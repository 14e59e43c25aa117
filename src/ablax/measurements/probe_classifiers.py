"""Linear classifiers on features: how well do the classes lie apart along straight lines?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ablax.errors import AblaxError
from ablax.layers import adaptive_average_pool

Classifier = Literal["svm", "softmax"]
"""A linear support vector machine, one against the rest; softmax regression."""

LIMIT = 3072
"""Numbers of an image that a classifier is given: as many as a color image of 32 x 32 has."""

_SVM, _SOFTMAX, _ITERATIONS = 1.0, 10.0, 10_000


class Probe(NamedTuple):
    """What a classifier fitted to the features of training images says of test images.

    Attributes:
        error: Test images whose class is not the predicted one, percent; nan where a feature is
            not finite, as after a run that diverged.
        train_error: The same of the images it was fitted to.
        features: Numbers of an image.
        converged: Whether the fit ended by its own rule, not by the limit of 10,000 iterations.
    """

    error: float
    train_error: float
    features: int
    converged: bool


def places(maps: Float[np.ndarray, "N ..."], limit: int = LIMIT) -> Float[np.ndarray, "N P C"]:
    """Features as places by channels, averaged over space where they are more than `limit`.

    Maps of H x W x C numbers are averaged over B x B bins (`adaptive_average_pool`), B being the
    largest with B^2 C <= limit, but at least 1; P = B^2. B = H = W changes nothing. An average is
    linear: a linear classifier on averages is one on the features themselves that weighs
    neighbours alike, so it never finds what a classifier on all of them could not. The numbers of
    a vector are channels of one place, and are left as they are.

    Args:
        maps: Of shape (N, H, W, C), or (N, C).
        limit: Numbers of an image, at least 1.

    Raises:
        AblaxError: Features of another shape.

    Example:
        >>> places(np.zeros((5, 16, 16, 8)), limit=128).shape
        (5, 16, 8)
    """
    if maps.ndim == 2:
        return maps[:, None]
    if maps.ndim != 4:
        raise AblaxError(
            f"features of shape {maps.shape} cannot be probed: expected (images, numbers) or "
            "(images, height, width, channels); name another layer"
        )
    _, height, width, channels = maps.shape
    bins = max(1, min(height, width, math.isqrt(limit // channels)))
    if height * width * channels > limit and (height, width) != (bins, bins):
        maps = np.asarray(_averaged(maps, bins))
    return maps.reshape(len(maps), -1, channels)


_averaged = jax.jit(adaptive_average_pool, static_argnums=1)


def probe(
    classifier: Classifier,
    train: tuple[Float[np.ndarray, "N P C"], Int[np.ndarray, " N"]],
    test: tuple[Float[np.ndarray, "M P C"], Int[np.ndarray, " M"]],
) -> Probe:
    """Fits a linear classifier to training features and judges it by test features.

    Each channel is standardized by its mean and deviation over the training images and all places,
    and all numbers are divided by the root of how many there are in channels that vary, so that an
    image's features have a mean squared length of 1 in every layer and one strength of
    regularization suits them all. A channel is one feature seen at many places; were each place
    standardized alone, one that is almost always dark in training, as the corners are, would be
    blown up: by up to 286,333 deviations in the first layer, for distorted training digits.

    Then scikit-learn minimizes |w|^2 / 2 + C sum of losses: `LinearSVC` the squared hinge loss of
    each class against the rest, with C = 1 (its bias is regularized like a weight);
    `LogisticRegression` the cross-entropy of the softmax, with C = 10. Both C are fixed. They were
    set without any test image, by the error on held-out training images, on pixels and features of
    an untrained network: a tenth of them errs more (SVM by 2.6 points on average over digits and
    Fashion-MNIST, softmax by 2.4 on digits), ten times as much errs less by 0.4 (SVM) and 0.3
    (softmax) but takes longer.
    They are not chosen anew for every layer, because a network has been trained on the training
    images: its features of held-out ones among them are not those of unseen images.

    Args:
        classifier: Which of the two.
        train: Features and classes to fit to.
        test: Features and classes to be judged by.

    Raises:
        AblaxError: An unknown classifier, or training images of a single class.

    References:
        Fan, Chang, Hsieh, Wang, Lin 2008, LIBLINEAR: a library for large linear classification.

    Example:
        >>> apart = np.array([-1.0, -2.0, 1.0, 2.0]).reshape(4, 1, 1), np.array([0, 0, 1, 1])
        >>> probe("svm", apart, apart)
        Probe(error=0.0, train_error=0.0, features=1, converged=True)
    """
    if classifier not in ("svm", "softmax"):
        raise AblaxError(f"there is no classifier {classifier!r}: choose 'svm' or 'softmax'")
    (seen, seen_labels), (unseen, unseen_labels) = train, test
    if len(np.unique(seen_labels)) < 2:
        raise AblaxError(
            f"the {len(seen_labels)} training images are all of one class, and a classifier "
            "needs at least two: give more training images"
        )
    count = seen.shape[1] * seen.shape[2]
    if not (np.isfinite(seen).all() and np.isfinite(unseen).all()):
        return Probe(math.nan, math.nan, count, converged=False)
    standardized = _standardization(seen)
    model = _unfitted(classifier)
    converged = _fit(model, standardized(seen), seen_labels)

    def error(features: np.ndarray, labels: np.ndarray) -> float:
        return 100 * float(np.mean(model.predict(standardized(features)) != labels))

    return Probe(error(unseen, unseen_labels), error(seen, seen_labels), count, converged)


def _standardization(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Less the mean, over the deviation and the root of how many numbers vary; flattened."""
    mean = train.mean(axis=(0, 1), dtype=np.float64)
    deviation = train.std(axis=(0, 1), dtype=np.float64)
    # what is constant but for rounding is told apart from what varies
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    count = train.shape[1] * max(1, int(varies.sum()))
    scale = np.where(varies, deviation, 1.0) * math.sqrt(count)
    return lambda features: np.where(varies, (features - mean) / scale, 0.0).reshape(
        len(features), -1
    )


def _unfitted(classifier: Classifier) -> Any:
    if classifier == "svm":
        from sklearn.svm import LinearSVC

        # the order in which liblinear visits the images is drawn: from the same seed every time
        return LinearSVC(C=_SVM, dual=True, max_iter=_ITERATIONS, random_state=0)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_SOFTMAX, max_iter=_ITERATIONS)


def _fit(model: Any, features: np.ndarray, labels: np.ndarray) -> bool:
    """Fits the model in place and returns whether it converged."""
    from sklearn.exceptions import ConvergenceWarning

    # On two busy cores, threads of linear algebra beside those of JAX made softmax fits of these
    # sizes up to 28 times slower (scikit-learn 1.9.1).
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        warnings.simplefilter("always")
        model.fit(features, labels)
    converged = True
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            converged = False
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return converged
