"""`ablax evaluate NETWORK --weights ... --data SET`: top-1 and top-5 error on its test images."""

from __future__ import annotations

import json
import time
from typing import Literal

from tyro.conf import Positional

from ablax.commands.options import (
    AtLeastOne,
    DataFolder,
    DataSource,
    Images,
    Library,
    NetworkName,
    Preprocessing,
    PreprocessingFields,
    WeightsPath,
)


def evaluate(
    network: Positional[NetworkName],
    *,
    weights: WeightsPath,
    data: DataSource,
    data_dir: DataFolder = None,
    library: Library = None,
    batch: Images = 100,
    limit: AtLeastOne | None = None,
    format: Literal["text", "json"] = "text",
    preprocessing: Preprocessing = PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Test error of weights on a data set: top-1 and top-5 with their 95 % intervals.

    Args:
        network: A network of the zoo (ablax list).
        weights: A folder that `ablax import` wrote, or a file of weights.
        data: digits, or tfds:NAME such as tfds:cifar10.
        data_dir: Folder of the prepared sets; that of TFDS_DATA_DIR by default.
        library: Whose file it is, if its names fit several.
        batch: Images per batch.
        limit: Evaluate the first so many test images only.
        format: How the errors are printed.
        preprocessing: Preparation of the images, where it is not that of the weights' source.
    """
    from ablax.study.environment import device
    from ablax.training.loop import set_up
    from ablax.weights.evaluation import batches_of, evaluate, open_test_images, scorer
    from ablax.weights.load import open_weights

    test = open_test_images(data, data_dir)
    set_up()
    opened = preprocessing.applied(open_weights(network, weights, library))
    test.check(opened)
    count = min(len(test), limit or len(test))
    start = time.monotonic()
    with _Progress(count) as progress:
        pictures = test.prepared(opened.preprocessing, count)
        found = evaluate(scorer(opened), batches_of(pictures, batch), progress)
    seconds = time.monotonic() - start
    if format == "json":
        print(json.dumps({"data": test.name, "seconds": seconds, **found._asdict()}, indent=2))
        return
    print(f"{opened.source.title} as {network} on {test.name}, {count:,} test images")
    for name, error, (low, high) in (
        ("top-1", found.top1, found.top1_interval),
        ("top-5", found.top5, found.top5_interval),
    ):
        print(f"  {name} error {error:6.2f} %   95 % interval {low:.2f} to {high:.2f} (Wilson's)")
    print(f"  {seconds:.1f} s, {count / seconds:,.0f} images per second, {device()}")


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
