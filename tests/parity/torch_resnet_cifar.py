"""Residual networks for CIFAR-10 in PyTorch, in the layout in which others publish theirs.

Tensors are called `conv1`, `bn1`, `layer1.0.conv1`, ..., `linear`; where maps halve, the shortcut
keeps every second pixel and puts half of the new channels, zeros, in front and half behind.
"""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3x3 convolutions and an identity."""

    def __init__(self, channels, features, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, features, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.stride, self.zeros = stride, (features - channels) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return functional.relu(y + functional.pad(short, (0, 0, 0, 0, self.zeros, self.zeros)))


class ResNet(nn.Module):
    """6n + 2 layers."""

    def __init__(self, blocks, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for stage, features in enumerate((16, 32, 64), start=1):
            steps = [1 if stage == 1 else 2] + [1] * (blocks - 1)
            layer = []
            for stride in steps:
                layer.append(Block(channels, features, stride))
                channels = features
            setattr(self, f"layer{stage}", nn.Sequential(*layer))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(torch.mean(x, (2, 3)))


def resnet20(weights=None):
    """Three blocks a stage."""
    assert weights is None
    return ResNet(3)
