"""Writes small prepared sets, as tensorflow-datasets would, without TensorFlow."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.core import example_serializer


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, kind)
    return file.getvalue()


def encode_cmyk(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


def write(
    folder: Path,
    splits: dict[str, list[dict[str, Any]]],
    features: dict[str, Any],
    *,
    name: str = "made_up",
    version: str = "1.0.0",
    config: str | None = None,
    shards: int = 1,
    file_format: str = "array_record",
    supervised: tuple[str, str] | None = None,
) -> Path:
    """One version of one set; each example holds what its features can encode."""
    place = folder / name / (config or "") / version
    place.mkdir(parents=True)
    dictionary = tfds.features.FeaturesDict(features)
    serializer = example_serializer.ExampleSerializer(dictionary.get_serialized_info())
    written = []
    for split, examples in splits.items():
        lengths = []
        for shard in range(shards):
            mine = examples[shard::shards]
            file = place / f"{name}-{split}.{file_format}-{shard:05d}-of-{shards:05d}"
            writer = ArrayRecordWriter(str(file), "group_size:1")
            for example in mine:
                writer.write(serializer.serialize_example(dictionary.encode_example(example)))
            writer.close()
            lengths.append(str(len(mine)))
        written.append(
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": "1",
                "shardLengths": lengths,
            }
        )
    dictionary.save_config(str(place))
    about = {"name": name, "version": version, "fileFormat": file_format, "splits": written}
    if config:
        about["configName"] = config
    if supervised:
        items = [{"featureKey": key} for key in supervised]
        about["supervisedKeys"] = {"tuple": {"items": items}}
    (place / "dataset_info.json").write_text(json.dumps(about))
    return place


def pictures(
    count: int, sizes: list[tuple[int, int]], channels: int = 3, seed: int = 0
) -> list[np.ndarray]:
    """Arrays of levels, of these sizes in turn; the first pixel says which it is."""
    random = np.random.RandomState(seed)
    made = []
    for i in range(count):
        pixels = random.randint(0, 256, (*sizes[i % len(sizes)], channels)).astype(np.uint8)
        pixels[0, 0] = i
        made.append(pixels)
    return made


def examples(arrays: list[np.ndarray], kind: str = "PNG") -> list[dict[str, Any]]:
    """Pictures with the labels 0, 1, 2, 0, 1, ..."""
    return [{"image": encode(pixels, kind), "label": i % 3} for i, pixels in enumerate(arrays)]


def standard_features(shape: tuple[int | None, ...] = (8, 8, 3)) -> dict[str, Any]:
    return {
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.ClassLabel(names=["red", "green", "blue"]),
    }
