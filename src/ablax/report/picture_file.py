"""A file that a command was asked to draw into: refused before the work, written after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablax.errors import AblaxError
from ablax.report.drawing import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = (".png", ".svg", ".pdf")


def check_file(path: Path, forms: Sequence[str] = FORMS) -> None:
    """Refuse, before anything is computed, a file that cannot be written.

    Args:
        path: Where to draw.
        forms: The endings that the name may have.

    Raises:
        AblaxError: Another ending, the name of a folder, or a folder around it that does not exist
            or may not be written to.
    """
    if path.suffix not in forms:
        raise AblaxError(f"cannot draw {path}: the name must end in {', '.join(forms)}")
    if not path.parent.is_dir():
        raise AblaxError(f"cannot draw {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise AblaxError(f"cannot draw {path}: it is a folder; give the name of a file")
    if not os.access(path.parent, os.W_OK):
        raise AblaxError(f"cannot draw {path}: the folder {path.parent} may not be written to")


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write the figure, and its folder where there is none; the same bytes for the same figure.

    Raises:
        AblaxError: The folder or the file cannot be written, or the disk is full.
    """
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with settings():
            figure.savefig(path, dpi=dpi, metadata=metadata)
    except OSError as error:
        raise AblaxError(
            f"cannot draw {path} ({error.strerror or error}): free some space, or choose a folder "
            "that can be written"
        ) from error
