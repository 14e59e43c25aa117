"""Writing a picture of costs to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablax.errors import AblaxError
from ablax.report.drawing import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = (".png", ".svg", ".pdf")


def check_file(path: Path) -> None:
    """Refuse, before anything is computed, a file that cannot be written.

    Raises:
        AblaxError: Another ending than those of `FORMS`, or a folder that does not exist.
    """
    if path.suffix not in FORMS:
        raise AblaxError(f"cannot draw {path}: the name must end in {', '.join(FORMS)}")
    if not path.parent.is_dir():
        raise AblaxError(f"cannot draw {path}: there is no folder {path.parent}; make it first")


def save(figure: Figure, path: Path) -> None:
    """Write the figure; the same bytes for the same figure."""
    with settings():
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
        figure.savefig(path, dpi=150, metadata=metadata)
