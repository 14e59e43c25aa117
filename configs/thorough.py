"""Thorough: digits with up to 24 seeds also where `digits` stops earlier; half an hour and more.

An experiment that says nothing of it has its budget for `digits` here, with all the seeds.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.data.digits import ROTATE, SCALE, TRANSLATE

RECIPE = Recipe(
    data=DataConfig(source="digits"),
    augment=Augmentation(rotate=ROTATE, scale=SCALE, translate=TRANSLATE),
    optimizer=OptimizerConfig(
        name="adamw", rate=0.004, weight_decay=0.05, schedule="cosine", warmup=1.0
    ),
    train=TrainConfig(epochs=40, batch=64, evaluate_every=5, cores=1, label_smoothing=0.1),
    width=1 / 16,
    seeds="auto",
    most_seeds=24,
)
