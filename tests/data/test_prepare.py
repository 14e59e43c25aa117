"""The throw-away TensorFlow environment: the commands in order, and always deleted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ablax.data import prepare as module
from ablax.data.images import DataError
from ablax.data.prepare import main, prepare


class Recorder:
    """Runs nothing; the command whose arguments contain `fails` exits with 1."""

    def __init__(self, fails=None):
        self.commands, self.fails, self.homes = [], fails, []

    def __call__(self, command):
        self.commands.append(list(command))
        if "venv" in command:
            self.homes.append(Path(command[-1]))
        assert self.homes[-1].is_dir()
        return 1 if self.fails in command else 0


def test_prepare_makes_an_environment_installs_tensorflow_and_prepares_array_record(tmp_path):
    run = Recorder()
    prepare("cifar10", tmp_path / "data", python="/some/python", run=run)
    make, install, download = run.commands
    home = run.homes[0]
    assert make == ["/some/python", "-m", "venv", str(home)]
    assert install[:4] == [str(home / "bin" / "python"), "-m", "pip", "install"]
    assert {"tensorflow", "tensorflow-datasets"} <= set(install)
    assert download[0] == install[0]
    assert download[-2:] == ["cifar10", str(tmp_path / "data")]
    assert 'file_format="array_record"' in download[2]
    assert "download_and_prepare()" in download[2]
    compile(download[2], "program", "exec")
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("venv", "making a temporary environment.*failed.*exit status 1.*venv module"),
        ("pip", "installing TensorFlow.*failed.*needs a network"),
        ("-c", "downloading and preparing cifar10.*failed.*needs a network"),
    ],
)
def test_prepare_says_which_step_failed_and_deletes_the_environment(tmp_path, fails, message):
    run = Recorder(fails)
    with pytest.raises(DataError, match=message):
        prepare("cifar10", tmp_path, run=run)
    assert not run.homes[0].exists()


def test_prepare_deletes_the_environment_when_interrupted(tmp_path):
    homes = []

    def interrupted(command):
        homes.append(Path(command[-1]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("cifar10", tmp_path, run=interrupted)
    assert not homes[0].exists()


def test_prepare_deletes_the_environment_when_terminated(tmp_path):
    program = (
        "import sys, time; from ablax.data import prepare\n"
        "def run(command):\n"
        "    print(command[-1], flush=True)\n"
        "    time.sleep(60)\n"
        "prepare._run = run\n"
        "prepare.main(['cifar10', '--folder', sys.argv[1]])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "making a temporary environment" in process.stdout.readline()
        home = Path(process.stdout.readline().strip())
        assert home.is_dir()
        process.terminate()
        assert process.wait(timeout=30) == 143
    assert not home.exists()


def test_the_program_that_prepares_ends_with_one_line_when_it_fails(tmp_path):
    (tmp_path / "tensorflow_datasets.py").write_text(
        "def builder(name, **options):\n    raise ConnectionError('no such host')\n"
    )
    command = [sys.executable, "-c", module._PROGRAM, "cifar10", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "ConnectionError: no such host\n")


def test_prepare_takes_the_source_as_the_recipes_write_it(tmp_path):
    run = Recorder()
    prepare("tfds:cifar10:3.0.2", tmp_path, run=run)
    assert run.commands[-1][-2] == "cifar10:3.0.2"


@pytest.mark.parametrize("name", ["", "two words", "a;b", "../x"])
def test_prepare_refuses_what_is_no_name(tmp_path, name):
    with pytest.raises(DataError, match="is no name of a data set"):
        prepare(name, tmp_path, run=Recorder())


def test_prepare_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        prepare("cifar10", tmp_path / "file" / "data", run=Recorder())


def test_the_command_ends_with_status_2_and_a_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own
    monkeypatch.setattr(module, "_run", Recorder("pip"))
    assert main(["cifar10", "--folder", str(tmp_path)]) == 2
    assert "needs a network" in capsys.readouterr().err
    monkeypatch.setattr(module, "_run", Recorder())
    assert main(["cifar10", "--folder", str(tmp_path)]) == 0
    assert f"--data.dir {tmp_path}" in capsys.readouterr().out
