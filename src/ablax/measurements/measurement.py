"""`Measurement`: what an experiment wants to know beside the errors, and when it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ablax.errors import AblaxError
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row, Section
from ablax.training.loop import Moment


@dataclass(frozen=True)
class Measurement:
    """A function of a subject, called at given moments of every run.

    Its rows are kept in `measurements/<name>/` of the results folder, with the columns `variant`,
    `seed`, `step` and `epoch` beside their own; the study holds them as `study.rows(name)`.

    Attributes:
        name: Letters, digits and '_'.
        measure: Gives rows: mappings of a few columns to numbers or strings. It must be a pure
            function of the subject: a run that goes on repeats it.
        section: How the report shows the rows.
        moments: When.
        quantities: Name to the number that claims may speak of, such as `"full:svm_of_conv5"`; no
            two measurements of an experiment give the same name.
        every_seed: False where seeds make no difference: then only seed 0 is measured.
        only: The variants that are measured; all where it is empty.

    Raises:
        AblaxError: The name is no identifier, or no moment is given.
    """

    name: str
    measure: Callable[[Subject], Iterable[Row]]
    section: Section
    moments: tuple[Moment, ...] = ("end",)
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: MappingProxyType({}))
    every_seed: bool = True
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise AblaxError(f"a measurement is named {self.name!r}: use letters, digits and '_'")
        if not self.moments:
            raise AblaxError(
                f"the measurement {self.name!r} has no moment: give one of "
                "'start', 'training', 'end'"
            )

    def wanted(self, variant: str, seed: int, moment: Moment) -> bool:
        """Whether this run is measured at this moment."""
        named = not self.only or variant in self.only
        return moment in self.moments and named and (self.every_seed or seed == 0)
