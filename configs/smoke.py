"""Smoke: does everything work? Two epochs of digits from one seed; no conclusion is drawn.

Cost: see the README.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(source="digits"),
    augment=Augmentation(rotate=15.0, scale=0.15, translate=3.0),
    optimizer=OptimizerConfig(rate=0.02, schedule="constant"),
    train=TrainConfig(epochs=2, batch=64),
    width=0.125,
    seeds=1,
    conclusions=False,
)
