"""The convolutions of whole networks, one by one: ablax's beside oneDNN's, as PyTorch calls it.

For every network of `benchmarks/networks.py` and both precisions: the value and both gradients of
each of its convolutions that is no product of matrices, in seconds of a training step, alternated.
`ratio` is above 1 where ablax is faster. It decides whether loops of our own are worth keeping.

By hand, alone on the machine: `TORCH_PYTHON=... python benchmarks/convolutions.py [NAME ...]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from networks import ROWS, Precision, Row, compare
from other_python import Timed, in_another_python, serve, torch_version
from result_table import write

from ablax.layers.windows import Windows
from ablax.layers.xla_convolution import is_product
from ablax.model import Model

module = sys.modules["ablax.layers.convolution"]  # the layer bears its name

REPEATS = 3


class Place(NamedTuple):
    """A convolution: of images, by a kernel, with windows."""

    images: tuple[int, ...]
    kernel: tuple[int, ...]
    windows: Windows


def places(row: Row) -> Counter[Place]:
    """The convolutions of a network, and how often each is there."""
    found: Counter[Place] = Counter()
    own = module._convolve

    def noted(x: Any, kernel: Any, windows: Windows) -> Any:
        if kernel.shape[2] < x.shape[3] or not is_product(windows):
            found[Place(x.shape, kernel.shape, windows)] += 1
        return own(x, kernel, windows)

    model = Model.untrained(row.build(), (row.size, row.size, 3), None, name=row.name)
    module._convolve = noted  # type: ignore[assignment]
    try:
        images = jax.ShapeDtypeStruct((row.batch, row.size, row.size, 3), jnp.float32)
        jax.eval_shape(model.network.apply, model.variables, images)
    finally:
        module._convolve = own
    return found


def _numbers(shape: tuple[int, ...], precision: Precision) -> Any:
    return jax.random.normal(jax.random.key(0), shape).astype(precision)


def ours(row: Row, precision: Precision) -> Timed:
    """Seconds of all convolutions of a step."""
    runs = []
    for place, count in places(row).items():
        x, kernel = _numbers(place.images, precision), _numbers(place.kernel, precision)

        @jax.jit
        def three(x: Any, kernel: Any, gradient: Any, windows: Windows = place.windows) -> Any:
            y, back = jax.vjp(lambda x, kernel: module.convolve(x, kernel, windows), x, kernel)
            return y, *back(gradient)

        y = jax.eval_shape(lambda x, k, w=place.windows: module.convolve(x, k, w), x, kernel)
        runs.append((count, three, (x, kernel, _numbers(y.shape, precision))))
    return _all(runs, jax.block_until_ready)


def theirs(row: Row, precision: Precision) -> Timed:
    """The same of PyTorch, with channels last."""
    import torch

    runs = []
    for place, count in places(row).items():
        (above, below), (left, right) = place.windows.padding

        def tensor(shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
            made = torch.randn(shape, dtype=getattr(torch, precision)).permute(order)
            return made.contiguous(memory_format=torch.channels_last)

        n, h, w, c = place.images  # PyTorch pads both sides alike: the rest is padded before
        x = tensor((n, h + abs(below - above), w + abs(right - left), c), (0, 3, 1, 2))
        kernel = tensor(place.kernel, (3, 2, 0, 1))
        padding, dilation = [min(above, below), min(left, right)], list(place.windows.dilation)
        told = (list(place.windows.stride), padding, dilation, False, [0, 0], c // place.kernel[2])

        def three(x: Any, kernel: Any, told: Any = told) -> Any:
            y = torch.ops.aten.convolution(x, kernel, None, *told)
            wanted = [True, True, False]
            return torch.ops.aten.convolution_backward(y, x, kernel, None, *told, wanted)

        runs.append((count, three, (x, kernel)))
    return _all(runs, lambda _: None)


def _all(runs: list[tuple[int, Any, Any]], wait: Any) -> Timed:
    def timed() -> float:
        total = 0.0
        for count, three, arrays in runs:
            seconds = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                wait(three(*arrays))
                seconds.append(time.perf_counter() - began)
            total += count * statistics.median(seconds)
        return total

    return timed


def main() -> None:
    """All networks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    rows = [row for row in ROWS if not given.names or any(n in row.name for n in given.names)]
    if given.serve:
        serve(theirs(rows[0], given.serve))
        return
    lines = []
    for row in rows:
        for precision in row.precisions:
            other = in_another_python(__file__, row.name, "--serve", precision)
            took = compare({"ours": ours(row, precision), "theirs": other}, given.rounds)
            own, onednn = (statistics.median(took[name]) for name in ("ours", "theirs"))
            line = {"network": row.name, "precision": precision}
            line |= {"ours_ms": f"{1e3 * own:.1f}", "onednn_ms": f"{1e3 * onednn:.1f}"}
            lines.append({**line, "ratio": f"{onednn / own:.2f}"})
            print(" ".join(lines[-1].values()), flush=True)
    if not given.names:
        write("convolutions", lines, torch=torch_version())


if __name__ == "__main__":
    main()
