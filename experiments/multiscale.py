"""Multi-scale features: one window, or several side by side in an inception module.

Question: Is a module that looks through windows of 1x1, 3x3 and 5x5 at once better than layers of
one window at equal cost, and what do its 1x1 reductions save? One small body with three modules:
1x1, 3x3 or 5x5 convolutions alone, of the width at which the network takes as many multiply-
accumulates as with the module; the module as it was first thought of (figure 2a); the module with
reductions (figure 2b), and the same with the reductions taken out, of equal output features.

Source: The lectures (Risteski 2020, lecture 4, "GoogLeNet": larger kernels for global, smaller ones
for local features, several at every level, and "dimensionality reduction to keep computational
requirements down"; Redfern 2018, "Design", "Parallel"), after Szegedy et al. (2014), Going deeper
with convolutions, section 4 and figure 2.

Prediction: 1x1 convolutions, which see neighbors only through pooling and the first layer, have the
highest error by far. At equal multiply-accumulates 3x3 alone has about the error of the module (at
equal width, in a pilot run with three seeds, it and 5x5 alone had a lower one, at two and five
times the cost); 5x5 alone, which is then narrow, a higher one. Taking the reductions out nearly
doubles the cost and changes the error by less than can be detected. The naive module hands all its
input on through the pool, so half of its output costs nothing here, where the features double from
module to module: it is not expensive, but it leaves fewer learned features and should have a higher
error than the reduced one. The lecture states no errors of single windows; it says that kernels of
several sizes see both global and local features, and that reductions keep the cost down.

Command: make experiment NAME=multiscale [CONFIG=smoke|digits|fashion_mnist|cifar10]

Cost: half a minute for smoke on 2 CPU cores; for digits not measured yet in this form.
"""

from collections.abc import Callable
from functools import cache, partial

from ablax.core import Layers, Network, Sequential, of_equal_cost, sequential
from ablax.experiment import Budget, Experiment, Inputs, Treatment, network_macs
from ablax.layers import MaxPool, Parallel
from ablax.report.study import Claim
from ablax.zoo import heads, tails
from ablax.zoo.googlenet import naive, normalized, reduced

Module = Callable[[int], Sequential | Parallel]
"""From the channels of its input to what stands between two pools and gives twice as many."""


def first_thought(channels: int) -> Parallel:
    """Figure 2(a): a pool that hands all channels on; three windows share the others, 1 : 2 : 1."""
    return naive(channels // 4, channels // 2, channels // 4, normalized)


def with_reductions(channels: int) -> Parallel:
    """Figure 2(b) in the proportions of GoogLeNet's first module, inception_3a."""
    eighth = channels // 4
    return reduced(
        one=2 * eighth,
        reduce3=3 * eighth,
        three=4 * eighth,
        reduce5=eighth // 2,
        five=eighth,
        projection=eighth,
        convolve=normalized,
    )


def without_reductions(channels: int) -> Parallel:
    """The same features in every branch; 3x3 and 5x5 are given all channels of the input."""
    eighth = channels // 4
    return Parallel(
        Layers(
            branch1x1=normalized(2 * eighth, 1),
            branch3x3=normalized(4 * eighth, 3),
            branch5x5=normalized(eighth, 5),
            branch_pool=sequential(pool=MaxPool(3, 1, padding=1), project=normalized(eighth, 1)),
        )
    )


def of_modules(module: Module) -> Callable[[Inputs], Network]:
    """A 3x3 convolution, then modules, each of twice the features and behind a 2x2 pool.

    Three modules; two for images that are smaller than 16 pixels.
    """
    return lambda inputs: of_width(lambda _, c: module(c), inputs, features(inputs))


def features(inputs: Inputs) -> int:
    """Of the first convolution: eighths of them are whole."""
    return 8 * max(1, round(4 * inputs.width))


def of_width(module: Callable[[int, int], object], inputs: Inputs, first: int) -> Network:
    """The body with so many features in its first convolution.

    A module is made of its number, from 1, and of the channels of its input where each doubles
    them.
    """
    body = Layers()
    for number in range(1, 4 if inputs.image_size >= 16 else 3):
        if number > 1:
            body += Layers({f"pool{number}": MaxPool(2, 2)})
        body += Layers({f"module{number}": module(number, first * 2 ** (number - 1))})
    return Network(tails.cifar(first), body, heads.global_average_pool(inputs.classes))


def at_equal_cost(window: int) -> Callable[[Inputs], Network]:
    """Convolutions of one window, with nearly the multiply-accumulates of the module."""

    def network(inputs: Inputs) -> Network:
        cost = partial(network_macs, image_shape=inputs.image_shape)

        def wide(parts: int) -> Network:
            """All features times parts / 32."""
            first = features(inputs) * parts / 32
            return of_width(
                lambda number, _: normalized(max(1, round(first * 2**number)), window),
                inputs,
                max(1, round(first)),
            )

        return of_equal_cost(wide, cost, cost(of_modules(with_reductions)(inputs)))

    return cache(network)


NETWORKS: dict[str, Callable[[Inputs], Network]] = {
    "only_1x1": at_equal_cost(1),
    "only_3x3": at_equal_cost(3),
    "only_5x5": at_equal_cost(5),
    "naive": of_modules(first_thought),
    "unreduced": of_modules(without_reductions),
}

SEVERAL_WINDOWS = Claim(
    "at equal cost, 3x3 convolutions alone have a higher test error than the module with "
    "reductions",
    "only_3x3",
    "inception",
)

EXPERIMENT = Experiment(
    about=__doc__,
    network=of_modules(with_reductions),
    baseline="inception",
    variants={name: Treatment(network=network) for name, network in NETWORKS.items()},
    labels={
        "inception": "module with 1x1 reductions",
        "only_1x1": "1x1 alone, equal cost",
        "only_3x3": "3x3 alone, equal cost",
        "only_5x5": "5x5 alone, equal cost",
        "naive": "naive module",
        "unreduced": "module without reductions",
    },
    budgets={
        "smoke": Budget({"data.image_size": 12, "width": 0.25}, only=("only_3x3",)),
        "digits": Budget(
            {
                "data.image_size": 16,
                "augment.translate": 1.0,
                "train.epochs": 30,
                "width": 0.25,
            }
        ),
        "fashion_mnist": Budget({"train.epochs": 20, "train.evaluate_every": 5, "width": 0.5}),
    },
    claims=(
        SEVERAL_WINDOWS,
        Claim(
            "at equal cost, 1x1 convolutions alone have a higher test error than the module",
            "only_1x1",
            "inception",
        ),
        Claim(
            "at equal cost, 5x5 convolutions alone have a higher test error than the module",
            "only_5x5",
            "inception",
        ),
    ),
    expectations=(
        Claim(
            "1x1 convolutions alone have a higher test error than 3x3 alone", "only_1x1", "only_3x3"
        ),
        Claim(
            "the naive module has a higher test error than the one with reductions",
            "naive",
            "inception",
        ),
        Claim(
            "training takes longer without reductions than with them",
            "unreduced:seconds",
            "inception:seconds",
        ),
    ),
    decides=SEVERAL_WINDOWS,
)
