"""Smoke: does everything work? Two epochs of digits from one seed; no conclusion is drawn.

Cost: see the README.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.data.digits import ROTATE, SCALE, TRANSLATE

RECIPE = Recipe(
    data=DataConfig(source="digits"),
    augment=Augmentation(rotate=ROTATE, scale=SCALE, translate=TRANSLATE),
    optimizer=OptimizerConfig(rate=0.02, schedule="constant"),
    train=TrainConfig(epochs=2, batch=64),
    width=0.125,
    seeds=1,
    conclusions=False,
)
