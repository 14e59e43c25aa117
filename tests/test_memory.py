"""What surely does not fit into the memory is refused before it is tried."""

from pathlib import Path

import pytest

import ablax
from ablax.config import Recipe, with_fields
from ablax.data.sources import load
from ablax.errors import AblaxError, memory, refuse_beyond_memory
from ablax.inspection.timing import profile


def test_the_memory_is_that_of_the_machine_or_less():
    lines = Path("/proc/meminfo").read_text().splitlines()
    assert 2**28 < memory() <= 1024 * int(lines[0].split()[1])


def test_what_fits_is_not_refused():
    refuse_beyond_memory(memory(), "all of it", "nothing")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (
            lambda: load("digits", image_size=10_000),
            r"14,385 images .* GB: lower --data.image-size",
        ),
        (
            lambda: profile(ablax.load_model("alexnet", seed=None), 60_000),
            r"240,000 images in float32 need .* lower --batch or --image-size",
        ),
        (
            lambda: ablax.run(
                "alexnet_ablation",
                with_fields(Recipe(), {"width": 64.0, "data.image_size": 64}),
                only="without_7",
                folder="never",
            ),
            r"weights with their gradients, .* at least, .*: lower --width",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_estimate_and_the_field(
    work, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ablax.errors.memory", lambda: 2**34)
    with pytest.raises(AblaxError, match=words):
        work()
    assert not (tmp_path / "never").exists()
