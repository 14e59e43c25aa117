"""One table of a benchmark: printed, and written as CSV with machine, versions and date."""

from __future__ import annotations

import csv
import datetime
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import jax

from ablax.study.folder import available_cores, processor

RESULTS = Path(__file__).parent / "results"


def facts() -> dict[str, str]:
    """Where and when a line was measured."""
    return {
        "machine": f"{processor()}, {available_cores()} cores",
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": metadata.version("jax"),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def write(name: str, lines: Sequence[dict[str, str]], **more: str) -> None:
    """Print the lines and write them to `results/<platform>-<name>.csv`.

    Args:
        name: Of the table.
        lines: Column -> cell.
        more: Facts beside machine, versions and date.
    """
    path = RESULTS / f"{jax.default_backend()}-{name}.csv"
    about = {**facts(), **more}
    rows = [{**line, **about} for line in lines]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    shown = [column for column in columns if column not in about]
    widths = {c: max(len(c), *(len(line.get(c, "")) for line in lines)) for c in shown}
    print("  ".join(c.ljust(widths[c]) for c in shown))
    for line in lines:
        print("  ".join(line.get(c, "").ljust(widths[c]) for c in shown))
    print(" · ".join(f"{name} {value}" for name, value in about.items()))
    print(path)
