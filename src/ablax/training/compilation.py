"""Where compiled programs are kept, so that a second start does not compile again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import jax

from ablax.files import default_root


def cache_folder() -> Path:
    """The folder `xla` in the user's cache."""
    try:
        return default_root().expanduser() / "xla"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "ablax" / "xla"


def set_up() -> None:
    """Keep every compiled program on disk, where the user has not chosen a place already."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
