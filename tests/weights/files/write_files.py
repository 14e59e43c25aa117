"""Writes the files of this folder with PyTorch: `python tests/interop/files/write_files.py`.

The tests read them without it. Numbers are small, so that they can be written out by hand.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent


def tensors():
    """One of each kind: whole, a transposed view, halves that share a storage, other types."""
    numbers = torch.arange(6.0)
    return OrderedDict(
        {
            "whole": numbers.reshape(2, 3).clone(),
            "turned": numbers.reshape(2, 3).clone().t(),
            "first": numbers[:3],
            "last": numbers[3:],
            "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
            "brain": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
            "double": torch.tensor(1.25, dtype=torch.float64),
            "count": torch.tensor(7),
            "flags": torch.tensor([True, False]),
            "empty": torch.zeros(0, 4),
            "parameter": nn.Parameter(torch.ones(2)),
        }
    )


def checkpoint():
    """What a training script saves: its position and optimizer too, and names of DataParallel."""
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, 3.0)
    nn.init.constant_(layer.bias, -1.0)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "best": np.float64(91.5),
        "state_dict": OrderedDict((f"module.{k}", v) for k, v in layer.state_dict().items()),
        "optimizer": optimizer.state_dict(),
    }


torch.save(tensors(), HERE / "archive.pth")
torch.save(tensors(), HERE / "row.pth", _use_new_zipfile_serialization=False)
torch.save(checkpoint(), HERE / "checkpoint.pth")
torch.save(nn.Linear(2, 1), HERE / "whole_model.pth")
