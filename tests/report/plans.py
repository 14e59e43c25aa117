"""A study that asks something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ablax.report.study import Study


def asked(study: Study, **fields: Any) -> Study:
    """The study, with other fields of its plan."""
    return replace(study, plan=replace(study.plan, **fields))
