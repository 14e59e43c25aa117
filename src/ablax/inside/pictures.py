"""The pictures of the inside of a network, each a `Figure` made from what was computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.analysis.features import filter_mosaic, first_kernel, map_mosaic
from ablax.analysis.maximization import Ascent, inceptionism, maximize, noise
from ablax.analysis.saliency import (
    Rule,
    backward_pictures,
    occlusion_map,
    saliency_map,
    spread,
    strongest,
)
from ablax.core import LayerError
from ablax.inside.drawing import Box, Draw, heat, image, panels, signed
from ablax.inside.subject import Subject
from ablax.report.drawing import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Named = Mapping[str, Float[np.ndarray, "H W C"]]
"""Prepared pictures by name."""


def filters_figure(subject: Subject) -> Figure:
    """The filters of the first convolution that is larger than a pixel."""
    path, kernel = first_kernel(subject.kernels())
    if kernel.shape[2] == 3 and subject.preprocessing.channels == "BGR":
        kernel = kernel[:, :, ::-1]
    kind = "in the colors of their channels" if kernel.shape[2] == 3 else "a channel each"
    with settings():
        return panels(
            [[image(filter_mosaic(kernel))]],
            f"{path}: {kernel.shape[3]} filters of {kernel.shape[0]}x{kernel.shape[1]}, {kind}, "
            f"each stretched on its own about 0 (gray). {subject.title}.",
            size=5.0,
        )


def features_figure(subject: Subject, pictures: Named, layers: Sequence[str]) -> Figure:
    """The feature maps of some layers for the first picture."""
    name, picture = next(iter(pictures.items()))
    draws: list[Draw | None] = [image(subject.shown(picture))]
    labels = [name]
    for layer in layers:
        maps = np.asarray(subject.features(layer)(jnp.asarray(picture)[None]))[0]
        draws.append(image(map_mosaic(maps)))
        height, width, units = maps.shape
        shown = f"{min(units, 64)} of {units}" if units > 64 else f"{units}"
        labels.append(f"{layer}\n{shown} maps, {height}x{width}")
    with settings():
        return panels(
            [draws],
            "Maps of one picture, each stretched on its own from its least (black) to its greatest "
            f"(white); of more than 64 those that vary most. {subject.title}.",
            column_labels=labels,
            size=3.4,
        )


def top_class(subject: Subject, picture: Float[Array, "H W C"]) -> tuple[int, float]:
    """The likeliest class and its probability."""
    scores = np.asarray(jax.nn.softmax(jax.jit(subject.scores)(jnp.asarray(picture)[None])[0]))
    return int(np.argmax(scores)), float(np.max(scores))


def saliency_figure(subject: Subject, pictures: Named) -> Figure:
    """Saliency of the likeliest class, by the gradient and by the guided rule."""
    rules: tuple[Rule, ...] = ("gradient", "guided")
    mapped = {rule: _compiled_saliency(subject, rule) for rule in rules}
    rows: list[list[Draw | None]] = []
    labels = []
    for name, picture in pictures.items():
        best, share = top_class(subject, jnp.asarray(picture))
        seen = subject.shown(picture)
        row: list[Draw | None] = [image(seen)]
        for rule in rules:
            found = mapped[rule](jnp.asarray(picture)[None], best)
            row.append(heat(np.asarray(found[0])))
        rows.append(row)
        labels.append(f"{name}\n→ {subject.classes[best]} {100 * share:.0f}\N{NO-BREAK SPACE}%")
    with settings():
        return panels(
            rows,
            "Largest size over the channels of the derivative of the likeliest class's score by "
            "each pixel; bright: the score changes most. Guided: signals below 0 are stopped at "
            f"each ReLU. Each map to its own scale. {subject.title}.",
            labels,
            ("picture", "gradient", "guided"),
        )


def _compiled_saliency(subject: Subject, rule: Rule) -> Callable[[Array, int], Array]:
    """From images and a class to their saliency."""

    def mapped(images: Array, best: Array) -> Array:
        return saliency_map(lambda x: jnp.take(subject.scores(x), best, axis=1), images, rule)

    return jax.jit(mapped)


def _log_probability(subject: Subject, best: int) -> Callable[[Array], Array]:
    """From images to the log probability of a class."""
    return lambda images: jax.nn.log_softmax(subject.scores(images))[:, best]


def occlusion_figure(subject: Subject, pictures: Named, window: int | None = None) -> Figure:
    """How far the score of the likeliest class falls when a square is covered."""
    side = subject.preprocessing.crop
    window = max(2, side // 4) if window is None else window
    stride = max(1, window // 4)
    rows: list[list[Draw | None]] = []
    labels = []
    for name, picture in pictures.items():
        best, share = top_class(subject, jnp.asarray(picture))
        falls = occlusion_map(_log_probability(subject, best), jnp.asarray(picture), window, stride)
        over = np.asarray(spread(falls, window, stride, *picture.shape[:2]))
        largest = float(np.nanmax(np.abs(over)))
        seen = subject.shown(picture)
        rows.append([image(seen), signed(over, note=f"scale: ±{largest:.2g}"), signed(over, seen)])
        labels.append(f"{name}\n→ {subject.classes[best]} {100 * share:.0f}\N{NO-BREAK SPACE}%")
    with settings():
        return panels(
            rows,
            f"Fall of the log probability of the likeliest class under a gray square of {window} "
            "pixels, the mean of all squares over each pixel. Purple: the class needs this place; "
            f"orange: it speaks against. {subject.title}.",
            labels,
            ("picture", "fall", "over the picture"),
        )


def deconvolution_figure(
    subject: Subject, pictures: Named, layers: Sequence[str], units: int = 3
) -> Figure:
    """The strongest units of some layers, sent back to the pixels of the picture they like most."""
    batch = jnp.asarray(np.stack(list(pictures.values())))
    rules: tuple[Rule, ...] = ("deconvolution", "guided", "gradient")
    columns: list[list[Draw | None]] = []
    labels = []
    alike = True
    for layer in layers:
        fn = subject.features(layer)
        strength = np.asarray(fn(batch)).max((1, 2))
        # units stand out against the other pictures' and units' usual strength
        order = np.argsort(-(strength.max(0) / (strength.max(0).mean() + strength.mean(0))))
        for unit in map(int, order[:units]):
            liked = int(np.argmax(strength[:, unit]))
            signal = strongest(unit)
            backs = [
                np.asarray(backward_pictures(fn, batch[liked][None], signal, rule)[0])
                for rule in rules
            ]
            alike = alike and all(np.array_equal(back, backs[0]) for back in backs)
            top, bottom, left, right = box = _reached(backs)
            seen = subject.shown(batch[liked])
            column: list[Draw | None] = [image(seen, box=box), image(seen[top:bottom, left:right])]
            for back in backs:
                column.append(image(_about_gray(subject, back[top:bottom, left:right])))
            columns.append(column)
            labels.append(f"{layer}\nunit {unit}")
    rows = [list(row) for row in zip(*columns, strict=True)]
    with settings():
        return panels(
            rows,
            "For each unit the picture that excites it most, the part of it that its strongest "
            "place there sees, and what that place sends back to this part, through the switches "
            "of the max pools: ReLUs pass what is positive in the signal (deconvolution), in "
            "signal and features (guided), in the features (gradient). Each stretched about gray. "
            f"{'The three are the same here: no ReLU stands below. ' if alike else ''}"
            f"{subject.title}.",
            ("picture", "part", *rules),
            labels,
            size=1.5,
        )


def _reached(backs: Sequence[Float[np.ndarray, "H W C"]]) -> Box:
    """The square around what is more than a hundredth of the largest in one of the pictures."""
    height, width, _ = backs[0].shape
    sizes = np.stack([np.abs(back).max(2) for back in backs])
    rows, columns = np.nonzero((sizes > 0.01 * sizes.max((1, 2), keepdims=True)).any(0))
    if not rows.size:
        return 0, height, 0, width
    side = min(max(int(np.ptp(rows)), int(np.ptp(columns))) + 1, height, width)
    top, left = (
        max(0, min((int(np.min(at) + np.max(at)) - side + 1) // 2, length - side))
        for at, length in ((rows, height), (columns, width))
    )
    return top, top + side, left, left + side


def _about_gray(subject: Subject, values: Float[np.ndarray, "H W C"]) -> Float[np.ndarray, "H W C"]:
    if subject.preprocessing.channels == "BGR":
        values = values[..., ::-1]
    largest = float(np.quantile(np.abs(values), 0.998)) or float(np.abs(values).max()) or 1.0
    return np.clip(0.5 + values / (2 * largest), 0, 1)


def maximization_figure(
    subject: Subject, classes: Sequence[int], seed: int, ascent: Ascent
) -> Figure:
    """For each class an image that climbed from noise to a high score."""
    shape = (len(classes), *subject.preprocessing.image_shape)
    chosen = jnp.asarray(classes)

    def objective(images: Array) -> Array:
        return jnp.take_along_axis(subject.scores(images), chosen[:, None], axis=1)[:, 0]

    images, _ = maximize(objective, noise(seed, shape), seed, ascent)
    shares = np.asarray(jax.nn.softmax(jax.jit(subject.scores)(images)))
    draws: list[Draw | None] = [
        image(seen, f"{subject.classes[k]}: {100 * share[k]:.0f}\N{NO-BREAK SPACE}%")
        for seen, k, share in zip(subject.shown(images), classes, shares, strict=True)
    ]
    rows = [draws[start : start + 5] for start in range(0, len(draws), 5)]
    with settings():
        return panels(
            rows,
            f"Images made from noise by {ascent.steps} steps up the score of a class (before the "
            f"softmax), with L2 decay {ascent.decay:g}, blur {ascent.blur:g}, total variation "
            f"{ascent.total_variation:g}, jitter {ascent.jitter}, seed {seed}; above each: the "
            f"class and its probability. {subject.title}.",
        )


def dream_figure(
    subject: Subject, pictures: Named, layers: Sequence[str], seed: int, steps: int
) -> Figure:
    """The first picture with more of what each layer sees in it."""
    name, picture = next(iter(pictures.items()))
    low, high = subject.range
    ascent = Ascent(
        steps=steps, rate=0.05, decay=0.0, blur=0.0, total_variation=0.2, low=low, high=high
    )
    draws: list[Draw | None] = [image(subject.shown(picture))]
    labels = [name]
    for layer in layers:
        fn = subject.features(layer)
        octaves = _octaves(fn, picture.shape)
        dreamt = inceptionism(fn, jnp.asarray(picture), seed, ascent, octaves=octaves)
        labels.append(f"{layer}\n{octaves} octave" + "s" * (octaves > 1))
        draws.append(image(subject.shown(dreamt)))
    with settings():
        return panels(
            [draws],
            f"Gradient ascent from the picture on the mean square of a layer's features, {steps} "
            f"steps an octave, seed {seed} (inceptionism). {subject.title}.",
            column_labels=labels,
            size=2.4,
        )


def _octaves(fn: Callable[[Array], Array], shape: tuple[int, ...], scale: float = 1.4) -> int:
    """How many sizes of a picture the layer takes: three at most."""
    for octaves in (3, 2):
        sides = [round(side / scale ** (octaves - 1)) for side in shape[:2]]
        try:
            jax.eval_shape(fn, jax.ShapeDtypeStruct((1, *sides, shape[2]), jnp.float32))
        except LayerError:
            continue
        if min(sides) >= 8:
            return octaves
    return 1
