"""What stands beside a figure."""

import jax

from ablax.native import SWITCH
from ablax.study.environment import available_cores, differing, environment


def test_the_environment_names_versions_hardware_commit_and_date():
    found = environment()
    assert found["jax"] == jax.__version__
    assert found["cores"] == str(available_cores())
    assert f"{available_cores()} CPU core" in found["device"]
    assert len(found["date"].split("-")) == 3
    assert found["commit"]


def test_the_environment_says_who_computes_the_convolutions(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    assert environment()["convolutions"] == f"by XLA ({SWITCH}=0)"


def test_settings_that_numbers_depend_on_are_in_the_environment():
    before = environment()["numerics"]
    assert before == "up to 32 bits, products in default precision, random bits partitionable"
    with jax.default_matmul_precision("float32"):
        other = {**environment(), "commit": "other", "date": "2000-01-01"}
    assert differing([environment(), other]) == {
        "numerics": (before, before.replace("default", "float32"))
    }


def test_without_a_checkout_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment()["commit"] == "unknown"
