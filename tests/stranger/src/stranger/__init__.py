"""A package that uses ablax: a layer, a network, an ablation and an experiment of its own."""

from stranger.layers import BlurPool
from stranger.networks import tiny_net, without_blur

__all__ = ["BlurPool", "tiny_net", "without_blur"]
