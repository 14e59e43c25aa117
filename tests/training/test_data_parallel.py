"""Eight forced CPU devices train as one does, within rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ablax.config import ConfigError
from ablax.training.feed import check_batch

HERE = Path(__file__).parent


def train_on(devices: int, folder: Path) -> dict:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(HERE / "data_parallel_run.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


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


def test_a_batch_that_the_devices_cannot_share_is_refused():
    with pytest.raises(ConfigError, match=r"12.*8 devices.*--train.batch 8"):
        check_batch(12, images=48, devices=8)
