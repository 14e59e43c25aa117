"""LeNet-5 by hand: section II.B and table I of the paper."""

from .counting import Count, conv, dense, total


def plain():
    """C3 sees all six maps, and the last layer is dense."""
    return total(
        (
            conv(1, 6, 5, 28, bias=True, norm=False),
            conv(6, 16, 5, 10, bias=True, norm=False),
            conv(16, 120, 5, 1, bias=True, norm=False),
            dense(120, 84),
            dense(84, 10),
        )
    )


def codes():
    """Table I has 60 crosses; S2 and S4 have a gain and a bias a map; the codes are fixed."""
    c3 = Count(60 * 25 + 16, 60 * 25 * 10 * 10)
    s2, s4 = Count(2 * 6, 0), Count(2 * 16, 0)
    return total(
        (
            conv(1, 6, 5, 28, bias=True, norm=False),
            s2,
            c3,
            s4,
            conv(16, 120, 5, 1, bias=True, norm=False),
            dense(120, 84),
        )
    )


DERIVED = {"lenet5": plain, "lenet5_codes": codes}
