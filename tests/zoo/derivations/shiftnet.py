"""ShiftNet and ShiftResNet by hand: modules of two 1x1 convolutions, a shift costs nothing."""

from .counting import NOTHING, conv, dense, norm, total

# Features, modules, and the expansion of the first module and of the others, group by group.
A = ((64, 5, 4, 4), (128, 6, 4, 3), (256, 7, 3, 2), (512, 3, 2, 1))
B = tuple((features // 2, *rest) for features, *rest in A)
C = ((32, 1, 1, 1), (64, 4, 1, 1), (128, 4, 1, 1), (256, 3, 1, 1))


def module(inputs, inner, features, before, after):
    """Each 1x1 behind a batch normalization of its input."""
    first = norm(inputs) + conv(inputs, inner, 1, before, norm=False)
    return first + norm(inner) + conv(inner, features, 1, after, norm=False)


def shiftnet(groups, first, *, concatenated=True):
    """224 pixels; the first module of a group halves the size, and keeps its pooled input.

    Args:
        groups: As above.
        first: Features of the 7x7 convolution.
        concatenated: Whether that input counts among the features, or all of them are computed
            from E times as many.
    """
    counts = [conv(3, first, 7, 112, norm=False)]
    channels, size = first, 112
    for features, modules, shrinking, keeping in groups:
        inner = shrinking * (channels if concatenated else features)
        computed = features - channels if concatenated else features
        counts.append(module(channels, inner, computed, size, size // 2))
        channels, size = features, size // 2
        other = module(features, keeping * features, features, size, size)
        counts.append(other * (modules - 1))
    return total([*counts, norm(channels), dense(channels, 1000)])


def shift_resnet(blocks, expansion):
    """The authors' code: 1x1 to E times the features, 1x1 back, each normalized; projections."""
    counts = [conv(3, 16, 3, 32)]
    channels, before = 16, 32
    for features, size in ((16, 32), (32, 16), (64, 8)):
        inner = expansion * features
        projection = conv(channels, features, 1, size) if channels != features else NOTHING
        counts.append(conv(channels, inner, 1, before) + conv(inner, features, 1, size))
        counts.append(projection)
        other = conv(features, inner, 1, size) + conv(inner, features, 1, size)
        counts.append(other * (blocks - 1))
        channels, before = features, size
    return total([*counts, dense(64, 10)])


DERIVED = {
    "shiftnet_a": lambda: shiftnet(A, 32),
    "shiftnet_b": lambda: shiftnet(B, 16),
    "shiftnet_c": lambda: shiftnet(C, 16),
    "shift_resnet20": lambda: shift_resnet(3, 6),
    "shift_resnet56": lambda: shift_resnet(9, 6),
    "shift_resnet110": lambda: shift_resnet(18, 6),
}
