"""Multi-scale dense networks by hand: figure 2 and appendix A of Huang et al. 2018.

The numbers of the first layer, of the bottlenecks and of the transitions are those of the authors'
code (gaohuang/MSDNet, models/JointTrainContainer.lua, and kalviny/MSDNet-PyTorch).
"""

from typing import NamedTuple

from .counting import Count, conv, dense, total


class Conv(NamedTuple):
    """A normalized convolution with ReLU."""

    inputs: int
    features: int
    window: int
    size: int


class Grid(NamedTuple):
    """A tail, convolutions by (layer, scale), the features each classifier sees, and its rest."""

    tail: list
    cells: dict
    seen: dict
    factors: tuple
    sizes: tuple
    hidden: int | None
    classes: int


def bottleneck(inputs, factor, features, size_in, size):
    """A 1x1 at the size of the input, and the 3x3 at that of the result."""
    inner = min(inputs, factor * features)
    return [Conv(inputs, inner, 1, size_in), Conv(inner, features, 3, size)]


def grid(classifiers, tail, start, growth, factors, sizes, hidden, classes):
    """Every convolution, scales from 1; the first layer is layer 0."""
    scales, depth = len(factors), classifiers[-1]
    block = -(-depth // scales)
    factor, size = dict(enumerate(factors, 1)), dict(enumerate(sizes, 1))
    cells = {
        (0, s): [Conv(start * factor[s - 1], start * factor[s], 3, size[s])]
        for s in range(2, scales + 1)
    }
    width, seen = start, {}
    for layer in range(1, depth + 1):
        dropped = (layer - 1) // block
        fresh = layer > 1 and (layer - 1) % block == 0
        for s in range(dropped + 1, scales + 1):
            new = growth * factor[s]
            if s == dropped + 1 and not fresh:  # no finer scale to look at
                cells[layer, s] = bottleneck(width * factor[s], factor[s], new, size[s], size[s])
                continue
            cells[layer, s] = bottleneck(
                width * factor[s - 1], factor[s - 1], new // 2, size[s - 1], size[s]
            ) + bottleneck(width * factor[s], factor[s], new // 2, size[s], size[s])
        width += growth
        if fresh:
            for s in range(dropped + 1, scales + 1):
                cells[layer, s].append(Conv(width * factor[s], width // 2 * factor[s], 1, size[s]))
            width //= 2
        if layer in classifiers:
            seen[layer] = width * factor[scales]
    return Grid(tail, cells, seen, factors, sizes, hidden, classes)


def classifier(net, layer):
    """Its two convolutions."""
    hidden, size = net.hidden or net.seen[layer], net.sizes[-1]
    half = -(-size // 2)
    return [Conv(net.seen[layer], hidden, 3, half), Conv(hidden, hidden, 3, -(-half // 2))]


def counted(convs):
    return total(conv(*each) for each in convs)


def whole_classifier(net, layer):
    convs = classifier(net, layer)
    return counted(convs) + dense(convs[-1].features, net.classes)


def up_to(net, number):
    """The network that ends in a classifier, without the cells it cannot see.

    The parameters are those of the classifiers before it too.
    """
    layers = list(net.seen)[:number]
    last, scales = layers[-1], len(net.factors)
    # One layer back, one scale finer can be seen; the first layer's scales need one another.
    cells = [
        each
        for (layer, s), convs in net.cells.items()
        if layer <= last and (layer == 0 or s >= scales - (last - layer))
        for each in convs
    ]
    ends = [whole_classifier(net, layer) for layer in layers]
    silent = Count(sum(end.parameters for end in ends[:-1]), 0)
    return counted([*net.tail, *cells]) + silent + ends[-1]


def printed_by_the_port(net, pool):
    """Millions of operations and parameters up to each classifier, as the port's counter prints.

    It adds a ReLU's and a bias's numbers, and a pool's windows, to the multiply-accumulates; counts
    all classifiers on the way, and cells that none of them sees; and its 7x7 has a bias.

    Args:
        net: The network.
        pool: Results of the max pool, times the numbers in its window.
    """
    operations, parameters, rows = pool, net.tail[0].features, []
    before = -1
    for layer in net.seen:
        convs = [
            each for (at, _), cell in net.cells.items() if before < at <= layer for each in cell
        ]
        ends = classifier(net, layer)
        convs += [*ends, *(net.tail if before < 0 else ())]
        operations += sum(each.features * each.size**2 for each in convs)
        operations += 4 * ends[-1].features + net.classes
        count = counted(convs) + dense(ends[-1].features, net.classes)
        operations, parameters = operations + count.macs, parameters + count.parameters
        rows.append((round(operations / 1e6, 2), round(parameters / 1e6, 2)))
        before = layer
    return rows


def cifar(classifiers, start=16, growth=6, hidden=128, classes=10):
    """Three scales of 6, 12 and 24 features a layer, 32 pixels."""
    tail = [Conv(3, start, 3, 32)]
    return grid(classifiers, tail, start, growth, (1, 2, 4), (32, 16, 8), hidden, classes)


def imagenet(classifiers):
    """Four scales of 16, 32, 64 and 64 features a layer, 224 pixels, a pool behind the 7x7."""
    tail = [Conv(3, 32, 7, 112)]
    return grid(classifiers, tail, 32, 16, (1, 2, 4, 4), (56, 28, 14, 7), None, 1000)


NETWORKS = {
    "msdnet_cifar10": lambda: cifar((4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24)),
    "msdnet_cifar10_budgeted": lambda: cifar((1, 3, 6, 10, 15, 21, 28)),
    "msdnet_imagenet_k4": lambda: imagenet((7, 11, 15, 19, 23)),
    "msdnet_imagenet_k6": lambda: imagenet((9, 15, 21, 27, 33)),
    "msdnet_imagenet_k7": lambda: imagenet((10, 17, 24, 31, 38)),
}


def derived(name):
    net = NETWORKS[name]()
    return up_to(net, len(net.seen))


DERIVED = {name: lambda name=name: derived(name) for name in NETWORKS}
