"""Time by layer: the trace's operations put to their layers, and what a real trace adds up to."""

import jax
import jax.numpy as jnp
import pytest

from ablax.__main__ import main
from ablax.inspection.timing import (
    REST,
    Machine,
    Operation,
    events,
    layer_of,
    operations,
    profile,
    profile_table,
    times_by_layer,
    traced_seconds,
)
from ablax.zoo import untrained

MACHINE = Machine("made up", rate=1e9, bandwidth=1e9)


def test_an_operation_belongs_to_the_longest_layer_in_its_name_stack():
    layers = {"conv1", "res2a", "res2a/conv1"}
    assert layer_of("jit(f)/while/body/jvp(Network)/res2a/conv1/mul", layers)[0] == "res2a/conv1"
    assert layer_of("jit(f)/jvp(Network)/res2a/relu/max", layers)[0] == "res2a"
    assert layer_of("jit(f)/conv1_of_another/add", layers)[0] == REST


@pytest.mark.parametrize(
    ("scope", "backward"),
    [
        ("jit(f)/jvp(Network)/fc6/dot_general", False),
        ("jit(f)/transpose(jvp(Network))/fc6/dot_general", True),
        ("jit(f)/jvp(Network)/fc6/rematted_computation/mul", True),
    ],
)
def test_what_is_transposed_or_computed_again_is_of_the_backward_pass(scope, backward):
    assert layer_of(scope, {"fc6"}) == ("fc6", backward)


def test_seconds_are_added_up_by_layer_and_the_rest_comes_last():
    spent = {
        Operation("fusion", "jvp(Network)/fc6/add"): 1.0,
        Operation("dot", "transpose(jvp(Network))/fc6/dot"): 2.0,
        Operation("fusion", "optimizer/add"): 4.0,
    }
    times = times_by_layer(spent, ["fc6", "fc7"])
    assert list(times) == ["fc6", "fc7", REST]
    assert (times["fc6"].forward, times["fc6"].backward, times["fc7"].both) == (1.0, 2.0, 0.0)
    assert times[REST].both == 4.0


def test_instructions_and_their_name_stacks_are_read_from_the_compiled_text():
    compiled = jax.jit(lambda x: jnp.tanh(x @ x)).lower(jnp.ones((64, 64))).compile()
    found = operations(compiled.as_text()).values()
    assert any("dot_general" in operation.scope for operation in found)
    assert any("tanh" in operation.scope for operation in found)


@pytest.mark.slow
def test_the_trace_of_a_loop_counts_its_body_and_not_the_loop():
    def f(x):
        with jax.named_scope("deep"):
            return jax.lax.fori_loop(0, 4, lambda _, y: jnp.tanh(y @ y) * 1e-2, x)

    x = jnp.ones((300, 300))
    compiled = jax.jit(f).lower(x).compile()
    seconds = traced_seconds(lambda: compiled(x).block_until_ready(), compiled.as_text())
    assert all(operation.opcode != "while" for operation in seconds)
    assert all(spent > 0 for spent in seconds.values())


def test_a_trace_has_the_operations_inside_the_span_of_the_host_that_ran_them(tmp_path):
    run = jax.jit(lambda x: jnp.sin(x @ x)).lower(jnp.ones((256, 256))).compile()
    with jax.profiler.trace(tmp_path), jax.profiler.TraceAnnotation("the host waits"):
        jax.block_until_ready(run(jnp.ones((256, 256))))
    found = events(tmp_path)
    (span,) = [event for event in found if event.name == "the host waits"]
    inside = [event for event in found if event.operation in operations(run.as_text())]
    assert span.operation is None
    assert inside
    for event in inside:
        assert span.start <= event.start
        assert event.start + event.seconds <= span.start + span.seconds


@pytest.mark.slow
def test_a_profile_has_every_layer_with_products_forward_and_backward():
    found = profile(untrained("lenet5", None), 8, steps=2)
    for layer in ("c1", "c3", "c5", "f6", "output"):
        assert found.times[layer].forward > 0, layer
    assert sum(times.backward for times in found.times.values()) > 0
    table = profile_table(found, MACHINE)
    c1 = next(row for row in table.rows if row[0] == "c1")
    assert c1[4] == 8 * 2 * 28 * 28 * 6 * 25  # forward and weights; nobody asks for the image's
    least = max(c1[4] / 1e9, 3 * 4 * (8 * 32 * 32 + 156 + 8 * 28 * 28 * 6) / 1e9)
    assert c1[5] == pytest.approx(1e3 * least, rel=0.05)


def test_bad_numbers_are_refused_before_anything_runs(capsys):
    for words in (["--steps", "0"], ["--batch", "0"]):
        with pytest.raises(SystemExit):
            main(["profile", "lenet5", *words])
        assert "expected at least 1" in capsys.readouterr().err
