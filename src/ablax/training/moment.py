"""When the state of a run is shown to whoever measures it."""

from typing import Literal

Moment = Literal["start", "training", "end"]
"""Before the first step; at every evaluation but the last; after the last step."""
