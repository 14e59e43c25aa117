"""Smoke: does everything work? Two epochs of digits from one seed; no conclusion is drawn.

Cost: see `docs/running.md`.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.data.digits import ROTATE, SCALE, TRANSLATE

RECIPE = Recipe(
    data=DataConfig(source="digits"),
    augment=Augmentation(rotate=ROTATE, scale=SCALE, translate=TRANSLATE),
    optimizer=OptimizerConfig(name="adamw", rate=0.002, weight_decay=0.05, schedule="constant"),
    train=TrainConfig(epochs=2, batch=64, cores=1),
    width=1 / 16,
    seeds=1,
    conclusions=False,
)
