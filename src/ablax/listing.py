"""What `ablax list` shows."""

from __future__ import annotations

from typing import Any

from ablax.core import count_parameters
from ablax.runner import network_macs
from ablax.zoo import CATALOG


def networks() -> list[dict[str, Any]]:
    """Every network of the zoo: name, image size, parameters, multiply-accumulates an image."""
    found = []
    for entry in CATALOG:
        network = entry.build()
        found.append(
            {
                "name": entry.name,
                "image_size": entry.image_size,
                "channels": entry.channels,
                "parameters": count_parameters(network, entry.image_shape),
                "macs": network_macs(network, entry.image_shape),
            }
        )
    return found


def text(found: dict[str, Any]) -> str:
    """The same, to be read."""
    lines = ["experiments (ablax run NAME)", *(f"  {name}" for name in found["experiments"])]
    lines += ["", "recipes (--config NAME)", *(f"  {name}" for name in found["recipes"])]
    lines += ["", f"{'networks':<22}{'image':>9}{'parameters':>14}{'MACs':>16}"]
    for each in found["networks"]:
        size = f"{each['image_size']}x{each['image_size']}x{each['channels']}"
        counts = f"{each['parameters']:>14,}{each['macs']:>16,}"
        lines.append(f"  {each['name']:<20}{size:>9}{counts}")
    return "\n".join(lines)
