"""The notebooks are kept clean, install beside JAX, and run from their first cell to their last."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jax
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from ablax.config import with_fields
from ablax.study.discovery import experiment, recipe

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COLAB = ROOT / "notebooks" / "experiments_on_colab.ipynb"
TOUR = ROOT / "notebooks" / "from_one_neuron_to_densenet.ipynb"
EXPERIMENTS = ("alexnet_ablation", "depth_sweep", "heads")
DEVICES = 3
KEYWORDS = ("experiment", "recipe", "only", "folder")


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def tagged(path, tag):
    (cell,) = [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]
    return cell.source


def without_magics(source):
    return re.sub(r"^[%!].*$", "", source, flags=re.MULTILINE)


def run_cells(*tags, **scope):
    """The cells of the notebook for Colab that bear these tags, in one namespace."""
    for tag in tags:
        exec(tagged(COLAB, tag), scope)
    return scope


# As it is kept


def test_there_are_two_notebooks_and_both_are_known_here():
    assert [COLAB, TOUR] == PATHS


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_kept_without_outputs_and_counts(path):
    nbformat.validate(nbformat.read(path, 4))
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_code_cell_parses(path):
    for cell in code_cells(path):
        ast.parse(without_magics(cell.source))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_address_of_a_registry_and_no_path_of_a_machine_is_in_it(path):
    wrong = r"/work/|/tmp/|/home/|/root|/opt/|/Users/|pypi|index-url|https?://"
    for cell in nbformat.read(path, 4).cells:
        assert not re.search(wrong, cell.source, re.IGNORECASE), cell.source


def test_both_notebooks_install_in_the_same_way():
    assert tagged(COLAB, "install") == tagged(TOUR, "install")


def test_every_stop_of_the_tour_ends_with_an_exercise():
    texts = [cell.source for cell in nbformat.read(TOUR, 4).cells if cell.cell_type == "markdown"]
    stops = re.split(r"^## (?=\d)", "\n".join(texts), flags=re.MULTILINE)[1:]
    assert len(stops) == 13
    assert all("**Exercise.**" in stop for stop in stops)


# Installing


@pytest.fixture
def tools(capsys):
    found = run_cells("install")
    assert "ablax" in capsys.readouterr().out
    return found


def test_the_constraints_pin_the_jax_that_is_installed(tools):
    lines = tools["constraints"](tools["versions"]()).splitlines()
    assert f"jax=={jax.__version__}" in lines
    assert [line.split("==")[0] for line in lines][:2] == ["jax", "jaxlib"]


def test_the_constraints_pin_what_drives_an_accelerator_and_nothing_else(tools):
    installed = {"jax": "1", "jaxlib": "2", "libtpu": "3", "numpy": "4", "jaxtyping": "5"}
    plugins = {"jax-cuda13-plugin": "6", "jax-cuda13-pjrt": "7", "libtpu-nightly": "8"}
    lines = tools["constraints"](installed | plugins).splitlines()
    assert set(lines) == {
        *("jax==1", "jaxlib==2", "libtpu==3"),
        *("jax-cuda13-plugin==6", "jax-cuda13-pjrt==7", "libtpu-nightly==8"),
    }


class Shell:
    """Stands for `subprocess`: keeps the commands, and the constraints that pip was given."""

    def __init__(self, status=0, computes=("gpu 1", "gpu 1")):
        self.commands, self.kept, self.status = [], "", status
        self.computes = iter(computes)

    def run(self, command, **_):
        self.commands.append(command)
        if "pip" in command:
            self.kept = Path(command[command.index("-c") + 1]).read_text()
            return SimpleNamespace(returncode=self.status, stdout="", stderr="no such version")
        said = next(self.computes) if "import jax" in command[-1] else ""
        return SimpleNamespace(returncode=0, stdout=said + "\n", stderr="")


def install(tools, monkeypatch, tmp_path, shell, after=None):
    """Install a checkout in a folder; pip may change versions on the way."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "pyproject.toml").write_text("")
    before = {"jax": "0.12.0", "jaxlib": "0.12.0", "numpy": "1"}
    found = iter([before, before | (after or {})])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(tools, "subprocess", shell)
    monkeypatch.setitem(tools, "versions", lambda: next(found))
    tools["install"](str(tmp_path / "source"))


@pytest.mark.slow
def test_pip_is_held_to_the_installed_jax(tools, monkeypatch, tmp_path, capsys):
    shell = Shell()
    install(tools, monkeypatch, tmp_path, shell, after={"new": "1"})
    (pip,) = [command for command in shell.commands if "pip" in command]
    assert pip[:4] == [sys.executable, "-m", "pip", "install"]
    assert shell.kept == "jax==0.12.0\njaxlib==0.12.0\n"
    assert "RESTART" not in capsys.readouterr().out


def test_a_jax_that_changed_all_the_same_is_noticed(tools, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match="JAX or its accelerator has changed"):
        install(tools, monkeypatch, tmp_path, Shell(), after={"jaxlib": "0.13.0"})


def test_an_accelerator_that_is_no_longer_seen_is_noticed(tools, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match="JAX or its accelerator has changed"):
        install(tools, monkeypatch, tmp_path, Shell(computes=("tpu 8", "cpu 1")))


def test_a_package_that_changed_while_in_use_asks_for_a_restart(
    tools, monkeypatch, tmp_path, capsys
):
    install(tools, monkeypatch, tmp_path, Shell(), after={"numpy": "2"})
    assert "RESTART the session, then go on below: numpy were" in capsys.readouterr().out


def test_what_pip_says_is_shown_when_it_fails(tools, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match=r"beside \['jax==0.12.0'.*\n?.*no such version"):
        install(tools, monkeypatch, tmp_path, Shell(status=1))


def test_without_a_source_the_cell_says_what_to_fill_in(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="fill in SOURCE above"):
        run_cells("install")


def test_a_zip_is_unpacked_and_the_project_found_in_it(tools, tmp_path):
    with zipfile.ZipFile(tmp_path / "ablax.zip", "w") as archive:
        archive.writestr("ablax-main/pyproject.toml", "the project")
        archive.writestr("ablax-main/vendored/pyproject.toml", "another")
    found = tools["checkout"](str(tmp_path / "ablax.zip"))
    assert (found / "pyproject.toml").read_text() == "the project"


def test_a_source_without_a_project_is_refused(tools, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no pyproject\.toml in it"):
        tools["checkout"](str(tmp_path / "empty"))


# Budgets and data


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """From the first cell to the one that defines `run`, for a budget, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ablax.training.loop.set_up", lambda: None)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))

    def made(budget, data=True):
        monkeypatch.setenv("ABLAX_NOTEBOOK_BUDGET", budget)
        found = run_cells("install", "device")
        monkeypatch.setitem(found, "jax", SimpleNamespace(device_count=lambda: DEVICES))
        return run_cells(*(["data"] if data else []), "results", "run", **found)

    return made


def called(found, name):
    """What the notebook calls `ablax.run` with, the experiment, and the recipe that it makes."""
    call = found["call"](name)
    _, question = experiment(name)
    under, base = recipe(call["recipe"])
    fields = {field: value for field, value in call.items() if field not in KEYWORDS}
    return call, question, with_fields(question.budgeted(under, base), fields)


@pytest.mark.parametrize("budget", ["tpu", "gpu", "cpu", "smoke"])
def test_every_budget_gives_every_experiment_a_recipe_that_the_devices_can_share(lab, budget):
    found = lab(budget, data=False)
    for name in EXPERIMENTS:
        call, question, asked = called(found, name)
        assert call["recipe"] == found["BUDGETS"][budget]["recipe"]
        assert asked.train.batch % DEVICES == 0
        assert len(question.chosen(call["recipe"], tuple(call["only"]))) >= 2
        assert call["folder"] == Path("results/notebook") / budget / name


def test_the_fields_of_a_budget_reach_the_recipe_and_the_experiments_own_stay(lab):
    found = lab("gpu", data=False)
    call, question, asked = called(found, "depth_sweep")
    assert asked.train.epochs == found["BUDGETS"]["gpu"]["fields"]["train.epochs"]
    assert asked.width == found["BUDGETS"]["gpu"]["depth_sweep"]["width"]
    assert asked.optimizer.schedule == "step"  # the paper's, of the experiment itself
    assert set(question.chosen("cifar10", call["only"])) == set(found["DEPTHS"])


def test_without_cifar_10_the_experiments_run_on_digits(lab, monkeypatch, capsys):
    commands = []

    def fails(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(subprocess, "run", fails)
    found = lab("tpu")
    assert len(commands) == 1
    assert "cifar10" in commands[0]
    assert "is not available: the experiments run on digits" in capsys.readouterr().out
    assert called(found, "heads")[2].data.source == "digits"


def test_nothing_is_fetched_where_digits_are_enough(lab, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something is fetched"))
    lab("cpu")


# From the first cell to the last


class OwnKernel(AsyncKernelManager):
    """A kernel of this interpreter; none need be installed."""

    @property
    def kernel_spec(self):
        launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=launch, display_name="ours", language="python")


def executed(path, root, monkeypatch, flags=""):
    """The notebook after it ran with the smoke budget in a folder of its own, without a network."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(root / "runtime"))
    environment = {
        **{name: text for name, text in os.environ.items() if name != "TFDS_DATA_DIR"},
        "ABLAX_NOTEBOOK_BUDGET": "smoke",
        "ABLAX_CACHE": str(root / "cache"),
        "IPYTHONDIR": str(root / "ipython"),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": flags,
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    work = root / "work"
    work.mkdir()
    book = nbformat.read(path, 4)
    place = {"metadata": {"path": str(work)}}
    client = NotebookClient(book, timeout=600, kernel_manager_class=OwnKernel, resources=place)
    client.execute(env=environment)
    return book, work


def said(book):
    """All text that the cells show."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [
        output.get("text") or output.get("data", {}).get("text/markdown") for output in outputs
    ]
    return "\n".join(text for text in shown if text)


def count_pictures(book):
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def shown_in_frames(book):
    """Pictures in the reports that the cells show."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return sum(page.count("data:image/svg+xml;base64,") for page in pages)


@pytest.mark.slow
@pytest.mark.deep
def test_the_notebook_for_colab_leaves_three_reports_and_shows_their_plots(tmp_path, monkeypatch):
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    book, work = executed(COLAB, tmp_path, monkeypatch, flags)
    results, text = work / "results" / "notebook" / "smoke", said(book)
    assert sorted(path.parent.name for path in results.glob("*/report.html")) == [*EXPERIMENTS]
    plots = [path for name in EXPERIMENTS for path in (results / name / "plots").glob("*.png")]
    assert shown_in_frames(book) == len(plots) >= 12
    assert f"{DEVICES} x cpu; budget 'smoke'" in text
    for name in EXPERIMENTS:
        recipe = json.loads((results / name / "recipe.json").read_text())
        assert recipe["train.batch"] % DEVICES == 0, "every device has its share"
        assert f"| {name} | " in text
    assert text.count("No answer to whether") == 3, (
        "a budget too small to conclude anything says so"
    )


@pytest.mark.slow
def test_the_tour_agrees_with_itself_and_learns(tmp_path, monkeypatch):
    book, _ = executed(TOUR, tmp_path, monkeypatch)
    text = said(book)
    assert "the gradient agrees" in text
    differences = [
        float(found) for found in re.findall(r"largest difference.*?(\S+e[+-]\d+)", text)
    ]
    assert len(differences) == 3
    assert max(differences) < 1e-4
    assert text.count("[[ 45. 110.]") == 2, "the lecture's example, by hand and by the library"
    assert "those of the input: True" in text
    assert "c5/conv/kernel | (5, 5, 16, 120)" in text
    assert "61,706" in text, "LeNet-5's parameters"
    assert re.search(r"vgg_d \| 138,357,544 \| 15,470,264,320", text)
    error = float(re.search(r"test error after 2 epochs: (\S+) %", text).group(1))
    assert error < 50, "far below chance, 90 %"
    neuron = float(re.search(r"the neuron misclassifies .* \((\S+) %\)", text).group(1))
    assert neuron < 20
    assert count_pictures(book) == 15
