"""A power cut at any moment: the same command ends in the same results. `make torture` has more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CUTS = Path(__file__).parent / "torture" / "cuts.py"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_a_run_whose_power_was_cut_goes_on_to_the_identical_results(tmp_path):
    command = [sys.executable, str(CUTS), str(tmp_path), "0.3", "0.7", "0.97"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["equal"] * 3, (
        done.stdout + done.stderr
    )
