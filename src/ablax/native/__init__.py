"""Loops in C++ for what XLA's CPU compiler does slowly; compiled on the machine that runs them."""

from __future__ import annotations

from ablax.native.library import SWITCH, TARGETS, why_not
from ablax.native.primitives import NativeError, operation

__all__ = ["SWITCH", "TARGETS", "NativeError", "operation", "why_not"]
