"""From a recipe's data to a feed, with progress while a set is decoded for the first time."""

from __future__ import annotations

from collections.abc import Callable

from jax.sharding import Mesh
from rich.console import Console

from ablax.config import Recipe
from ablax.data.images import select
from ablax.data.sources import load
from ablax.data.stream import open_stream
from ablax.training.feed import Feed, Resident, Streamed


def open_feed(recipe: Recipe, mesh: Mesh, console: Console) -> Feed:
    """The recipe's data, on the devices or streamed; decoded and cached the first time.

    Args:
        recipe: Names the data and the batch.
        mesh: The devices.
        console: Where decoding shows how far it is.

    Raises:
        DataError: The data are missing, unprepared or damaged, or fewer than are asked for.
        ConfigError: The batch does not fit the data or the devices.
    """
    data, batch = recipe.data, recipe.train.batch
    if data.stream and data.image_size is not None:
        stream = open_stream(data.source, folder=data.dir, image_size=data.image_size)
        return Streamed(stream, batch, data.workers, mesh)
    shown = _decoding(console, data.source)
    images = load(data.source, folder=data.dir, image_size=data.image_size, progress=shown)
    chosen = select(images, held_out=data.held_out, share=data.share, classes=data.classes)
    return Resident(chosen, batch, mesh)


def _decoding(console: Console, source: str) -> Callable[[int, int], None]:
    """Say at every tenth how far decoding is; nothing where the cache is used."""
    tenth = -1

    def show(done: int, total: int) -> None:
        nonlocal tenth
        if done * 10 // total > tenth:
            tenth = done * 10 // total
            console.print(f"decoding {source}: {done:,} of {total:,} images", highlight=False)

    return show
