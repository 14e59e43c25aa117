"""Numbers that no change of form may move, held against `numbers.json` beside this file.

`python tests/test_numbers.py` writes the file anew; a difference needs a reason.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.cost import macs
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import Layers, Network, abstract_variables, initialize, leaves_by_path, sequential
from ablax.data.augment import augment
from ablax.data.sources import load
from ablax.layers import BatchNormalization, Convolution, Dense, GlobalAveragePool, ReLU
from ablax.study.discovery import recipe
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh
from ablax.training.step import shuffle_key, step_key
from ablax.zoo import (
    CATALOG,
    alexnet_small,
    densenet_cifar,
    find,
    googlenet_small,
    lenet5,
    mobilenet_v2_small,
    resnet20,
    shufflenet_v2_small,
    vgg_small,
)

FILE = Path(__file__).with_name("numbers.json")
KEPT = json.loads(FILE.read_text()) if FILE.exists() else {}
NETWORKS = {
    "alexnet_small": lambda: alexnet_small(10, 1 / 16),
    "densenet_cifar": lambda: densenet_cifar(10, 4),
    "googlenet_small": lambda: googlenet_small(10, 1 / 8),
    "lenet5": lambda: lenet5(10),
    "mobilenet_v2_small": lambda: mobilenet_v2_small(10, 1 / 8),
    "resnet20": lambda: resnet20(10),
    "shufflenet_v2_small": lambda: shufflenet_v2_small(classes=10),
    "vgg_small": lambda: vgg_small(classes=10, width=1 / 16),
}


def digest(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.name} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def counted(entry):
    """Parameters and multiply-accumulates."""
    network, shape = entry.build(), entry.image_shape
    variables = abstract_variables(network, shape)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return [parameters, macs(network.apply, variables, image)]


def initial(name):
    """Of each leaf of the initial parameters: its shape, sum of |w_i|, and sum of w_i i / n.

    Random bits are the same in every JAX; normal draws from them are not, to the last digit: XLA's
    inverse error function rounds otherwise from version to version, by 1e-6 at most.
    """
    channels = 1 if name == "lenet5" else 3
    params = initialize(NETWORKS[name](), 0, (32, 32, channels))["params"]
    found = {}
    for path, leaf in leaves_by_path(params).items():
        weights = np.asarray(leaf, np.float64).ravel()
        moment = weights @ np.arange(weights.size) / weights.size
        sums = [float(f"{value:.8g}") for value in (np.abs(weights).sum(), moment)]
        found[path] = [list(leaf.shape), *sums]
    return found


def random_bits():
    """What everything random is made of, exactly."""
    key = jax.random.key(0)
    made = (
        jax.random.bits(key, (100,)),
        jax.random.key_data(jax.random.split(key, 9)),
        jax.random.key_data(jax.random.fold_in(key, 7)),
        jax.random.uniform(key, (100,)),
        jax.random.permutation(key, 100),
    )
    return digest(*map(np.asarray, made))


@cache
def digits():
    return load("digits")


def batches():
    """The labels and images of the first batches of two epochs of the digits recipe, seed 0."""
    plain, images = recipe("digits")[1], digits().train
    found = {}
    for epoch in (0, 1):
        order = jax.random.permutation(shuffle_key(jnp.int32(0), jnp.int32(epoch)), len(images))
        chosen = np.asarray(order)[: 3 * plain.train.batch]
        found[f"epoch {epoch}"] = {
            "order": digest(chosen.astype(np.int64)),
            "images": digest(images.images[chosen]),
            "first labels": images.labels[chosen[:16]].tolist(),
        }
    return found


def augmented():
    """Pixels of the digits recipe's first batch as its first step sees them."""
    plain, images = recipe("digits")[1], digits().train
    first = images.images[:8].astype(np.float32) / 255
    key, _ = jax.random.split(step_key(jnp.int32(0), jnp.int32(0)))
    seen = np.asarray(augment(key, jnp.asarray(first), plain.augment))
    return {
        "means": np.round(seen.mean(axis=(1, 2, 3)), 6).tolist(),
        "pixels": np.round(seen[0, ::5, ::5, 0].ravel(), 6).tolist(),
    }


def tiny():
    layers = {"bn": BatchNormalization(), "relu": ReLU()}
    return Network(
        Layers(conv1=sequential(conv=Convolution(4, 3, stride=2), **layers)),
        Layers(conv2=sequential(conv=Convolution(8, 3, stride=2), **layers)),
        Layers(pool=GlobalAveragePool(), scores=Dense(10)),
    )


RUNS = {"alexnet": lambda: alexnet_small(10, 1 / 32), "batch normalization": tiny}


def trained(name):
    """Losses and correct images of three steps on digits, and what the test images then say."""
    plain = Recipe(
        augment=recipe("digits")[1].augment,
        optimizer=OptimizerConfig(rate=0.02),
        train=TrainConfig(epochs=1, batch=32, chunk=3),
    )
    mesh = data_mesh(jax.devices()[:1])
    trainer = Trainer(RUNS[name](), plain, InMemory(digits(), 32, mesh), mesh)
    state, figures = trainer.advance(trainer.initial_state(0), 0, 0, 3)
    evaluation = trainer.evaluate(state)
    return {
        "losses": [float(loss) for loss in figures.loss],
        "correct": [int(count) for count in figures.correct],
        "test loss": float(evaluation.losses.mean()),
        "test error": evaluation.error,
    }


def written():
    """All of it, as the file holds it."""
    return {
        "counts": {entry.name: [entry.parameters, entry.macs] for entry in CATALOG},
        "initial": {name: initial(name) for name in NETWORKS},
        "random": {"bits": random_bits()},
        "batches": batches(),
        "augmented": augmented(),
        "trained": {name: trained(name) for name in RUNS},
    }


def test_parameters_and_multiply_accumulates_of_the_zoo_are_what_they_were():
    # that they are those of the networks, tests of the catalog say, which count every one anew
    assert {entry.name: [entry.parameters, entry.macs] for entry in CATALOG} == KEPT["counts"]


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_networks_that_are_counted_anew_have_the_counts_that_they_had(name):
    assert counted(find(name)) == KEPT["counts"][name]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_initial_parameters_are_what_they_were(name):
    found, kept = initial(name), KEPT["initial"][name]
    assert list(found) == list(kept)
    for path, (shape, size, moment) in kept.items():
        assert found[path][0] == shape, path
        np.testing.assert_allclose(found[path][1:], [size, moment], rtol=1e-6, atol=1e-6 * size)


@pytest.mark.slow
def test_random_bits_are_what_they_were():
    assert random_bits() == KEPT["random"]["bits"]


def test_the_order_of_the_images_is_what_it_was():
    assert batches() == KEPT["batches"]


@pytest.mark.slow
def test_augmented_images_are_what_they_were():
    found, kept = augmented(), KEPT["augmented"]
    for name in kept:
        np.testing.assert_allclose(found[name], kept[name], rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_three_steps_of_training_give_what_they_gave(name):
    found, kept = trained(name), KEPT["trained"][name]
    np.testing.assert_allclose(found["losses"], kept["losses"], rtol=1e-5)
    np.testing.assert_allclose(found["test loss"], kept["test loss"], rtol=1e-5)
    assert found["correct"] == kept["correct"]
    assert found["test error"] == pytest.approx(kept["test error"], rel=1e-5)


if __name__ == "__main__":
    parts = [
        f"{json.dumps(part)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in held.items())
        + "\n}"
        for part, held in written().items()
    ]
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n")
