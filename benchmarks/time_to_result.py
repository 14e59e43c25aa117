"""From a fresh clone to the first report, split into its parts; and the second start.

The repository's last commit is cloned into a temporary folder, installed there with `make setup`,
and runs an experiment twice with an empty compilation cache of its own: the first time everything
is compiled, the second time, with other results, the cache answers. Then the finished run is called
again, which draws nothing but the report.

`compile` and `train` are the sums that the run itself logs; `report` is the third call less the
import; `other` is what remains of a run: data, initial states, measurements, checkpoints, costs.

By hand, alone on the machine: `make bench-result ARGS="alexnet_ablation smoke digits"`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result_table import write

ROOT = Path(__file__).parent.parent
IMPORTS = 5
LOG_COLUMNS = {"compile": "compile_seconds", "train": "seconds"}


def seconds(words: list[str], where: Path, environment: dict[str, str]) -> float:
    """How long a command takes; what it prints is shown only when it fails.

    Raises:
        SystemExit: It failed.
    """
    started = time.perf_counter()
    done = subprocess.run(
        words, cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def logged(results: Path) -> dict[str, float]:
    """Seconds compiling and training, summed over all runs of a results folder."""
    totals = dict.fromkeys(LOG_COLUMNS, 0.0)
    for path in results.rglob("metrics*.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()):
            for name, column in LOG_COLUMNS.items():
                totals[name] += row.get(column, 0.0)
    return totals


def run(
    clone: Path, words: list[str], environment: dict[str, str], loading: float
) -> dict[str, float]:
    """A run from its command to its report, and its parts."""
    whole = seconds(words, clone, environment)
    results = Path(words[words.index("--results") + 1])
    parts = logged(results)
    report = seconds(words, clone, environment) - loading
    other = whole - loading - report - sum(parts.values())
    return {"import": loading, **parts, "report": report, "other": other, "whole": whole}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", default="alexnet_ablation")
    parser.add_argument("recipes", nargs="*", default=["smoke", "digits"])
    parser.add_argument("--python", default=sys.executable, help="what the clone is installed with")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, "ABLAX_CACHE": str(folder / "cache")}
        environment.pop("PYTHONPATH", None)
        install = seconds(["make", "setup", f"PYTHON={options.python}"], clone, environment)
        python = str(clone / ".venv/bin/python")

        def loading(modules: str) -> float:
            words = [python, "-c", f"import {modules}"]
            return sorted(seconds(words, clone, environment) for _ in range(IMPORTS))[IMPORTS // 2]

        bare = loading("sys")
        alone = loading("ablax")
        everything = loading("ablax.study.runner, ablax.study.discovery")
        print(
            f"install {install:.1f} s; python {bare:.2f}, ablax {alone:.2f}, run {everything:.2f} s"
        )
        for recipe in options.recipes:
            for start in ("first", "second"):
                results = folder / f"{recipe}-{start}"
                words = [str(clone / ".venv/bin/ablax"), "run", options.experiment]
                words += ["--config", recipe, "--results", str(results)]
                parts = run(clone, words, environment, everything)
                parts = {"install": install if start == "first" else 0.0, **parts}
                line = {"experiment": options.experiment, "recipe": recipe, "start": start}
                line |= {f"{part}_s": f"{value:.1f}" for part, value in parts.items()}
                lines.append(line)
                print(" ".join(line.values()), flush=True)
    write("time-to-result", lines, import_ablax_s=f"{alone:.2f}", import_nothing_s=f"{bare:.2f}")


if __name__ == "__main__":
    main()
