"""Eight forced CPU devices, and two processes, train as one device does, within rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ablax.config import ConfigError
from ablax.training.dataset import check_batch

HERE = Path(__file__).parent


def start(devices: int, folder: Path, *group: str) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(HERE / "data_parallel_run.py"), str(folder), *group]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def train(*children: subprocess.Popen) -> None:
    for child in children:
        said = child.communicate()[1]
        assert child.returncode == 0, said


def train_on(devices: int, folder: Path) -> dict:
    train(start(devices, folder))
    return json.loads((folder / "found0.json").read_text())


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one_within_rounding(tmp_path):
    folders = [tmp_path / "one", tmp_path / "eight"]
    for folder in folders:
        folder.mkdir()
    one, eight = (train_on(n, folder) for n, folder in zip((1, 8), folders, strict=True))
    assert (one["devices"], eight["devices"]) == (1, 8)
    assert (one["shards"], eight["shards"]) == (1, 8)
    assert eight["shard_shape"] == [2, 8, 8, 1]
    for name in ("losses", "state", "test_losses"):
        assert np.allclose(one[name], eight[name], rtol=2e-4, atol=2e-5), name
    assert one["predictions"] == eight["predictions"]


@pytest.mark.slow
def test_two_processes_train_and_judge_as_one_does(tmp_path):
    (tmp_path / "one").mkdir()
    one = train_on(1, tmp_path / "one")
    address = free_address()
    train(*(start(1, tmp_path, address, str(number)) for number in range(2)))
    two = [json.loads((tmp_path / f"found{number}.json").read_text()) for number in range(2)]
    assert two[0] == two[1]
    assert (two[0]["devices"], two[0]["shards"], two[0]["shard_shape"]) == (2, 1, [8, 8, 8, 1])
    for name in ("losses", "state", "test_losses"):
        assert np.allclose(one[name], two[0][name], rtol=2e-4, atol=2e-5), name
    assert one["predictions"] == two[0]["predictions"]


def test_a_batch_that_the_devices_cannot_share_is_refused():
    with pytest.raises(ConfigError, match=r"12.*8 devices.*--train.batch 8"):
        check_batch(12, images=48, devices=8)
