"""Run `question.py` in a folder: `python run_tiny.py FOLDER`; status 3 is a refusal in words."""

import sys
import traceback
from pathlib import Path

import ablax
from ablax.config import DataConfig, Recipe, TrainConfig
from ablax.errors import AblaxError
from ablax.study import runner

TINY = Path(__file__).with_name("question.py")
RECIPE = Recipe(
    data=DataConfig(share=0.2),
    train=TrainConfig(epochs=2, batch=64, checkpoint_seconds=0.0, chunk=2),
    seeds=2,
)
"""A checkpoint every two steps, of four an epoch."""


def run(folder: Path) -> int:
    """Begin, or go on; the exit status. Pictures are left out: they cost more than the run."""
    runner.write_report = lambda _, place: place
    try:
        ablax.run(str(TINY), RECIPE, folder=folder, recipe_name="tiny", progress=False)
    except AblaxError as error:
        print(f"refused: {error}", flush=True)
        return 3
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
