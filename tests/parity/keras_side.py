"""Keras' networks with the drawn weights in them; the backend is JAX, in float64."""

import os
import tempfile
from pathlib import Path

import numpy as np
from drawn_weights import drawn, images

from ablax.analysis.jax_versions import double_precision
from ablax.weights.files import read_weights
from ablax.weights.sources import numbered_in_order


def keras_scores(case):
    """The scores of one image, in float64.

    The weights go in as Keras writes them into a file, so that our reader's idea of which is which
    is held against Keras' own.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    import h5py
    import keras

    with double_precision():
        keras.config.set_floatx("float64")
        builder = getattr(keras.applications, case.source.removeprefix("keras:"))
        model = builder(weights=None, classifier_activation=None)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.h5"
            model.save(file)
            theirs = read_weights(file)[1]
            ours = numbered_in_order(theirs)
            values = {
                name: drawn(new, array.shape, case.gain)
                for (name, array), new in zip(theirs.items(), ours, strict=True)
            }
            with h5py.File(file, "r+") as h5:
                _write(h5["model_weights"], values, theirs)
            model.load_weights(file)
        return np.asarray(model(np.asarray(images(case.image_shape), np.float64)))[0]


def _write(group, values, theirs):
    """Each array back into its place, in Keras' order of axes."""
    names = iter(theirs)
    for layer in group.attrs["layer_names"]:
        for weight in group[layer].attrs["weight_names"]:
            place, value = group[layer][weight], values[next(names)]
            place[...] = _turned_back(value, place.shape)


def _turned_back(array, shape):
    if array.ndim == 4 and array.shape[1] == 1 and shape[2] == array.shape[0]:  # depthwise
        return array[:, 0].transpose(1, 2, 0)[..., None]
    return array.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim, range(array.ndim)))
