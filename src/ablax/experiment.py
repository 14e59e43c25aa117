"""`Experiment`: a question as a short declarative value."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from ablax.core import Edit, ImageShape, Network
from ablax.errors import AblaxError, nearest
from ablax.report.results import Claim, Published

_SECTIONS = ("Question", "Source", "Prediction")


@dataclass(frozen=True)
class Inputs:
    """What a network is built for.

    Attributes:
        image_size: Height and width in pixels.
        channels: 1 for gray, 3 for color.
        classes: How many scores an image gets.
        width: Factor on the features of the layers.
    """

    image_size: int
    channels: int
    classes: int
    width: float = 1.0

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C)."""
        return (self.image_size, self.image_size, self.channels)


@dataclass(frozen=True)
class Experiment:
    """One question: a baseline network and the edits whose effect on it is measured.

    Attributes:
        about: The docstring of the file. It has the paragraphs `Question:`, `Source:` and
            `Prediction:`, the last one written before the result was known.
        network: Builds the baseline for given inputs.
        variants: Name to edit; the names become folders and rows. The baseline is added as `full`.
        labels: Name to what tables and plots call it; the name itself where none is given.
        published: What others measured.
        claims: Orders of the variants' errors that the source states, to be tested.
        expectations: Orders that we predict, judged apart from those of the source.
        full_size: The inputs of the source's network, to compare parameters with it.

    Raises:
        AblaxError: A paragraph is missing, or a variant's name is no identifier or `full`.
    """

    about: str
    network: Callable[[Inputs], Network]
    variants: Mapping[str, Edit]
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    expectations: tuple[Claim, ...] = ()
    full_size: Inputs | None = None

    def __post_init__(self) -> None:
        for name in self.variants:
            if not name.isidentifier() or name == BASELINE:
                raise AblaxError(
                    f"a variant is named {name!r}: use letters, digits and '_' (a "
                    f"folder will bear the name), and not {BASELINE!r}, the baseline's name"
                )
        for section in _SECTIONS:
            self._paragraph(section)
        for claim in (*self.claims, *self.expectations):
            for name in (claim.worse, claim.better):
                if name not in (BASELINE, *self.variants):
                    known = [BASELINE, *self.variants]
                    raise AblaxError(f"a claim names {name!r}: {nearest(name, known)}")

    @property
    def title(self) -> str:
        """The first line of the docstring, up to its colon or full stop."""
        return re.split(r"[:.]", inspect.cleandoc(self.about).splitlines()[0])[0].strip()

    @property
    def question(self) -> str:
        """What is asked."""
        return self._paragraph("Question")

    @property
    def source(self) -> str:
        """Who asked it first."""
        return self._paragraph("Source")

    @property
    def prediction(self) -> str:
        """What is expected."""
        return self._paragraph("Prediction")

    def networks(self, inputs: Inputs) -> dict[str, Network]:
        """The baseline and every variant of it, built for the inputs.

        Raises:
            AblaxError: No network can be built for them, or an edit matches nothing.
        """
        baseline = _network(BASELINE, lambda: self.network(inputs))
        built = {BASELINE: baseline}
        for name, edit in self.variants.items():
            built[name] = _network(name, partial(edit, baseline))
            if built[name] == baseline:
                raise AblaxError(
                    f"variant {name!r} is the baseline itself: its edit changes nothing"
                )
        return built

    def label(self, name: str) -> str:
        """What tables and plots call a variant."""
        return self.labels.get(name, name.replace("_", " "))

    def _paragraph(self, section: str) -> str:
        found = re.search(
            rf"^{section}:\s*(.+?)(?:\n\s*\n|\Z)", inspect.cleandoc(self.about), _DOTALL
        )
        if found is None:
            raise AblaxError(
                f"the experiment's docstring has no paragraph that starts with '{section}:': "
                f"write one for each of {', '.join(_SECTIONS)}"
            )
        return " ".join(found.group(1).split())


def _network(name: str, build: Callable[[], Network]) -> Network:
    """What the user's function builds, or an error that names the variant."""
    try:
        built = build()
    except AblaxError:
        raise
    except Exception as error:
        raise AblaxError(f"building {name!r} fails with {type(error).__name__}: {error}") from error
    if not isinstance(built, Network):
        raise AblaxError(f"{name!r} is {built!r}, and a Network is expected")
    return built


BASELINE = "full"
_DOTALL = re.MULTILINE | re.DOTALL
