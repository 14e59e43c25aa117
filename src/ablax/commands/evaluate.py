"""`ablax evaluate NETWORK --weights ... --data SET`: top-1 and top-5 error on its test images."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    from ablax.preprocessing_options import add_weights_arguments

    add_weights_arguments(parser)
    parser.add_argument("--data", required=True, help="digits, or tfds:NAME such as tfds:cifar10")
    parser.add_argument(
        "--data-dir", "--data.dir", dest="data_dir", type=Path, help="where the prepared sets are"
    )
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--limit", type=int, help="of the test images the first so many alone")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> None:
    """Print the errors, their intervals, and where they were measured."""
    from ablax.environment import device
    from ablax.errors import AblaxError
    from ablax.evaluation_data import open_test_images
    from ablax.inference import batches_of, evaluate, scorer
    from ablax.preprocessing_options import with_options
    from ablax.training.compilation import set_up
    from ablax.weights_folder import open_weights

    for name, value in (("--batch", options.batch), ("--limit", options.limit)):
        if value is not None and value < 1:
            raise AblaxError(f"{name} is {value}: expected at least 1")
    test = open_test_images(options.data, options.data_dir)
    set_up()
    weights = open_weights(options.network, Path(options.weights), options.library)
    weights = with_options(weights, options)
    test.check(weights)
    count = min(len(test), options.limit or len(test))
    start = time.monotonic()
    with _Progress(count) as progress:
        pictures = test.prepared(weights.preprocessing, count)
        found = evaluate(scorer(weights), batches_of(pictures, options.batch), progress)
    seconds = time.monotonic() - start
    if options.format == "json":
        print(json.dumps({"data": test.name, "seconds": seconds, **found._asdict()}, indent=2))
        return
    print(f"{weights.origin.title} as {options.network} on {test.name}, {count:,} test images")
    for name, error, (low, high) in (
        ("top-1", found.top1, found.top1_interval),
        ("top-5", found.top5, found.top5_interval),
    ):
        print(f"  {name} error {error:6.2f} %   95 % interval {low:.2f} to {high:.2f} (Wilson's)")
    print(f"  {seconds:.1f} s, {count / seconds:,.0f} images a second, {device()}")


class _Progress:
    """A bar on the terminal, nothing elsewhere."""

    def __init__(self, count: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), "images", TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=count)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int) -> None:
        self._bar.update(self._task, completed=done)
