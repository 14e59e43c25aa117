"""Checkpoints: bit for bit, and what is left after a kill, a full disk, a flipped bit."""

import errno
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.errors import AblaxError
from ablax.training import checkpoint
from ablax.training.checkpoint import (
    LIST_NAME,
    CheckpointError,
    close,
    describe,
    differences,
    find_damage,
    open_checkpoints,
    restore,
    save,
    steps_in,
    write_checksums,
)


class Momentum(NamedTuple):
    trace: object
    count: object


def small(value=1.0):
    return {
        "params": {"conv1": {"bias": jnp.full(3, value, jnp.float32)}},
        "step": jnp.int32(value),
    }


def step_names(folder):
    return sorted(path.name for path in folder.iterdir())


def saved(folder, *steps, keep=2):
    checkpoints = open_checkpoints(folder, keep=keep)
    for step in steps:
        save(checkpoints, step, small(step))
    return checkpoints


def flip(path, position=0, bit=0):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)


def bits(tree):
    """Everything that must come back: container, type, dtype, shape, bits."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [
        (type(x) if isinstance(x, (int, float)) else x.dtype, np.shape(x), np.asarray(x).tobytes())
        for x in leaves
    ]


# --- save and restore ---------------------------------------------------------------------------


def test_state_comes_back_with_its_containers_dtypes_and_step(tmp_path):
    state = {
        "bf16": jnp.asarray([[1.5, -0.0], [jnp.nan, jnp.inf]], jnp.bfloat16),
        "key": jax.random.key_data(jax.random.key(7)),
        "optimizer": (Momentum(jnp.ones((2, 1)), jnp.int32(3)), None, (), {}),
        "numpy": np.arange(3, dtype=np.int64),
        "seconds": 0.1,
        "epoch": 2**40,
    }
    checkpoints = open_checkpoints(tmp_path)
    save(checkpoints, 12, state, note={"logs": {"metrics": [3, "ab"]}})
    found, step, note = restore(checkpoints, state)
    assert note == {"logs": {"metrics": [3, "ab"]}}
    assert bits(found) == bits(state)
    assert isinstance(found["numpy"], np.ndarray)
    assert step == 12


DTYPES = ["float32", "float16", "bfloat16", "int8", "int32", "uint32", "uint8", "bool"]


@st.composite
def arrays(draw):
    dtype = jnp.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "b":
        return jnp.asarray(rng.integers(0, 2, shape, np.uint8).astype(bool))
    count = int(np.prod(shape)) * dtype.itemsize  # any bits: NaNs, subnormal numbers, -0.0
    raw = np.frombuffer(rng.bytes(count), np.uint8).view(dtype).reshape(shape)
    return jnp.asarray(raw)


names = st.text("abcxyz_019", min_size=1, max_size=6)
trees = st.recursive(
    arrays() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False),
    lambda inner: (
        st.dictionaries(names, inner, min_size=1, max_size=3)
        | st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.tuples(inner, st.none())
    ),
    max_leaves=6,
)


@settings(max_examples=12, deadline=None)
@given(tree=trees, step=st.integers(0, 10**9))
def test_restore_inverts_save_for_any_tree(tree, step):
    state = {"first": jnp.zeros(1), "tree": tree}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = open_checkpoints(Path(folder))
        save(checkpoints, step, state)
        found = restore(checkpoints, state)
        close(checkpoints)
    assert found.step == step
    assert bits(found.state) == bits(state)


def test_restore_takes_shapes_instead_of_arrays(tmp_path):
    checkpoints = saved(tmp_path, 5)
    shapes = jax.eval_shape(small)
    found = restore(checkpoints, shapes)
    assert bits(found.state) == bits(small(5))
    assert found.state["step"].sharding == jax.sharding.SingleDeviceSharding(jax.devices()[0])


def test_restored_state_can_be_donated(tmp_path):
    state = restore(saved(tmp_path, 5), small()).state
    after = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)(state)
    assert state["step"].is_deleted()
    assert int(after["step"]) == 6


def test_restore_finds_nothing_in_a_new_folder(tmp_path):
    assert restore(open_checkpoints(tmp_path / "a" / "b"), small()) is None


def test_relative_folder_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = saved(Path("results"), 1)
    assert checkpoints.folder == tmp_path / "results"
    monkeypatch.chdir("/")
    assert restore(checkpoints, small()).step == 1


def test_folder_of_checkpoints_can_be_moved(tmp_path):
    close(saved(tmp_path / "here", 1))
    (tmp_path / "here").rename(tmp_path / "there")
    assert restore(open_checkpoints(tmp_path / "there"), small()).step == 1


def test_closing_twice_is_harmless_and_a_closed_handle_opens_again(tmp_path):
    checkpoints = saved(tmp_path, 1)
    close(checkpoints)
    close(checkpoints)
    save(checkpoints, 2, small(2))
    assert restore(checkpoints, small()).step == 2


@pytest.mark.slow
def test_import_does_not_import_orbax():
    code = "import sys, ablax.training.checkpoint; sys.exit('orbax.checkpoint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_save_and_restore_print_nothing(tmp_path, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        restore(saved(tmp_path, 1), small())
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


# --- which steps stay ---------------------------------------------------------------------------


def test_keep_two_keeps_the_two_newest(tmp_path):
    saved(tmp_path, 1, 2, 3, 10, keep=2)
    assert step_names(tmp_path) == ["10", "3"]


def test_keep_counts_only_steps_with_checksums(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    (tmp_path / "2" / LIST_NAME).unlink()
    save(checkpoints, 3, small(3))
    assert step_names(tmp_path) == ["1", "3"]


def test_saving_an_earlier_step_removes_the_later_ones(tmp_path):
    checkpoints = saved(tmp_path, 10, 20)
    save(checkpoints, 15, small(15))
    assert step_names(tmp_path) == ["10", "15"]


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    save(checkpoints, 2, small(7))
    assert step_names(tmp_path) == ["1", "2"]
    assert bits(restore(checkpoints, small()).state) == bits(small(7))


def test_older_steps_stay_until_the_new_one_has_checksums(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1, keep=1)
    there = []

    def watched(folder):
        there.append(step_names(tmp_path))
        write_checksums(folder)

    monkeypatch.setattr(checkpoint, "write_checksums", watched)
    save(checkpoints, 2, small(2))
    assert there == [["1", "2"]]
    assert step_names(tmp_path) == ["2"]


# --- damage -------------------------------------------------------------------------------------


def test_flipped_bit_in_any_file_is_caught_named_and_passed_over(tmp_path, caplog):
    checkpoints = saved(tmp_path, 1, 2)
    files = [path for path in (tmp_path / "2").rglob("*") if path.is_file()]
    assert len(files) >= 8
    for number, path in enumerate(files):
        if path.stat().st_size == 0:
            continue
        caplog.clear()
        position, bit = random.Random(number).randrange(10**6), number % 8
        flip(path, position, bit)
        assert restore(checkpoints, small()).step == 1
        assert "step 2 is not good" in caplog.text
        if path.name != LIST_NAME:
            assert path.relative_to(tmp_path / "2").as_posix() in caplog.text
        flip(path, position, bit)
    caplog.clear()
    assert restore(checkpoints, small()).step == 2
    assert caplog.text == ""


def test_flipped_bit_anywhere_in_the_list_of_checksums_is_caught(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights").write_bytes(b"1234")
    (tmp_path / "empty").touch()
    write_checksums(tmp_path)
    listing = tmp_path / LIST_NAME
    for position in range(listing.stat().st_size):
        for bit in {5, position % 8}:  # 5 turns a letter into its capital
            flip(listing, position, bit)
            assert find_damage(tmp_path) is not None, (position, bit)
            flip(listing, position, bit)
    assert find_damage(tmp_path) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs the command sha256sum")
def test_list_of_checksums_is_read_by_sha256sum(tmp_path):
    (tmp_path / "weights").write_bytes(b"1234")
    write_checksums(tmp_path)
    command = ["sha256sum", "--check", "--strict", "--quiet", LIST_NAME]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    flip(tmp_path / "weights")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_checksums_notice_a_missing_an_added_and_an_empty_list(tmp_path):
    (tmp_path / "weights").write_bytes(b"1234")
    write_checksums(tmp_path)
    (tmp_path / ".DS_Store").touch()
    assert find_damage(tmp_path) is None
    (tmp_path / "more").touch()
    assert find_damage(tmp_path) == f"more is not in {LIST_NAME}"
    (tmp_path / "more").unlink()
    (tmp_path / "weights").unlink()
    assert find_damage(tmp_path) == "weights is missing"
    (tmp_path / LIST_NAME).write_text("")
    assert find_damage(tmp_path) == f"{LIST_NAME} is damaged"


@pytest.mark.parametrize("victim", [LIST_NAME, "state/_METADATA", "record/metadata"])
def test_missing_file_is_named_and_passed_over(tmp_path, caplog, victim):
    checkpoints = saved(tmp_path, 1, 2)
    (tmp_path / "2" / victim).unlink()
    assert restore(checkpoints, small()).step == 1
    assert f"step 2 is not good: {victim} is missing" in caplog.text


def test_what_orbax_cannot_read_is_passed_over(tmp_path, caplog):
    checkpoints = saved(tmp_path, 1, 2)
    (tmp_path / "2" / "state" / "_METADATA").write_text("{")
    write_checksums(tmp_path / "2")  # the checksums agree: only orbax can tell
    assert restore(checkpoints, small()).step == 1
    assert "step 2 is not good: orbax cannot read it" in caplog.text


def test_half_written_steps_are_passed_over_and_cleared(tmp_path):
    """What a kill leaves: orbax's temporary folder, and a committed step without checksums."""
    close(saved(tmp_path, 1, 2))
    shutil.copytree(tmp_path / "2", tmp_path / "3.orbax-checkpoint-tmp")
    (tmp_path / "2" / LIST_NAME).unlink()
    checkpoints = open_checkpoints(tmp_path)
    assert step_names(tmp_path) == ["1", "2"]
    assert restore(checkpoints, small()).step == 1
    save(checkpoints, 2, small(9))
    assert bits(restore(checkpoints, small()).state) == bits(small(9))


def test_kill_while_a_step_is_saved_again_leaves_the_old_one(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1, keep=1)

    def killed(folder):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_checksums", killed)
        patch.setattr(checkpoint, "withdraw", lambda *_: None)  # a killed process tidies nothing
        with pytest.raises(SystemExit):
            save(checkpoints, 1, small(9))
    assert step_names(tmp_path) == ["1", "replaced-1"]
    again = open_checkpoints(tmp_path, keep=1)
    assert bits(restore(again, small()).state) == bits(small(1))
    assert step_names(tmp_path) == ["1"]


def test_no_good_checkpoint_is_an_error_that_names_every_fault(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    flip(tmp_path / "1" / "state" / "_METADATA")
    flip(tmp_path / "2" / "record" / "metadata")
    with pytest.raises(CheckpointError) as caught:
        restore(checkpoints, small())
    message = str(caught.value)
    assert "step 2: record/metadata does not match its checksum" in message
    assert "step 1: state/_METADATA does not match its checksum" in message
    assert "Delete the folder to start from scratch, or give another --results folder" in message
    assert isinstance(caught.value, AblaxError)


@pytest.mark.slow
def test_kill_in_the_middle_of_saving_leaves_the_last_finished_step(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import jax.numpy as jnp
        from ablax.training.checkpoint import open_checkpoints, restore, save
        checkpoints = open_checkpoints(Path(sys.argv[1]))
        found = restore(checkpoints, {"w": jnp.zeros(50_000), "step": jnp.int32(0)})
        step = 0 if found is None else found.step
        while True:
            step += 1
            save(checkpoints, step, {"w": jnp.full(50_000, float(step)), "step": jnp.int32(step)})
            print(step, flush=True)
    """)
    like = {"w": jnp.zeros(50_000), "step": jnp.int32(0)}
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            done = 0
            for _ in range(rng.randrange(2, 6)):
                done = int(process.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.1))  # anywhere inside the next save
            process.send_signal(signal.SIGKILL)
            done = max([done, *map(int, process.stdout.read().split())])
        found = restore(open_checkpoints(tmp_path), like)
        assert found.step in (done, done + 1)  # finished, but killed before it could say so
        assert np.all(found.state["w"] == found.step)
        assert int(found.state["step"]) == found.step


# --- a foreign checkpoint -----------------------------------------------------------------------


def test_checkpoint_of_another_network_is_refused_with_the_differences(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    other = {"params": {"conv1": {"bias": jnp.zeros(4)}, "fc": jnp.zeros(2)}, "step": jnp.int32(0)}
    with pytest.raises(CheckpointError) as caught:
        restore(checkpoints, other)
    message = str(caught.value)
    assert f"{tmp_path / '2'} is that of another network or optimizer: 2 of 3 leaves" in message
    assert "params.conv1.bias: found float32[3], expected float32[4]" in message
    assert "params.fc: found nothing, expected float32[2]" in message
    assert "Give another --results folder, or delete this one" in message


OF = {"variant": "full", "seed": 0, "key": "ab"}


def test_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path):
    with open_checkpoints(tmp_path, of=OF) as checkpoints:
        save(checkpoints, 3, small())
        assert restore(checkpoints, small()).step == 3
    others = {**OF, "seed": 1, "key": "cd"}
    with (
        open_checkpoints(tmp_path, of=others) as checkpoints,
        pytest.raises(
            CheckpointError, match=r"seed: 0 there, 1 expected; key: 'ab' there, 'cd' expected"
        ),
    ):
        restore(checkpoints, small())


def test_checkpoint_in_the_place_of_another_step_is_refused(tmp_path):
    with open_checkpoints(tmp_path, of=OF) as checkpoints:
        save(checkpoints, 3, small())
    (tmp_path / "3").rename(tmp_path / "4")
    with (
        open_checkpoints(tmp_path, of=OF) as checkpoints,
        pytest.raises(CheckpointError, match="step: 3 there, 4 expected"),
    ):
        restore(checkpoints, small())


def test_all_of_a_step_is_on_the_disk_before_its_checksums(tmp_path, monkeypatch):
    synced, real = set(), os.fsync

    def fsync(descriptor):
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    def listed(folder):
        there = {str(path) for path in (folder, *folder.rglob("*"))}
        assert there <= synced
        write_checksums(folder)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("ablax.training.checkpoint.write_checksums", listed)
    with open_checkpoints(tmp_path) as checkpoints:
        save(checkpoints, 3, small())
    assert steps_in(tmp_path) == [3]


def test_checkpoint_of_another_dtype_is_refused_not_cast(tmp_path):
    checkpoints = saved(tmp_path, 1)
    with pytest.raises(CheckpointError, match=r"step: found int32\[\], expected uint32\[\]"):
        restore(checkpoints, {**small(), "step": jnp.uint32(0)})


def test_differences_name_the_first_few():
    text = differences({}, {f"layer{i}": "float32[1]" for i in range(9)}, most=2)
    assert text.splitlines()[0] == "9 of 9 leaves differ:"
    assert text.splitlines()[-1] == "  ... and 7 more"
    assert len(text.splitlines()) == 4


def test_description_refuses_what_cannot_be_saved():
    with pytest.raises(TypeError, match=r"key is a PRNG key: save jax.random.key_data"):
        describe({"key": jax.random.key(0)})
    with pytest.raises(TypeError, match="name is a str"):
        describe({"name": "alexnet"})
    with pytest.raises(ValueError, match=r"two leaves of the state have the path a\.b"):
        describe({"a.b": 1, "a": {"b": 2}})


def test_refused_state_leaves_the_folder_as_it_was(tmp_path):
    checkpoints = saved(tmp_path, 1)
    with pytest.raises(TypeError, match="PRNG key"):
        save(checkpoints, 1, {"key": jax.random.key(0)})
    with pytest.raises(ValueError, match="step = -1"):
        save(checkpoints, -1, small())
    assert step_names(tmp_path) == ["1"]
    assert restore(checkpoints, small()).step == 1


# --- the disk -----------------------------------------------------------------------------------


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "results").write_text("")
    for place in (tmp_path / "results", tmp_path / "results" / "checkpoints"):
        with pytest.raises(CheckpointError, match="Give another folder") as caught:
            open_checkpoints(place)
        assert str(place) in str(caught.value)


def test_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(CheckpointError, match=r"cannot be written to .* \(Permission denied\)"):
        open_checkpoints(tmp_path)


def test_keep_of_zero_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep = 0"):
        open_checkpoints(tmp_path, keep=0)


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["_commit", "write_checksums"])
def test_full_disk_keeps_the_last_good_step_and_says_what_is_needed(tmp_path, monkeypatch, failing):
    checkpoints = saved(tmp_path, 1, 2)
    proper = checkpoint._commit

    def full(*args):
        if failing == "_commit":
            proper(*args)  # as far as a disk that fills up at the very end lets it come
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, failing, full)
        with pytest.raises(CheckpointError) as caught:
            save(checkpoints, 3, small(3))
        with pytest.raises(CheckpointError):
            save(checkpoints, 2, small(9))  # a step that is there: the old one comes back
    message = str(caught.value)
    assert f"step 3 cannot be saved to {tmp_path}: no space left" in message
    assert "about 16 are needed" in message  # three floats and an int
    assert "Steps still there: 1, 2" in message
    assert step_names(tmp_path) == ["1", "2"]
    assert bits(restore(checkpoints, small()).state) == bits(small(2))
    save(checkpoints, 3, small(3))
    assert step_names(tmp_path) == ["2", "3"]


def test_disk_that_turned_read_only_is_named_in_whatever_words_it_is_told(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1)

    def told_in_words(*_):
        raise ValueError(f"UNKNOWN: Failed to open file [{os.strerror(errno.EROFS)}]")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_commit", told_in_words)
        with pytest.raises(CheckpointError, match=r"Read-only file system\. Look why the disk"):
            save(checkpoints, 2, small(2))
    assert step_names(tmp_path) == ["1"]


def test_interrupt_while_saving_leaves_no_trace(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1)

    def interrupted(folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_checksums", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(checkpoints, 2, small(2))
    assert step_names(tmp_path) == ["1"]


def test_really_full_disk_keeps_the_last_good_step(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(mount, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        checkpoints = saved(tmp_path / "c", 1)
        big = {"w": jnp.asarray(np.random.default_rng(0).integers(0, 255, 1_200_000, np.uint8))}
        with pytest.raises(CheckpointError, match=r"no space left: .* about 1,200,000 are needed"):
            save(checkpoints, 2, big)
        assert step_names(tmp_path / "c") == ["1"]
        assert bits(restore(checkpoints, small()).state) == bits(small(1))
        save(checkpoints, 2, small(2))
        close(checkpoints)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# --- several devices ----------------------------------------------------------------------------


@pytest.mark.slow
def test_arrays_come_back_to_the_sharding_that_is_asked_for(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import jax, jax.numpy as jnp
        from jax.sharding import NamedSharding, PartitionSpec
        from ablax.training.checkpoint import open_checkpoints, restore, save
        mesh = jax.make_mesh((4,), ("batch",))
        split = NamedSharding(mesh, PartitionSpec("batch"))
        whole = NamedSharding(mesh, PartitionSpec())
        values = jnp.arange(8.0)
        state = {"split": jax.device_put(values, split), "whole": jax.device_put(values, whole)}
        checkpoints = open_checkpoints(Path(sys.argv[1]))
        save(checkpoints, 1, state)
        crossed = {
            "split": jax.ShapeDtypeStruct((8,), jnp.float32, sharding=whole),
            "whole": jax.device_put(jnp.zeros(8), split),
        }
        for like in (state, crossed):
            found = restore(checkpoints, like).state
            for name in like:
                assert found[name].sharding == like[name].sharding, (name, found[name].sharding)
                assert (found[name] == values).all()
    """)
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # One device reads what four wrote.
    like = {"split": jnp.zeros(8), "whole": jnp.zeros(8)}
    assert bits(restore(open_checkpoints(tmp_path), like).state["split"]) == bits(jnp.arange(8.0))
