"""CIFAR-10: 50,000 training and 10,000 test images in color, 32 x 32 pixels; sized for a GPU.

Krizhevsky (2009): Learning multiple layers of features from tiny images. Get it with
`make data DATA=cifar10`. On a CPU use fewer epochs and a narrower network, for instance
`ARGS="--train.epochs 15 --width 0.25 --train.precision float32"`. Cost: see `docs/running.md`.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(source="tfds:cifar10"),
    augment=Augmentation(crop_padding=4, flip=True),
    optimizer=OptimizerConfig(rate=0.03, weight_decay=5e-4, schedule="cosine", warmup=2.0),
    train=TrainConfig(epochs=100, batch=128, precision="bfloat16", evaluate_every=5),
    width=1.0,
    seeds=5,
)
