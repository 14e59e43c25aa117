"""Clothes: 6,000 training and 2,000 test images of Fashion-MNIST, embedded; 28 x 28 pixels, gray.

Xiao, Rasul, Vollgraf (2017): Fashion-MNIST, a novel image dataset for benchmarking machine learning
algorithms. A fixed part, as many of each class; harder than digits, and slower: what it takes has
not been measured yet. The whole set under the same recipe, where it is prepared
(`make data DATA=fashion_mnist`): `--data.source tfds:fashion_mnist`.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(source="clothes"),
    augment=Augmentation(crop_padding=2, flip=True),
    optimizer=OptimizerConfig(
        name="adamw", rate=0.002, weight_decay=0.05, schedule="cosine", warmup=1.0
    ),
    train=TrainConfig(epochs=30, batch=64, evaluate_every=5, cores=1, label_smoothing=0.1),
    width=1 / 8,
    seeds="auto",
    most_seeds=8,
)
