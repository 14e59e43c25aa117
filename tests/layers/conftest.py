"""Who computes a convolution on a CPU: oneDNN, or XLA alone."""

import jax
import pytest

from ablax.native import SWITCH, why_not


@pytest.fixture(scope="module", params=["native", "xla"])
def computed_by(request):
    """Both ways, one after the other, for all tests of a module."""
    if request.param == "native":
        if why_not():
            pytest.skip(why_not())
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        jax.clear_caches()  # who computes is decided when a program is compiled
        yield request.param
    jax.clear_caches()


@pytest.fixture
def by_xla(monkeypatch):
    """Without oneDNN."""
    monkeypatch.setenv(SWITCH, "0")
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.fixture
def native():
    """With oneDNN."""
    if why_not():
        pytest.skip(why_not())
