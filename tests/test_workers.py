"""Runs side by side: the schedule, the same bits, and what becomes of a worker that is killed."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ablax
from ablax.report.verdict import decided, verdict
from ablax.study.workers import RunKey, Schedule, environment_of, leave_room, worth

FULL, CUT = (RunKey(0, name, 0) for name in ("full", "cut"))

QUESTION = '''"""Small.

Question: does a second layer lower the test error?

Source: none.

Prediction: no.
"""

import os
import signal
from pathlib import Path

from ablax import Experiment, Layers, Network
from ablax.core import remove, sequential
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.measurements.measurement import Measurement
from ablax.report.study import Section


def network(inputs):
    return Network(
        Layers(conv1=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        Layers(conv2=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        Layers(pool=GlobalAveragePool(), output=Dense(inputs.classes)),
    )


def largest(model, sample):
    deaths = Path(os.environ.get("DEATHS", "none"))
    if deaths.exists() and (sample.variant, sample.seed) == ("cut", 0):
        left = int(deaths.read_text())
        deaths.write_text(str(left - 1))
        if left > 0:
            os.kill(os.getpid(), signal.SIGKILL)
    kernel = model.variables["params"]["conv1"]["conv"]["kernel"]
    return [{"largest": float(abs(kernel).max())}]


EXPERIMENT = Experiment(
    __doc__,
    network,
    {"cut": remove("conv2")},
    measurements=(
        Measurement("largest", largest, Section("Weights"), moments=("training", "end")),
    ),
)
'''


def test_two_runs_of_one_variant_begin_side_by_side_only_when_it_is_compiled():
    second = FULL._replace(seed=1)
    schedule = Schedule([FULL, second])
    assert schedule.begin() == FULL
    assert schedule.begin() is None
    schedule.compiled(FULL)
    assert schedule.begin() == second
    assert schedule.left(0) == 2
    schedule.end(FULL)
    schedule.end(second)
    assert (schedule.left(0), schedule.begin()) == (0, None)


def test_a_run_that_came_to_nothing_is_the_next_and_waits_for_no_compiled_program():
    schedule = Schedule([FULL, CUT])
    schedule.begin()
    schedule.again(FULL)
    assert schedule.begin() == FULL


def test_seeds_are_added_behind_and_a_decided_job_begins_no_more():
    other = RunKey(1, "full", 0)
    schedule = Schedule([FULL, CUT, other])
    schedule.begin()
    schedule.add([FULL, FULL._replace(seed=1)])
    assert schedule.waiting == [CUT, other, FULL._replace(seed=1)]
    assert schedule.drop(0) == [CUT, FULL._replace(seed=1)]
    assert (schedule.left(0), schedule.left(1)) == (1, 1)


@given(
    variants=st.integers(1, 4),
    seeds=st.integers(1, 4),
    workers=st.integers(1, 5),
    chance=st.randoms(use_true_random=False),
)
def test_every_run_is_begun_once_whatever_the_order_of_their_ends(variants, seeds, workers, chance):
    runs = [RunKey(0, str(v), s) for s in range(seeds) for v in range(variants)]
    schedule, begun, busy = Schedule(list(runs)), [], []
    while schedule.left(0):
        while len(busy) < workers and (run := schedule.begin()):
            begun.append(run)
            busy.append(run)
        schedule.end(busy.pop(chance.randrange(len(busy))))
    assert sorted(begun) == sorted(runs)


def test_there_are_as_many_workers_as_cores_runs_and_memory_allow(monkeypatch):
    monkeypatch.setattr("ablax.study.workers.available_cores", lambda: 16)
    big = 1 << 40
    assert worth(1, runs=100, room=big) == 16
    assert worth(4, runs=100, room=big) == 4
    assert worth(32, runs=100, room=big) == 1
    assert worth(1, runs=3, room=big) == 3
    assert worth(1, runs=100, room=6 << 30) == 3
    assert worth(None, runs=100, room=big) == 1


def test_a_worker_has_its_own_accelerator_or_its_number_of_threads(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment_of(5, 2, accelerators=4) == {"CUDA_VISIBLE_DEVICES": "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7")
    assert environment_of(5, 2, accelerators=2) == {"CUDA_VISIBLE_DEVICES": "GPU-7"}
    assert environment_of(5, 2)["NPROC"] == "2"
    assert environment_of(5, None) == {}


@pytest.mark.parametrize(
    ("visible", "workers", "left"),
    [("0,1", None, True), ("0", None, False), ("0", 2, True), ("0,1", 0, False), ("", None, False)],
)
def test_a_parent_leaves_the_memory_of_gpus_to_its_workers(monkeypatch, visible, workers, left):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "")  # so that it is put back
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    leave_room(workers)
    assert (os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE") == "false") is left


# --- whole runs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("side by side")
    (folder / "small.py").write_text(QUESTION)
    return folder


def command(results, *more):
    words = ["run", "small.py", "--config", "smoke", "--seeds", "2", "--data.share", "0.2"]
    words += ["--train.checkpoint-seconds", "0", "--train.chunk", "2", "--results", results]
    return [sys.executable, "-m", "ablax", *words, *more]


def run(place, results, *more, status=0, prefix=(), **environment):
    done = subprocess.run(
        [*prefix, *command(results, *more)],
        cwd=place,
        env={**os.environ, "ABLAX_CACHE": str(place / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def figures(folder):
    with (folder / "results.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(place):
    run(place, "alone", "--workers", "0")
    return figures(place / "alone")


@pytest.mark.slow
def test_the_numbers_depend_on_no_workers_nor_on_one_that_is_killed(place, alone):
    deaths = place / "deaths"
    deaths.write_text("1")
    said = run(place, "two", "--workers", "2", DEATHS=str(deaths))
    assert "2 runs side by side with 1 core each" in said
    assert "its worker was killed" in said
    assert figures(place / "two") == alone


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no cores to choose")
def test_the_numbers_do_not_depend_on_cores(place, alone):
    core = str(min(os.sched_getaffinity(0)))
    run(place, "one core", "--workers", "4", prefix=("taskset", "-c", core))
    assert figures(place / "one core") == alone


@pytest.mark.deep
def test_a_run_that_no_worker_survives_is_named_and_the_others_are_done(place, alone):
    deaths = place / "deaths"
    deaths.write_text("2")
    said = run(place, "killed twice", "--workers", "2", DEATHS=str(deaths), status=2)
    assert "ablax: without conv2 · seed 0: its worker was killed" in said or (
        "cut · seed 0: its worker was killed" in said
    )
    done = {(row["variant"], row["seed"]) for row in figures(place / "killed twice")}
    assert done == {("full", "0"), ("full", "1"), ("cut", "1")}
    run(place, "killed twice", "--workers", "2", DEATHS=str(deaths))
    assert figures(place / "killed twice") == alone


def workers_of(parent):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(its_parent) == parent and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "sent", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.deep)]
)
def test_nothing_is_left_behind_whatever_ends_the_parent(place, alone, sent):
    results = f"ended by {sent.name}"
    process = subprocess.Popen(
        command(results, "--workers", "2"),
        cwd=place,
        env={**os.environ, "ABLAX_CACHE": str(place / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = place / results / "metrics.jsonl"
    while process.poll() is None and not log.exists():
        time.sleep(0.02)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if sent is signal.SIGKILL else 130)
    assert ("the same command goes on" in said) == (sent is signal.SIGINT)
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives the parent"
        time.sleep(0.05)
    run(place, results, "--workers", "2")
    assert figures(place / results) == alone


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.deep), 2])
def test_seeds_are_added_while_it_runs_until_a_question_is_decided(place, alone, workers):
    asked = []

    def steer(study):
        asked.append(len(study.runs))
        return 0 if len(asked) == 4 else 9

    study = ablax.run(
        str(place / "small.py"), "smoke", seeds=1, data={"share": 0.2}, workers=workers,
        train={"checkpoint_seconds": 0.0, "chunk": 2}, steer=steer, progress=False,
        folder=place / f"steered-{workers}",
    )  # fmt: skip
    begun = 4 if workers == 0 else (4, 5)
    done = {(run.variant, run.seed): run.test_error for run in study.runs}
    assert len(done) == begun if workers == 0 else len(done) in begun
    told = {(row["variant"], int(row["seed"])): float(row["test_error"]) for row in alone}
    # which of them began depends on how fast the two workers are
    shared = done.keys() & told.keys()
    assert len(shared) == 4 if workers == 0 else len(shared) >= 2
    assert {run: done[run] for run in shared} == pytest.approx({run: told[run] for run in shared})


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.deep), 2])
def test_auto_adds_whole_groups_of_seeds_and_trains_nothing_when_it_is_asked_again(place, workers):
    claim = """
    claims=(
        Claim("more layers learn", "cut:mean_train_error", "full:mean_train_error", 1e-6),
    ),
)"""
    doubt = QUESTION.replace("import Section", "import Claim, Section")
    (place / "doubt.py").write_text(doubt.rstrip().removesuffix(")").rstrip() + claim)

    def study(most):
        return ablax.run(
            str(place / "doubt.py"), "smoke", seeds="auto", most_seeds=most, conclusions=True,
            data={"share": 0.2}, workers=workers, progress=False,
            folder=place / f"doubt-{workers}",
        )  # fmt: skip

    once = study(7)
    seeds = len(once.seeds)
    assert seeds == 7 or (seeds == 5 and decided(once))
    assert {run.variant: run.seed for run in once.runs} == {"full": seeds - 1, "cut": seeds - 1}
    again = study(7)
    assert [run.seconds for run in again.runs] == [run.seconds for run in once.runs]
    found = verdict(once).findings[0].measured.interval
    if found is not None:
        assert found.level > 0.95 or seeds == 7


@pytest.mark.deep
def test_what_one_experiment_is_refused_for_does_not_stop_the_others(place):
    (place / "bad.py").write_text(
        QUESTION.replace(
            '    kernel = model.variables["params"]["conv1"]["conv"]["kernel"]\n',
            '    from ablax.errors import AblaxError\n\n    raise AblaxError("no such thing")\n',
        )
    )
    words = command("both", "--workers", "2")
    words.insert(words.index("small.py"), "bad.py")
    done = subprocess.run(
        words,
        cwd=place,
        env={**os.environ, "ABLAX_CACHE": str(place / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "ablax: no such thing"
    assert (place / "both" / "small" / "report.html").exists()
    assert {row["status"] for row in figures(place / "both" / "small")} == {"finished"}
