"""Where a result was made: versions, hardware, settings, commit and date."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import jax

from ablax.analysis.jax_versions import numerics
from ablax.native import ONEDNN, instructions, why_not

_PACKAGES = ("ablax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def environment() -> dict[str, str]:
    """Where a result was made, so that others can judge it: versions, hardware, commit, date."""
    without = why_not()
    if without:
        convolutions = f"by XLA ({without})"
    else:
        convolutions = f"by oneDNN {metadata.version(ONEDNN)} with {instructions()}"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "device": device(),
        "processor": processor(),
        "cores": str(threads()),
        # which explains a difference in the last digits and in speed
        "convolutions": convolutions,
        "numerics": numerics(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


SAID = ("date", "commit", "device")
"""What may differ between runs that agree to the last digit; the device is its processor's name
and cores."""


def values(environments: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """From each name to the different values that it has in environments, in their order."""
    found: dict[str, dict[str, None]] = {}
    for each in environments:
        for name, value in each.items():
            found.setdefault(name, {})[value] = None
    return {name: tuple(different) for name, different in found.items()}


def differing(environments: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Those of `values` that are not one, and on which the numbers of runs may depend.

    Example:
        >>> differing([{"cores": "1", "date": "2026-01-01"}, {"cores": "2", "date": "2026-02-02"}])
        {'cores': ('1', '2')}
    """
    found = values(environments)
    return {name: each for name, each in found.items() if len(each) > 1 and name not in SAID}


def device(cores: int | None = None) -> str:
    """What computes: the accelerators, or the processor with its cores, by default those used."""
    devices, cores = jax.devices(), cores or threads()
    if devices[0].platform == "cpu":
        return f"{cores} CPU core{'s' * (cores != 1)} ({processor()})"
    return f"{len(devices)} x {devices[0].device_kind}"


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """NVIDIA's GPUs that this process may use, without starting one."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([each for each in visible.split(",") if each.strip() not in ("", "-1")])
    place = Path("/proc/driver/nvidia/gpus")
    return len(list(place.iterdir())) if place.exists() else 0


def threads() -> int:
    """Threads that XLA divides a computation among on a CPU, on which last digits depend."""
    jax.devices("cpu")  # which starts them
    tasks = Path("/proc/self/task")
    if not tasks.exists():  # no Linux
        return available_cores()
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
    return names.count("tf_XLAEigen") or available_cores()


def _commit() -> str:
    """The commit of the source, `unknown` outside a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # a project's own commit is not ablax's
        changed = " with local changes" if git("status", "--porcelain", "-uno") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
