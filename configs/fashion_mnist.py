"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28 x 28 pixels, gray.

Xiao, Rasul, Vollgraf (2017): Fashion-MNIST, a novel image dataset for benchmarking machine learning
algorithms. Get it with `make data DATA=fashion_mnist`. Cost: see `docs/running.md`.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(source="tfds:fashion_mnist"),
    augment=Augmentation(crop_padding=2, flip=True),
    optimizer=OptimizerConfig(rate=0.03, weight_decay=5e-4, schedule="cosine", warmup=1.0),
    train=TrainConfig(epochs=30, batch=128, evaluate_every=3, cores=1),
    width=0.25,
    seeds=3,
)
