"""The one error of weights that come from elsewhere."""

from __future__ import annotations

from ablax.errors import AblaxError


class WeightsError(AblaxError):
    """Weights that cannot be read, or do not belong to the network, listed by name."""
