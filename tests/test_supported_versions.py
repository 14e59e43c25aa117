"""The oldest versions that the package says it takes are those it is tested with."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LISTS = {"constraints.txt": "3.13", "constraints-oldest.txt": "3.11"}


def pins(file, python):
    """The version of each package that a list of constraints pins for one Python."""
    environment = {**default_environment(), "python_version": python}
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    found = {}
    for requirement in map(Requirement, filter(None, lines)):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def lower_bounds():
    """The lower bound of each package that running or developing asks for."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    found = {}
    for requirement in map(Requirement, wanted):
        (bound,) = requirement.specifier
        assert bound.operator == ">="
        found[canonicalize_name(requirement.name)] = Version(bound.version)
    return found


@pytest.mark.parametrize("package", ["jax", "jaxlib", "flax"])
def test_oldest_versions_of_jax_and_flax_that_are_tested_are_the_lower_bounds(package):
    assert pins("constraints-oldest.txt", "3.11")[package] == lower_bounds()[package]


@pytest.mark.parametrize("file", LISTS)
def test_constraints_pin_every_dependency_at_its_lower_bound_or_above(file):
    pinned = pins(file, LISTS[file])
    below = {
        name: f"{pinned.get(name)} < {bound}"
        for name, bound in lower_bounds().items()
        if name not in pinned or pinned[name] < bound
    }
    assert not below


def test_oldest_versions_are_none_newer_than_the_newest():
    newest, oldest = (pins(file, "3.13") for file in LISTS)
    assert not {name for name in oldest if name in newest and oldest[name] > newest[name]}


def test_oldest_python_of_the_makefile_is_the_lower_bound():
    (named,) = re.findall(r"^OLDEST = python(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f">={named}" == PROJECT["requires-python"]


def test_what_has_to_pass_is_tested_with_the_newest_and_the_oldest_versions():
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in commands if line.startswith("make ")] == [
        "make test",
        "make test-oldest",
        "make test-slow",
    ]
