"""AlexNet and GoogLeNet in PyTorch, after Caffe's `bvlc_alexnet` and `bvlc_googlenet`.

The layers are called as in Caffe's files, and PyTorch's pools and response normalization follow
Caffe's: windows that hang over the end count, alpha is divided by the number of channels.
"""

import torch
from torch import nn
from torch.nn import functional


def normalized(x):
    """Response normalization with Caffe's constants."""
    return functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)


def pooled(x, padding=0, stride=2):
    """The maximum of 3x3 windows, the last of which may hang over."""
    return functional.max_pool2d(x, 3, stride, padding, ceil_mode=True)


class AlexNet(nn.Module):
    """Two groups in convolutions 2, 4 and 5; normalization before pooling."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=2)
        self.fc6, self.fc7 = nn.Linear(9216, 4096), nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, 1000)

    def forward(self, x):
        x = pooled(normalized(functional.relu(self.conv1(x))))
        x = pooled(normalized(functional.relu(self.conv2(x))))
        x = functional.relu(self.conv4(functional.relu(self.conv3(x))))
        x = pooled(functional.relu(self.conv5(x))).flatten(1)
        return self.fc8(functional.relu(self.fc7(functional.relu(self.fc6(x)))))


# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, behind the pool; and what a module sees.
TABLE = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """Nine modules, no batch normalization, no auxiliary classifiers."""

    def __init__(self):
        super().__init__()
        self.add_module("conv1/7x7_s2", nn.Conv2d(3, 64, 7, 2, 3))
        self.add_module("conv2/3x3_reduce", nn.Conv2d(64, 64, 1))
        self.add_module("conv2/3x3", nn.Conv2d(64, 192, 3, 1, 1))
        for name, (seen, one, reduce3, three, reduce5, five, last) in TABLE.items():
            for branch, layer in {
                "1x1": nn.Conv2d(seen, one, 1),
                "3x3_reduce": nn.Conv2d(seen, reduce3, 1),
                "3x3": nn.Conv2d(reduce3, three, 3, 1, 1),
                "5x5_reduce": nn.Conv2d(seen, reduce5, 1),
                "5x5": nn.Conv2d(reduce5, five, 5, 1, 2),
                "pool_proj": nn.Conv2d(seen, last, 1),
            }.items():
                self.add_module(f"inception_{name}/{branch}", layer)
        self.add_module("loss3/classifier", nn.Linear(1024, 1000))

    def active(self, name, x):
        return functional.relu(getattr(self, name)(x))

    def inception(self, name, x):
        def branch(kind, x):
            return self.active(f"inception_{name}/{kind}", x)

        return torch.cat(
            [
                branch("1x1", x),
                branch("3x3", branch("3x3_reduce", x)),
                branch("5x5", branch("5x5_reduce", x)),
                branch("pool_proj", pooled(x, 1, 1)),
            ],
            1,
        )

    def forward(self, x):
        x = normalized(pooled(self.active("conv1/7x7_s2", x)))
        x = self.active("conv2/3x3", self.active("conv2/3x3_reduce", x))
        x = pooled(normalized(x))
        for name in TABLE:
            x = self.inception(name, x)
            x = pooled(x) if name in ("3b", "4e") else x
        return getattr(self, "loss3/classifier")(x.mean((2, 3)))


def alexnet(weights=None):
    """The network, its weights still to be given."""
    assert weights is None
    return AlexNet()


def googlenet(weights=None):
    """The network, its weights still to be given."""
    assert weights is None
    return GoogLeNet()
