"""Where the real prepared sets are, and the mark that skips a test without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL = Path(
    os.environ.get("ABLAX_TEST_DATA")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "tfds"
)


def real(name):
    return pytest.mark.skipif(
        not (REAL / name).is_dir(),
        reason=f"{name} is not in {REAL}; ABLAX_TEST_DATA names another folder",
    )
