"""The lectures' named ablations: pure functions from Network to Network."""

from __future__ import annotations

from ablax.core import Edit, remove

without_7: Edit = remove("fc7")
"""AlexNet without its upper fully connected layer (L0: ~16 million parameters)."""

without_6_7: Edit = remove("fc6", "fc7")
"""AlexNet without fully connected hidden layers (L0: ~50 million parameters)."""

without_3_4: Edit = remove("conv3", "conv4")
"""AlexNet without its upper feature extractors (L0: ~1 million parameters)."""

without_3_4_6_7: Edit = remove("conv3", "conv4", "fc6", "fc7")
"""AlexNet without either: what is left is half as deep (L0: "depth of the network is the key")."""
