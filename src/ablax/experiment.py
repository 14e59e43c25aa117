"""`Experiment`: a question as a short declarative value."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from ablax.analysis.cost import macs
from ablax.config import Recipe, flat, require, with_fields
from ablax.core import Edit, ImageShape, Network, abstract_variables
from ablax.errors import AblaxError, brief, nearest, others_code
from ablax.measurements.measurement import Measurement
from ablax.report.looks import looks
from ablax.report.study import (
    QUANTITIES,
    Claim,
    Picture,
    PlanRecord,
    Published,
    Quantity,
    Section,
    Study,
    Variant,
    terms,
)
from ablax.report.tables import Table, number

_SECTIONS = ("Question", "Source", "Prediction")
_EDIT = "a function from network to network"
_NETWORK = "a function from Inputs to a Network"
_FIELDS = 'a mapping such as {"train.epochs": 3}'
_LONGEST_NAME = 100
ERROR_MARGINS = {"digits": 0.5}
"""Set of images to the smallest difference of errors that matters there, in percentage points.

Chosen by what would change a decision, not by what can be measured; 1 point on all other sets,
whose errors are larger.
"""
_OF_ALL = ("seeds", "most_seeds", "conclusions")
"""Fields of a recipe that are of the whole study, and that no variant can have for itself."""


@dataclass(frozen=True)
class Inputs:
    """What a network is built for; a ConfigError where a size is below 1."""

    image_size: int
    """Height and width in pixels."""
    channels: int
    classes: int
    width: float = 1.0
    """Factor on the features of the layers."""

    def __post_init__(self) -> None:
        for name in ("image_size", "channels", "classes"):
            value = getattr(self, name)
            require(value >= 1, f"{name} of Inputs", value, "at least 1")
        require(self.width > 0, "width of Inputs", self.width, "a number above 0")

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
        AblaxError: It would be the variant's own training, or changes what is of the whole study.
    """

    fields: Mapping[str, object]
    fresh: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _refuse_fields("a pretraining", self.fields)
        _require_all("a pretraining's fresh", self.fresh, str, "a tuple of patterns of paths")
        if not self.fields:
            raise AblaxError("a pretraining changes no field of the recipe: give it other data")


@dataclass(frozen=True)
class Treatment:
    """A variant that is more than an edit of the baseline.

    It has an edit, or builds another network instead; `fields` are dotted fields of the recipe and
    the values they have for this variant alone; a pretraining gives its initial weights.

    Raises:
        AblaxError: Nothing is treated, there is both an edit and a network, or a field is of the
            whole study (`seeds`, `most_seeds`, `conclusions`).
    """

    edit: Edit | None = None
    network: Callable[[Inputs], Network] | None = None
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    pretraining: Pretraining | None = None

    def __post_init__(self) -> None:
        _require_function("a treatment's edit", self.edit, _EDIT, type(None))
        _require_function("a treatment's network", self.network, _NETWORK, type(None))
        _refuse_fields("a treatment", self.fields)
        given = self.pretraining
        fits = given is None or isinstance(given, Pretraining)
        require(fits, "a treatment's pretraining", given, "a Pretraining")
        if self.edit is not None and self.network is not None:
            raise AblaxError("a treatment has an edit or a network of its own, not both")
        if not (self.edit or self.network or self.fields or self.pretraining):
            raise AblaxError(
                "a treatment changes nothing: give an edit, a network, fields or a pretraining"
            )


@dataclass(frozen=True)
class Grid:
    """Values of a field of the recipe that were tried for variants, before any run of the study.

    Where the source tunes a rate or a strength for each variant, so does an experiment: by a small
    grid, on training images, from runs that the study does not use. `found` is, of each variant,
    the value to what it gave (`by`, in words, the smaller the better); `how` says what was run. The
    report names the variants whose best value is an end of theirs.

    Example:
        >>> found = {"relu": {0.1: 5.0, 0.2: 4.0}}
        >>> grid = Grid("optimizer.rate", "training error", "two seeds", found)
        >>> grid.best("relu"), grid.fields("relu")
        (0.2, {'optimizer.rate': 0.2})
    """

    field: str
    by: str
    how: str
    found: Mapping[str, Mapping[float, float]]

    def best(self, name: str) -> float:
        """The value of a variant that gave the least; the first of equals."""
        own = self.found[name]
        return min(own, key=lambda value: own[value] if math.isfinite(own[value]) else math.inf)

    def fields(self, name: str) -> dict[str, object]:
        """The field with its best value."""
        return {self.field: self.best(name)}

    @property
    def section(self) -> Section:
        """The grid as a table of the report."""
        values = sorted({value for own in self.found.values() for value in own})

        def table(study: Study) -> Table:
            rows = []
            for name, own in self.found.items():
                if name in study.names:
                    best = self.best(name)
                    cells = [number(own.get(value, math.nan)) for value in values]
                    marked = [
                        f"{c} *" if v == best else c for v, c in zip(values, cells, strict=True)
                    ]
                    rows.append((study.variant(name).label, *marked))
            ends = [
                study.variant(name).label
                for name, own in self.found.items()
                if name in study.names and self.best(name) in (min(own), max(own))
            ]
            notes = [f"Smaller is better; *: chosen. {self.how}"]
            if ends:
                notes.append(
                    f"At an end of what was tried, so others may be better: {', '.join(ends)}."
                )
            columns = ("Variant", *(f"{value:g}" for value in values))
            return Table(
                f"{self.by} by {self.field}", columns, tuple(rows), tuple(notes), left=(0,)
            )

        text = f"Each variant has its own {self.field}, chosen before the runs of this report."
        return Section("Tuned for each variant", text, tables=(table,))


@dataclass(frozen=True)
class Budget:
    """What an experiment changes in a recipe; the command line overrides it.

    Attributes:
        fields: Dotted fields of the recipe, such as `{"train.epochs": 20, "width": 0.25}`.
        only: The variants that are run beside the baseline; all where it is empty.
    """

    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(isinstance(self.fields, Mapping), "a budget's fields", self.fields, _FIELDS)
        _require_all("a budget's only", self.only, str, "a tuple of names of variants")


BASELINE = "full"
"""What the baseline is called where an experiment does not say."""


@dataclass(frozen=True)
class Experiment:
    """One question: a baseline network and the variants that are compared with it.

    Attributes:
        about: The docstring of the file. It has the paragraphs `Question:`, `Source:`,
            `Prediction:`, the last one written before the result was known, and may have `Cost:`.
        variants: Name to an edit of the baseline, or to a `Treatment`; the names become folders
            and rows.
        labels: Name to what tables and plots call it; the name itself where none is given.
        budgets: Name of a recipe to what is changed in it here.
        recipe: The recipe in which the question can be told, which is run where none is named.
        claims: Hypotheses of the source about the variants, to be tested.
        expectations: Our own predictions, judged apart from the claims of the source.
        decides: The claim or expectation that answers the question; the first one when None.
        explains: The one that says why, told with the answer.
        measurements: What is measured beside the errors.
        sections: Pictures and tables of this experiment, made from the study.
        full_size: The inputs of the source's network, to compare parameters with it.

    Raises:
        AblaxError: A field is of another type than it says, a paragraph is missing, a name is no
            identifier in ASCII, long or taken, two variants share a label, a claim compares what
            cannot be compared, or a label, a claim, a budget, a published figure or a measurement
            speaks of a variant or a quantity that nothing gives.
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
    explains: Claim | None = None
    measurements: tuple[Measurement, ...] = ()
    sections: tuple[Section, ...] = ()
    full_size: Inputs | None = None
    recipe: str = "digits"

    def __post_init__(self) -> None:
        self._refuse_types()
        require(isinstance(self.recipe, str), "recipe", self.recipe, "the name of a recipe")
        for section in _SECTIONS:
            self._paragraph(section)
        for name in (self.baseline, *self.variants):  # of any type yet
            if not isinstance(name, str) or not (name.isidentifier() and name.isascii()):
                raise AblaxError(
                    f"a variant is named {name!r}: use letters, digits and '_', all of "
                    "ASCII (a folder will bear the name)"
                )
            if len(name) > _LONGEST_NAME:
                raise AblaxError(
                    f"a variant is named {brief(name, 40)!r}, in {len(name)} letters: use at most "
                    f"{_LONGEST_NAME} (a folder will bear the name)"
                )
        if self.baseline in self.variants:
            raise AblaxError(
                f"a variant is named {self.baseline!r}, and that is the baseline's name: give one "
                "of them another"
            )
        self._refuse_alike("a folder on some systems", {n: n.lower() for n in self.names})
        self._refuse_unknown_variants()
        self._refuse_alike("a label", {name: self.label(name) for name in self.names})
        known = {**QUANTITIES, **self.quantities}
        for claim in (*self.claims, *self.expectations):
            self._refuse_unmeasured(claim, known)
        for what, one in (("decides", self.decides), ("explains", self.explains)):
            if one is not None and one not in (*self.claims, *self.expectations):
                raise AblaxError(
                    f"what {what} is neither among the claims nor the expectations: add "
                    f"{one.text!r} to one of them"
                )

    def _refuse_alike(self, what: str, called: Mapping[str, str]) -> None:
        """Variants that would be taken for one another."""
        seen: dict[str, str] = {}
        for name, word in called.items():
            if word in seen:
                raise AblaxError(
                    f"the variants {seen[word]!r} and {name!r} share {what}, {word!r}: call one of "
                    "them otherwise"
                )
            seen[word] = name

    def _refuse_types(self) -> None:
        """Fields of another type than they say: no type checker reads a beginner's file."""
        _require_function("network", self.network, _NETWORK)
        mapping, example = isinstance(self.variants, Mapping), '{"cut": ablax.remove("conv3")}'
        require(mapping, "variants", self.variants, f"a mapping such as {example}")
        for name, made in self.variants.items():
            what = f"an edit ({_EDIT}) or a Treatment"
            _require_function(f"variant {name!r}", made, what, Treatment)
        for name, values, kind in (("labels", self.labels, str), ("budgets", self.budgets, Budget)):
            what = f"a mapping of names to {_a(kind)}"
            require(isinstance(values, Mapping), name, values, what)
            for key, value in values.items():
                require(isinstance(key, str), name, key, "a string as the name")
                require(isinstance(value, kind), f"{name}, {key!r},", value, _a(kind))
                require(value != "", f"{name}, {key!r},", value, "a label")
        items: dict[str, type] = {"published": Published, "claims": Claim, "expectations": Claim}
        items |= {"measurements": Measurement, "sections": Section}
        for name, of in items.items():
            _require_all(name, getattr(self, name), of, f"a tuple, each of its items {_a(of)},")
        for section in self.reported:
            what = f"of section {section.title!r}"
            _require_all(f"pictures {what}", section.pictures, Picture, "a tuple of Pictures")
            for table in section.tables:
                _require_function(f"a table {what}", table, "a function from the study to a Table")
        for name, one in (("decides", Claim), ("explains", Claim), ("full_size", Inputs)):
            given = getattr(self, name)
            require(given is None or isinstance(given, one), name, given, f"{_a(one)} or None")

    def _refuse_unknown_variants(self) -> None:
        """Whatever names a variant, beside claims."""
        named: list[tuple[str, Iterable[str]]] = [("labels", self.labels)]
        named += [(f"the budget of {name}", one.only) for name, one in self.budgets.items()]
        for one in self.published:
            for figures in (one.drops, one.parameters_removed):
                holds = isinstance(figures, Mapping) and all(
                    isinstance(figure, int | float) for figure in figures.values()
                )
                what = "a mapping of variants to numbers"
                require(holds, f"published, {one.name},", figures, what)
            named.append((f"published, {one.name},", (*one.drops, *one.parameters_removed)))
        named += [(f"the measurement {one.name}", one.only) for one in self.measurements]
        for who, names in named:
            for name in names:
                _refuse_unknown(who, name, self.names)
        taken = [measurement.name for measurement in self.measurements]
        for name in taken:
            if taken.count(name) > 1:
                raise AblaxError(f"two measurements are named {name!r}: give each its own name")

    def _refuse_unmeasured(self, claim: Claim, known: Mapping[str, Quantity]) -> None:
        """A claim of a variant or a quantity that nothing gives, or of what cannot be compared."""
        for given in (claim.worse, claim.better):
            require(
                isinstance(given, str), "a claim's operand", given, "a string: a variant's name"
            )
        sides = terms(claim.worse), terms(claim.better)
        for variant, quantity in (*sides[0], *sides[1]):
            _refuse_unknown("a claim", variant, self.names)
            _refuse_unknown("a claim", quantity, known)
            for one in self.measurements:
                if quantity in one.quantities and one.only and variant not in one.only:
                    raise AblaxError(
                        f"a claim names {variant}:{quantity}, and the measurement {one.name} is "
                        f"taken of {', '.join(one.only)} alone: add {variant!r} to its `only`"
                    )
        if sides[0] == sides[1]:
            raise AblaxError(f"a claim compares {claim.worse!r} with itself: name another variant")
        if max(map(len, sides)) > 2:
            raise AblaxError(
                f"a claim compares {claim.worse!r} with {claim.better!r}, and a side is one value "
                "or the difference of two"
            )
        if len({known[quantity].unit for side in sides for _, quantity in side}) > 1:
            raise AblaxError(
                f"a claim compares {claim.worse} with {claim.better}, which have other units: "
                "compare the same quantity of two variants"
            )
        said = isinstance(claim.text, str) and bool(claim.text.strip())
        require(said, "a claim's text", claim.text, "a clause that says what is claimed")

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
    def reported(self) -> tuple[Section, ...]:
        """The sections of the report: its own, then those of the measurements."""
        return (*self.sections, *(measurement.section for measurement in self.measurements))

    def record(
        self,
        name: str,
        recipe_name: str,
        recipe: Recipe,
        *,
        variants: tuple[Variant, ...],
        full_size_parameters: Mapping[str, int],
        command: str,
        data_note: str,
        classes: int | None,
        folds: int = 1,
    ) -> PlanRecord:
        """What a report says of this experiment under a recipe; `command` is what repeats it."""
        return PlanRecord(
            name=name,
            title=self.title,
            question=self.question,
            prediction=self.prediction,
            source=self.source,
            recipe_name=recipe_name,
            recipe=flat(recipe),
            verdict_wanted=recipe.conclusions,
            command=command,
            data_note=data_note,
            classes=classes,
            folds=folds,
            variants=variants,
            baseline=self.baseline,
            full_size_parameters=full_size_parameters,
            published=self.published,
            claims=self.claims,
            expectations=self.expectations,
            decides=self.decides,
            explains=self.explains,
            quantities=self.quantities,
            looks=looks(recipe.most_seeds) if recipe.seeds == "auto" else (),
            error_margin=ERROR_MARGINS.get(recipe.data.source.partition(":")[0], 1.0),
            sections=self.reported,
        )

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
        """The recipe as this experiment uses it; a ConfigError where a field or value cannot be."""
        return with_fields(recipe, self._budget(recipe_name).fields)

    def _budget(self, recipe_name: str) -> Budget:
        """What is changed in a recipe; in `thorough` what is in `digits`, but for the seeds."""
        if recipe_name == "thorough" and recipe_name not in self.budgets:
            own = self.budgets.get("digits", Budget())
            kept = {name: value for name, value in own.fields.items() if name not in _OF_ALL}
            return Budget(kept, own.only)
        return self.budgets.get(recipe_name, Budget())

    def chosen(self, recipe_name: str, only: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The variants that run under a recipe, the baseline first: of `only`, else of the budget.

        Raises:
            AblaxError: One that is named is no variant.
        """
        for name in only:
            _refuse_unknown("--only", name, self.names)
        only = only or self._budget(recipe_name).only
        return tuple(n for n in self.names if not only or n in (*only, self.baseline))

    def recipe_of(self, name: str, recipe: Recipe) -> Recipe:
        """The recipe of one variant; a ConfigError where a field or value cannot be."""
        treatment = self.treatment(name)
        return with_fields(recipe, treatment.fields) if treatment else recipe

    def network_of(self, name: str, inputs: Inputs) -> Network:
        """One variant's network, built for its inputs.

        Raises:
            AblaxError: No network can be built for them, or an edit changes nothing.
        """
        treatment = self.treatment(name)
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
        """The baseline and every variant of it, built for the same inputs."""
        return {name: self.network_of(name, inputs) for name in self.names}

    def treatment(self, name: str) -> Treatment | None:
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
        if not isinstance(self.about, str) or not self.about.strip():
            raise AblaxError(
                "the experiment has no docstring: begin its file with one, with a paragraph for "
                f"each of {', '.join(_SECTIONS)}, and give about=__doc__"
            )
        pattern = rf"(?ms)^{section}:(.*?)(?:\n\s*\n|\Z)"
        found = re.search(pattern, inspect.cleandoc(self.about))
        if found is None or not found.group(1).strip():
            raise AblaxError(
                f"the experiment's docstring has no paragraph that starts with '{section}:', or "
                "nothing behind it: "
                f"write one for each of {', '.join(_SECTIONS)}"
            )
        return " ".join(found.group(1).split())


def network_macs(
    network: Network, image_shape: ImageShape, variables: Mapping[str, Any] | None = None
) -> int:
    """Multiply-accumulates of one forward pass for one image; `variables` may be known already.

    Raises:
        AblaxError: Nobody can say from the network how often one of its products runs.
    """
    known = abstract_variables(network, image_shape) if variables is None else variables
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    try:
        return macs(network.apply, known, image)
    except ValueError as error:
        raise AblaxError(f"the network's cost cannot be counted: {error}") from error


def _a(kind: type) -> str:
    return {str: "a string", Inputs: "an Inputs"}.get(kind, f"a {kind.__name__}")


def _require_function(name: str, given: object, expected: str, *kinds: type) -> None:
    made = isinstance(given, (type, Network))  # can be called too, and is no such function
    require(isinstance(given, kinds) or (callable(given) and not made), name, given, expected)


def _require_all(name: str, given: object, kind: type, expected: str) -> None:
    holds = isinstance(given, tuple) and all(isinstance(one, kind) for one in given)
    require(holds, name, given, expected)


def _refuse_fields(who: str, fields: object) -> None:
    """Fields that are none, or that no variant can have for itself."""
    if not isinstance(fields, Mapping):
        raise AblaxError(f"{who} has fields {fields!r}, and {_FIELDS} is expected")
    for name in fields:
        if name in _OF_ALL:
            raise AblaxError(
                f"{who} changes {name}, which is of the whole study: give it in the recipe or a "
                "Budget"
            )


def _refuse_unknown(who: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise AblaxError(f"{who} names {name!r}: {nearest(name, list(known))}")


def _network(name: str, build: Callable[[], Network]) -> Network:
    """What the user's function builds, or an error that names the variant."""
    try:
        with others_code(f"building {name!r} fails with"):
            built = build()
    except AblaxError as error:
        if repr(name) in str(error):
            raise
        raise type(error)(f"building {name!r}: {error}") from error
    if not isinstance(built, Network):
        raise AblaxError(f"{name!r} is {brief(repr(built))}, and a Network is expected")
    return built
