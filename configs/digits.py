"""Digits: 1,797 scanned digits, embedded in scikit-learn, randomly distorted at every step.

Cost: see `experiments/results/`. Data: 1,437 training digits on 32 x 32 pixels, each rotated,
scaled and shifted at random at every step; 1,440 test images, 4 fixed distortions of 360 others.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.data.digits import ROTATE, SCALE, TRANSLATE

RECIPE = Recipe(
    data=DataConfig(source="digits"),
    augment=Augmentation(rotate=ROTATE, scale=SCALE, translate=TRANSLATE),
    optimizer=OptimizerConfig(
        name="adamw", rate=0.002, weight_decay=0.05, schedule="cosine", warmup=1.0
    ),
    train=TrainConfig(epochs=30, batch=64, evaluate_every=3, cores=1),
    width=1 / 16,
    seeds=5,
)
