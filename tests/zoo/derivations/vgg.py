"""VGG by hand, from table 1 of the paper, written as its columns are."""

from .counting import conv, dense, total

COLUMNS = {
    "vgg_a": "3-64 | 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    "vgg_b": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    "vgg_c": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 1-256 | 3-512 3-512 1-512 | 3-512 3-512 1-512",
    "vgg_d": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 3-256 | 3-512 3-512 3-512 | 3-512 3-512 3-512",
    "vgg_e": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 3-256 3-256 | 3-512 3-512 3-512 3-512"
    " | 3-512 3-512 3-512 3-512",
}
COLUMNS["vgg_a_lrn"] = COLUMNS["vgg_a"]


def convolutions(column, size, **options):
    """The stages of a column, halved behind each."""
    inputs = 3
    counts = []
    for stage in column.split("|"):
        for entry in stage.split():
            window, features = map(int, entry.split("-"))
            counts.append(conv(inputs, features, window, size, **options))
            inputs = features
        size //= 2
    return total(counts)


def imagenet(column):
    """224 pixels, 7x7 in the end, biases and no normalization."""
    head = (dense(49 * 512, 4096), dense(4096, 4096), dense(4096, 1000))
    return convolutions(column, 224, bias=True, norm=False) + total(head)


def small():
    """32 pixels, 1x1 in the end, normalization and no biases."""
    return convolutions(COLUMNS["vgg_d"], 32) + dense(512, 10)


DERIVED = {
    **{name: lambda column=column: imagenet(column) for name, column in COLUMNS.items()},
    "vgg_small": small,
}
