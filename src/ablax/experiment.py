"""`Experiment`: a question as a short declarative value."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from ablax.config import Recipe, with_fields
from ablax.core import Edit, ImageShape, Network
from ablax.errors import AblaxError, nearest
from ablax.measurements.measurement import Measurement
from ablax.report.study import QUANTITIES, Claim, Published, Quantity, Section, operand

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
class Pretraining:
    """A training of the same network that runs first and initializes a variant.

    Attributes:
        fields: Dotted fields of the variant's recipe and the values they have in the pretraining:
            other classes, other data, fewer epochs.
        fresh: Patterns of paths of parameters that are reinitialized instead, such as `"output/*"`.

    Raises:
        AblaxError: It would be the variant's own training.
    """

    fields: Mapping[str, object]
    fresh: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fields:
            raise AblaxError("a pretraining changes no field of the recipe: give it other data")


@dataclass(frozen=True)
class Treatment:
    """A variant that is more than an edit of the baseline.

    Attributes:
        edit: Of the baseline network; None leaves it as it is.
        network: Builds another network instead; not together with `edit`.
        fields: Dotted fields of the recipe and the values they have for this variant alone.
        pretraining: Where its initial weights come from; None: random initialization.

    Raises:
        AblaxError: Nothing is treated, or there is both an edit and a network.
    """

    edit: Edit | None = None
    network: Callable[[Inputs], Network] | None = None
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    pretraining: Pretraining | None = None

    def __post_init__(self) -> None:
        if self.edit is not None and self.network is not None:
            raise AblaxError("a treatment has an edit or a network of its own, not both")
        if not (self.edit or self.network or self.fields or self.pretraining):
            raise AblaxError(
                "a treatment changes nothing: give an edit, a network, fields or a pretraining"
            )


@dataclass(frozen=True)
class Budget:
    """What an experiment changes in a recipe; the command line overrides it.

    Attributes:
        fields: Dotted fields of the recipe, such as `{"train.epochs": 20, "width": 0.25}`.
        only: The variants that are run beside the baseline; all where it is empty.
    """

    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    only: tuple[str, ...] = ()


BASELINE = "full"
"""What the baseline is called where an experiment does not say."""

_AS_IT_IS = Budget()


@dataclass(frozen=True)
class Experiment:
    """One question: a baseline network and the variants that are compared with it.

    Attributes:
        about: The docstring of the file. It has the paragraphs `Question:`, `Source:`,
            `Prediction:`, the last one written before the result was known, and may have `Cost:`.
        network: Builds the baseline for given inputs.
        variants: Name to an edit of the baseline, or to a `Treatment`; the names become folders
            and rows.
        baseline: The baseline's own name.
        labels: Name to what tables and plots call it; the name itself where none is given.
        budgets: Name of a recipe to what is changed in it here.
        published: What others measured.
        claims: Hypotheses of the source about the variants, to be tested.
        expectations: Our own predictions, judged apart from the claims of the source.
        decides: The claim or expectation that answers the question; the first one when None.
        measurements: What is measured beside the errors.
        sections: Pictures and tables of this experiment, made from the study.
        full_size: The inputs of the source's network, to compare parameters with it.

    Raises:
        AblaxError: A paragraph is missing, a name is no identifier or taken, or a claim, a budget
            or a measurement speaks of a variant or a quantity that nothing gives.
    """

    about: str
    network: Callable[[Inputs], Network]
    variants: Mapping[str, Edit | Treatment]
    baseline: str = BASELINE
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    budgets: Mapping[str, Budget] = field(default_factory=lambda: MappingProxyType({}))
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    expectations: tuple[Claim, ...] = ()
    decides: Claim | None = None
    measurements: tuple[Measurement, ...] = ()
    sections: tuple[Section, ...] = ()
    full_size: Inputs | None = None

    def __post_init__(self) -> None:
        for name in self.variants:
            if not name.isidentifier() or name == self.baseline:
                raise AblaxError(
                    f"a variant is named {name!r}: use letters, digits and '_' (a "
                    f"folder will bear the name), and not {self.baseline!r}, the baseline's name"
                )
        for section in _SECTIONS:
            self._paragraph(section)
        quantities = {**QUANTITIES, **self.quantities}
        for claim in (*self.claims, *self.expectations):
            for name, quantity in map(operand, (claim.worse, claim.better)):
                _refuse_unknown("a claim", name, self.names)
                _refuse_unknown("a claim", quantity, quantities)
        if self.decides is not None and self.decides not in (*self.claims, *self.expectations):
            raise AblaxError(
                "what decides is neither among the claims nor the expectations: add "
                f"{self.decides.text!r} to one of them"
            )
        for recipe, budget in self.budgets.items():
            for name in budget.only:
                _refuse_unknown(f"the budget of {recipe}", name, self.names)
        for measurement in self.measurements:
            for name in measurement.only:
                _refuse_unknown(f"the measurement {measurement.name}", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The baseline and the variants."""
        return (self.baseline, *self.variants)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What the measurements give of every run, by name."""
        found: dict[str, Quantity] = {}
        for measurement in self.measurements:
            for name, quantity in measurement.quantities.items():
                if name in found or name in QUANTITIES:
                    raise AblaxError(f"two quantities are named {name!r}: give each its own name")
                found[name] = quantity
        return found

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

    def budgeted(self, recipe_name: str, recipe: Recipe) -> Recipe:
        """The recipe as this experiment uses it.

        Raises:
            ConfigError: A budget names a field that no recipe has, or a value it cannot have.
        """
        return with_fields(recipe, self.budgets.get(recipe_name, _AS_IT_IS).fields)

    def chosen(self, recipe_name: str, only: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The variants that run under a recipe, the baseline first.

        Args:
            recipe_name: Its budget may choose some.
            only: Chosen instead, where any are named.

        Raises:
            AblaxError: One that is named is no variant.
        """
        for name in only:
            _refuse_unknown("--only", name, self.names)
        only = only or self.budgets.get(recipe_name, _AS_IT_IS).only
        return tuple(n for n in self.names if not only or n in (*only, self.baseline))

    def recipe_of(self, name: str, recipe: Recipe) -> Recipe:
        """The recipe of one variant.

        Raises:
            ConfigError: A treatment names a field that no recipe has, or a value it cannot have.
        """
        treatment = self._treatment(name)
        return with_fields(recipe, treatment.fields) if treatment else recipe

    def pretraining_of(self, name: str) -> Pretraining | None:
        """Where a variant's initial weights come from; None: random initialization."""
        treatment = self._treatment(name)
        return treatment.pretraining if treatment else None

    def network_of(self, name: str, inputs: Inputs) -> Network:
        """One variant's network, built for its inputs.

        Raises:
            AblaxError: No network can be built for them, or an edit changes nothing.
        """
        treatment = self._treatment(name)
        if treatment is not None and treatment.network is not None:
            return _network(name, partial(treatment.network, inputs))
        baseline = _network(self.baseline, partial(self.network, inputs))
        if treatment is None or treatment.edit is None:
            return baseline
        built = _network(name, partial(treatment.edit, baseline))
        if built == baseline and not (treatment.fields or treatment.pretraining):
            raise AblaxError(f"variant {name!r} is the baseline itself: its edit changes nothing")
        return built

    def networks(self, inputs: Inputs) -> dict[str, Network]:
        """The baseline and every variant of it, built for the same inputs.

        Raises:
            AblaxError: As `network_of`.
        """
        return {name: self.network_of(name, inputs) for name in self.names}

    def is_edit(self, name: str) -> bool:
        """Whether a variant's network is the baseline's with an edit."""
        treatment = self._treatment(name)
        return treatment is not None and treatment.edit is not None

    def _treatment(self, name: str) -> Treatment | None:
        """What makes the variant; None of the baseline."""
        if name == self.baseline:
            return None
        found = self.variants[name]
        return found if isinstance(found, Treatment) else Treatment(edit=found)

    @property
    def cost(self) -> str:
        """What the docstring says of the cost; empty where it says nothing."""
        return self._paragraph("Cost") if "\nCost:" in self.about else ""

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


def _refuse_unknown(who: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise AblaxError(f"{who} names {name!r}: {nearest(name, list(known))}")


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


_DOTALL = re.MULTILINE | re.DOTALL
