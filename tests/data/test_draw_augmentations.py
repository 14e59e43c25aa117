"""The pictures in the documentation are the ones the command draws."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import jax
import numpy as np
import pytest
from draw_augmentations import main
from PIL import Image

from ablax.data.augment import Augmentation

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.slow
def test_the_command_draws_the_pictures_of_the_documentation(tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 0
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert capsys.readouterr().out.count(".png") == len(drawn) == 6
    text = (DOCS / "augmentation.md").read_text()
    for name in drawn:
        assert f"(augmentation/{name})" in text
        kept, new = DOCS / "augmentation" / name, tmp_path / name
        assert kept.stat().st_size < 100_000
        # Fonts and the last bit of a draw may differ; another law or another layout shows.
        old, fresh = (np.asarray(Image.open(path).convert("L"), float) for path in (kept, new))
        assert old.shape == fresh.shape
        if jax.default_backend() == "cpu":
            assert np.abs(old - fresh).mean() < 2


def test_the_documentation_names_every_field():
    text = (DOCS / "augmentation.md").read_text()
    assert [field.name for field in fields(Augmentation) if f"`{field.name}" not in text] == []
