"""ImageNet 2012: 1,281,167 training images of 1000 classes, cropped to 227 pixels, streamed.

Russakovsky et al. (2015): ImageNet large scale visual recognition challenge. tensorflow-datasets
prepares it from files you fetch yourself (`imagenet2012`); then give its folder with --data.dir.
The schedule is that of Krizhevsky et al. (2012), section 5: batch 128, rate 0.01 divided by ten
three times in 90 epochs, momentum 0.9, weight decay 0.0005. It has not been run here.
"""

from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(source="tfds:imagenet2012", image_size=227, stream=True),
    augment=Augmentation(flip=True),
    optimizer=OptimizerConfig(
        rate=0.01, weight_decay=5e-4, schedule="step", drops=(0.4, 0.65, 0.9)
    ),
    train=TrainConfig(epochs=90, batch=128, precision="bfloat16", checkpoint_seconds=600.0),
    seeds=1,
)
