"""Small networks on small digits, healthy and with one problem each, made on purpose."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.core import Layers, Network, sequential
from ablax.data.digits import load_digits
from ablax.doctor.trials import Trial, cross_entropy
from ablax.layers import Dense, Flatten, ReLU
from ablax.layers.initializers import HE_NORMAL
from ablax.model import Model, preprocessing_of

RECIPE = Recipe(
    optimizer=OptimizerConfig(name="adamw", rate=0.003, weight_decay=0.0, schedule="constant"),
    train=TrainConfig(epochs=5, batch=64),
)


@functools.cache
def digits():
    """The training digits on 8 x 8 pixels, in random order."""
    train = load_digits().train
    order = np.random.default_rng(0).permutation(len(train))
    return np.ascontiguousarray(train.images[order, 5::3, 5::3][:, :8, :8]), train.labels[order]


def hidden(count=1, features=64, kind=ReLU, **dense):
    """That many hidden layers of a kind."""
    return {
        f"fc{place}": sequential(dense=Dense(features, **dense), act=kind())
        for place in range(1, count + 1)
    }


def network(between=None, classes=10, **layers):
    """Dense layers between the pixels and the scores; `between` stands before the scores."""
    body = Layers(**(layers or hidden()))
    head = Layers(**({"between": between} if between is not None else {}))
    return Network(
        tail=Layers(vectorize=Flatten()), body=body, head=head + Layers(scores=Dense(classes))
    )


def trial(net=None, *, images=512, recipe=RECIPE, losses=cross_entropy, wider=None, labels=None):
    """Whoever has this network, on so many of the digits."""
    pictures, classes = digits()
    prepared = preprocessing_of((8, 8, 1), (0.3,), (0.35,))
    built = net if net is not None else network()
    names = tuple("0123456789")
    return Trial(
        model=Model.untrained(
            built, (8, 8, 1), name="made up", preprocessing=prepared, classes=names
        ),
        recipe=recipe,
        images=pictures[:images],
        labels=(classes if labels is None else labels)[:images],
        steps_per_epoch=22,
        wider=wider,
        losses=losses,
    )


@jax.custom_vjp
def _bent(x):
    return x


_bent.defvjp(lambda x: (x, None), lambda _, g: (g.at[..., ::2].multiply(-1.0),))


class WrongGradient(nn.Module):
    """The identity, half of whose gradient has the wrong sign."""

    @nn.compact
    def __call__(self, x):
        return _bent(x)


class Slow(nn.Module):
    """The identity, after thousands of small operations that are no products."""

    @nn.compact
    def __call__(self, x):
        def turn(y, _):
            return jnp.sin(y) + jnp.roll(y, 1, axis=-1), None

        turned = jax.lax.scan(turn, jax.lax.stop_gradient(x), length=1000)[0]
        return x + 0.0 * jnp.tanh(turned)


class Constant(nn.Module):
    """The same number for every image."""

    @nn.compact
    def __call__(self, x):
        return x * 0.0 + 1.0


def repeated_columns(key, shape, dtype=jnp.float32, out_sharding=None):
    """Every unit of the layer starts with the weights of the first."""
    return jnp.repeat(HE_NORMAL(key, (shape[0], 1), dtype), shape[1], axis=1)


def no_bias_is_above(key, shape, dtype=jnp.float32, out_sharding=None):
    """Biases so low that no image brings a ReLU above 0."""
    return jnp.full(shape, -1000.0, dtype)


def thirtyfold(key, shape, dtype=jnp.float32, out_sharding=None):
    """He's start, thirty times too large."""
    return 30.0 * HE_NORMAL(key, shape, dtype)
