"""Run `tiny.py` in a folder: `python run_tiny.py FOLDER`; status 3 is a refusal in words."""

import sys
from pathlib import Path

import ablax
from ablax.config import DataConfig, Recipe, TrainConfig
from ablax.errors import AblaxError

TINY = Path(__file__).with_name("tiny.py")
RECIPE = Recipe(
    data=DataConfig(share=0.2),
    train=TrainConfig(epochs=2, batch=64, checkpoint_seconds=0, chunk=2),
    seeds=2,
)
"""A checkpoint every two steps, of four an epoch."""


def run(folder: Path) -> None:
    """Begin, or go on."""
    ablax.run(str(TINY), RECIPE, folder=folder, recipe_name="tiny", progress=False)


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]))
    except AblaxError as error:
        print(f"refused: {error}", file=sys.stderr)
        sys.exit(3)
