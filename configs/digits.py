"""Digits: 1,797 scanned digits, embedded in scikit-learn, randomly distorted at every step.

Cost: see `experiments/results/`. Data: 1,437 training digits on 32 x 32 pixels, each rotated,
scaled and shifted at random at every step; 1,440 test images, 4 fixed distortions of 360 others,
which are a fifth of the scans, another for each of five seeds. Labels are smoothed: without that, a
loss on images that can be told apart falls for ever, and no network is ever trained enough.
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
