"""`ablax evaluate MODEL --data SET`: top-1 and top-5 error on its test images."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from ablax.commands import options
from ablax.errors import AblaxError

if TYPE_CHECKING:
    from ablax.config import Recipe
    from ablax.model import Batch, ErrorRates, Model
    from ablax.study.load import Opened


def evaluate(
    model: Positional[options.ModelSource],
    *,
    data: options.DataSource | None = None,
    data_dir: options.DataFolder = None,
    batch: options.Images = 100,
    limit: options.AtLeastOne | None = None,
    format: Literal["text", "json"] = "text",
    preprocessing: options.Preprocessing = options.PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Test error of a model on a data set: top-1 and top-5 with their 95 % intervals.

    Args:
        data: digits, or tfds:NAME such as tfds:cifar10; the run's own test images by default.
        batch: Images per batch; the run's own for its own data.
        limit: Evaluate the first so many test images only.
        format: How the errors are printed.
        preprocessing: Preparation of the images, where it is not the model's own.
    """
    from ablax.model import error_rates
    from ablax.study.environment import device
    from ablax.training.loop import set_up

    set_up()
    found = options.opened(model, seed=0)
    asked = preprocessing.applied(found.model)
    count: int | None
    if data is not None:
        test, count, batches = _of_set(asked, data, data_dir, batch, limit)
    elif found.recipe is not None:
        test, count, batches = _of_run(asked, found, found.recipe, data_dir, limit)
    else:
        raise AblaxError(
            f"on which data? {model} says nothing of its own: give --data digits, or tfds:NAME"
        )
    start = time.monotonic()
    with _bar(count) as progress:
        rates = error_rates(asked.apply, batches, progress)
    seconds = time.monotonic() - start
    if format == "json":
        prepared = asked.preprocessing.as_json()
        told = {"data": test, "seconds": seconds, **rates._asdict(), "preprocessing": prepared}
        print(json.dumps(told, indent=2))
        return
    print(f"{asked.title} on {test}, {rates.pictures:,} test images")
    print(f"  images: {asked.preprocessing}")
    for name, error, (low, high) in (
        ("top-1", rates.top1, rates.top1_interval),
        ("top-5", rates.top5, rates.top5_interval),
    ):
        print(f"  {name} error {error:6.2f} %   95 % interval {low:.2f} to {high:.2f} (Wilson's)")
    if found.recipe is None and not asked.weights.startswith("untrained"):
        print(end=_hint(model, asked, rates, found.published))
    print(f"  {seconds:.1f} s, {rates.pictures / seconds:,.0f} images per second, {device()}")


def _hint(source: str, model: Model, rates: ErrorRates, published: float | None) -> str:
    """What to look at where an error is near that of guessing; nothing where it is not."""
    from ablax.weights.sources import sources_of

    chance = 100 - 100 / len(model.classes)
    if rates.pictures >= 50 and rates.top1_interval[1] >= chance:
        found = f"a guess errs in {chance:.2f} %"
    elif published is not None and rates.top1_interval[0] > (published + chance) / 2:
        found = f"the published error is {published:g} %, that of a guess {chance:g} %"
    else:
        return ""
    sources = [(each.library, (each.form, each.names)) for each in sources_of(model.name)]
    named = [names for _, names in sources]
    others = [library for library, names in sources if named.count(names) > 1]
    said = "--mean, --std, --channels or --resize, if the weights were made for other images"
    if others:  # whose tensors are called alike
        asked = f"{model.name}={{}}:FILE" if "=" in source else "ablax import ... --from {}"
        said += f"; or another source, {' or '.join(map(asked.format, others))}"
    return f"  {found}: try {said}\n"


def _of_set(
    model: Model, source: str, folder: Path | None, batch: int, limit: int | None
) -> tuple[str, int, Iterator[Batch]]:
    """Name, count and batches of the test images of a set, prepared as the model wants them."""
    from ablax.data.sources import open_test_images
    from ablax.model import batches_of

    test = open_test_images(source, folder)
    test.check(model.name, len(model.classes))
    count = min(test.count, limit or test.count)
    return test.name, count, batches_of(test.prepared(model.preprocessing.array, count), batch)


def _of_run(
    model: Model, opened: Opened, recipe: Recipe, folder: Path | None, limit: int | None
) -> tuple[str, int | None, Iterator[Batch]]:
    """Name and batches of the test images that a run was evaluated on, just as it was."""
    import numpy as np
    from rich.console import Console

    from ablax.training.dataset import open_dataset
    from ablax.training.loop import data_mesh

    if folder is not None:
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, dir=folder))
    dataset = open_dataset(recipe, data_mesh(), Console(stderr=True))
    opened.refuse_other_data(dataset.fingerprint)

    def batches() -> Iterator[Batch]:
        left = limit
        for images, labels, count in dataset.test_batches(opened.seed):
            taken = count if left is None else min(left, count)
            yield model.normalized(np.asarray(images[:taken])), np.asarray(labels[:taken])
            left = None if left is None else left - taken
            if left == 0:
                return

    return recipe.data.source, limit, batches()


@contextlib.contextmanager
def _bar(count: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal that is told how many are done; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), "images", TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=count)
        yield lambda done: bar.update(task, completed=done)
