"""Loops in C++ for what XLA's CPU compiler does slowly; compiled on the machine that runs them."""

from __future__ import annotations

from ablax.native.library import SWITCH, TARGETS, why_not
from ablax.native.primitives import by_platform, operation

__all__ = ["SWITCH", "TARGETS", "by_platform", "operation", "why_not"]
