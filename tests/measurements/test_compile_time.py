"""Compile time: both forms, the same network, and a cache that is left as it was."""

from __future__ import annotations

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from subjects import made_subject

from ablax.core import Layers, Network, sequential
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.measurements.times import COMPILE_SECONDS, measure


def deep(blocks: int) -> Network:
    block = sequential(conv=Convolution(1, 3), relu=ReLU())
    body = Layers({f"conv{n}": block for n in range(blocks)})
    head = Layers(average=GlobalAveragePool(), scores=Dense(3))
    return Network(Layers(), body, head)


@pytest.mark.slow
def test_a_scanned_program_does_not_grow_with_depth():
    unrolled, scanned = {}, {}
    for blocks in (4, 16):
        rows = {row["form"]: row for row in measure(*made_subject(deep(blocks)))}
        unrolled[blocks], scanned[blocks] = rows["unrolled"], rows["scanned"]
    assert unrolled[16]["program"] > 2 * unrolled[4]["program"]
    assert scanned[16]["program"] < 1.1 * scanned[4]["program"]
    assert all(row["compile_seconds"] > 0 < row["trace_seconds"] for row in scanned.values())


@pytest.mark.slow
def test_the_compiler_works_though_its_answer_was_cached(tmp_path):
    given = [made_subject(deep(1)) for _ in range(2)]
    fields = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: jax.config.values[name] for name in fields}
    for name, value in fields.items():
        jax.config.update(name, value)
    try:
        for model, sample in given:
            measure(model, sample)
        assert not list(tmp_path.iterdir())  # nothing kept, so nothing to answer with
        jax.jit(lambda x: x + 1)(1.0)
        assert list(tmp_path.iterdir())  # though the cache keeps what others compile
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def test_a_network_without_equal_neighbors_is_unrolled_alone_and_the_cache_stays_on():
    before = jax.config.values["jax_enable_compilation_cache"]
    rows = measure(*made_subject(deep(1)))
    assert [row["form"] for row in rows] == ["unrolled"]
    assert jax.config.values["jax_enable_compilation_cache"] == before
    seconds = COMPILE_SECONDS.quantities["compile_unrolled"].of(tuple(rows))
    assert seconds == rows[0]["trace_seconds"] + rows[0]["compile_seconds"]
    assert COMPILE_SECONDS.quantities["compile_scanned"].of(tuple(rows)) != seconds  # nan
