"""The command line: what it says to a person who mistyped, and its exit status."""

import importlib
import io
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import ablax.__main__ as cli
import ablax.commands
from ablax.__main__ import COMMANDS, main
from ablax.config import ConfigError, DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.experiment import Inputs
from ablax.files import sealed
from ablax.study.discovery import experiment
from ablax.study.folder import FORMAT


def fails(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    said = capsys.readouterr()
    assert left.value.code == 2
    assert "Traceback" not in said.err + said.out
    assert said.err.startswith("ablax: ")
    return said.err


MISTAKES = {
    # commands
    "": "which command? ablax list, for instance",
    "runn": "there is no command 'runn': did you mean 'run'?",
    "Show lenet5": "there is no command 'Show': did you mean 'show'?",
    "''": "there is no command '': choose from: list, run, keep",
    "-v": "there is no command '-v'",
    "--help run": "--help takes no further word, and 'run' is one",
    "--versio": "there is no command '--versio': did you mean '--version'?",
    "'run alexnet_ablation'": "did you mean 'run'?",
    "list --format 'text\n'": r"--format 'text\n': did you mean 'text'?",
    "list extra": "list takes no further word, and extra is one: ablax list --help explains",
    "list --format": "--format has no value: expected --format {text,json,markdown}",
    "list --format yaml": "--format yaml: choose from: text, json, markdown",
    "list --format jsn": "--format jsn: did you mean 'json'?",
    "list --formt json": "list has no option --formt: did you mean '--format'?",
    "list --quiet": "list has no option --quiet: ablax list --help lists those there are",
    # networks
    "show": "show needs MODEL: ablax show --help explains what it takes",
    "show --help-me": "show has no option --help-me: ablax show --help lists",
    "show resnet21": "there is no network 'resnet21': did you mean 'resnet",
    "show lenet5 --image-size 8": "layer 'c3/conv' (Convolution) does not fit",
    "show lenet5 --depth -1": "--depth -1: expected at least 0",
    "show lenet5 --depth all": "--depth all: expected a whole number, such as 3",
    "show lenet5 --image-size 0": "--image-size 0: expected at least 1",
    "show lenet5 --image-size 100000": "--image-size 100000: expected at most 10_000",
    "table": "which network? ablax list names them",
    "table lenet5 --convention usal": "there is no convention 'usal': did you mean 'usual'?",
    "table lenet5 --depth 0": "--depth 0: expected at least 1",
    "table lenet5 --format cvs": "--format cvs: did you mean 'csv'?",
    "table lenet5 --plot x.gif": "--plot x.gif: the name must end in .png or .svg or .pdf",
    "table lenet5 --lectures": "give no network",
    "table lenet5 --training --convention lecture": "leave --convention out",
    "table lenet5 --batch 1000000000000": "--batch 1000000000000: expected at most 65_536",
    "roofline lenet5 --batch 0": "--batch 0: expected at least 1",
    "roofline lenet5 --repeats 0": "--repeats 0: expected at least 1",
    "roofline lenet5 --out folder": "--out folder: the name must end in",
    "profile lenet5 --steps 1e12": "--steps 1e12: expected a whole number",
    "profile lenet5 --depth 0": "--depth 0: expected at least 1",
    "plot-errors": "plot-errors needs FILE.png",
    "plot-errors nowhere/x.png": "FILE.png nowhere/x.png: there is no folder nowhere; make it",
    "plot-errors x.png --data imagnet": "--data imagnet: did you mean 'imagenet'?",
    "draw lenet5": "draw needs --out",
    "draw lenet5 --out x.png": "--out x.png: the name must end in .html",
    "draw lenet5 --out x.html --remove": "--remove has no value",
    "draw lenet5 --out x.html --ablation os:system": "system is no ablation: it fails with Type",
    "check-gradient lenet5 --seed -1": "--seed -1: expected at least 0",
    "check-gradient lenet5 --tolerance nan": "--tolerance nan: expected a number above 0",
    "check-gradient lenet5 --tolerance -1": "--tolerance -1: expected a number above 0",
    "check-gradient lenet5 --images 1000000000000": "expected at most 65_536",
    "check-gradient lenet5 --classes 1": "--classes 1: expected at least 2",
    "check-gradient lenet5 --directions 0": "expected at least one of either",
    "receptive-field lenet5 --measure l2": "--measure l2: choose from: absolute, squared",
    "receptive-field lenet5 --effective no/x.png": "--effective no/x.png: there is no folder no",
    "receptive-field ./no": "there is no ./no: give a folder that `ablax run`",
    "inspect lenet5": "inspect needs --out",
    "inspect lenet5 --out folder": "there is nothing to show the network: give pictures",
    "inspect lenet5 --out folder --window 0": "--window 0: expected at least 1",
    "inspect lenet5 --out folder --steps 1000000000000": "expected at most 1_000_000",
    "inspect lenet5 --out folder --only filter": "--only filter: did you mean 'filters'?",
    "inspect lenet5 --out text.txt": "--out text.txt: text.txt is not a folder",
    "inspect lenet5 pipe --out folder": "FILE pipe: expected a regular file, and it is none",
    # weights
    "predict lenet5": "there is no picture to classify",
    "predict lenet5=no text.txt": "there is no file no",
    "predict folder text.txt": "folder is no folder of results (it has no recipe.json)",
    "predict lenet5 no.png": "FILE no.png: there is no such file",
    "predict lenet5 folder": "FILE folder: expected a file, and it is a folder",
    "predict lenet5 pipe": "FILE pipe: expected a regular file",
    "predict lenet5 text.txt --top 0": "--top 0: expected at least 1",
    "predict lenet5 text.txt --resize 100000": "expected at most 10_000",
    "predict lenet5 text.txt --mean 2": "--mean 2: expected a number from 0 to 1",
    "predict lenet5 text.txt --channels GBR": "--channels GBR: did you mean",
    "evaluate lenet5": "on which data? lenet5 says nothing of its own",
    "evaluate lenet5 --data ''": "--data '': expected a name",
    "evaluate lenet5 --data digits --limit 0": "--limit 0: expected at least 1",
    "evaluate lenet5 --data digits --data-dir no": "there is no such folder",
    "evaluate lenet5 --data digits --data.dir no": "there is no such folder",
    "import lenet5 text.txt --from timn": "--from timn: no library whose weights are read: did y",
    "import lenet5 no.pth": "FILE no.pth: there is no such file",
    "import lenet5 text.txt --out text.txt": "--out text.txt: text.txt is not a folder",
    "keep": "keep needs FOLDER",
    "keep nowhere": "FOLDER nowhere: there is no such folder",
    "report": "report needs FOLDER",
    "report nowhere": "FOLDER nowhere: there is no such folder",
    "doctor": "doctor needs EXPERIMENT|MODEL",
    "doctor alexnet_ablation --seed -1": "--seed -1: expected at least 0",
    "doctor alexnet_ablation --out text.txt": "--out text.txt: text.txt is not a folder",
    # experiments
    "run": "which experiment? choose from: alexnet_ablation",
    "run alexnet_ablatoin": "did you mean 'alexnet_ablation'",
    "run ''": "there is no experiment named ''",
    "run alexnet_ablation depth_swepe": "did you mean 'depth_sweep'",
    "run alexnet_ablation --config digit": "did you mean 'digits'",
    "run alexnet_ablation --config ''": "--config '': expected a name",
    "run alexnet_ablation --config": "--config has no value: expected --config RECIPE",
    "run alexnet_ablation --cofnig smoke": "run has no option --cofnig: did you mean '--config'?",
    "run ALEXNET_ABLATION": "did you mean 'alexnet_ablation'",
    "run ../experiments/alexnet_ablation": "give a name alone, or the path of a file",
    "run alexnet_ablation --only ,": "--only ,: expected names of variants with commas between",
    "run nowhere.py": "no file 'nowhere.py'",
    "run --seeds 1 alexnet_ablation": "put the experiment's name first: ablax run NAME --seeds",
    "run alexnet_ablation --results ''": "--results '': expected a folder, such as results/mine",
    "run alexnet_ablation --results text.txt/x": "text.txt is not a folder",
    "run alexnet_ablation --only without_77": "--only names 'without_77'",
    "run alexnet_ablation --train.epoch 3": "--train.epoch: did you mean '--train.epochs'?",
    "run alexnet_ablation --epochs 3": "--epochs: did you mean '--train.epochs'?",
    "run alexnet_ablation --train.epochs many": "--train.epochs many: expected a whole number",
    "run alexnet_ablation --train.epochs 0": "--train.epochs is 0, and at least 1 is expected",
    "run alexnet_ablation --train.epochs 1000000000000": "at most 1000000 is expected",
    "run alexnet_ablation --train.batch -4": "--train.batch is -4",
    "run alexnet_ablation --train.batch 4000": "1437 training images",
    "run alexnet_ablation --width 0": "--width is 0.0",
    "run alexnet_ablation --width 1e9": "--width is 1000000000.0, and above 0 and at most 64",
    "run alexnet_ablation --seeds 0": "--seeds is 0, and at least 1, or auto, is expected",
    "run alexnet_ablation --seeds 1.5": "--seeds 1.5: expected a whole number, such as 3, or auto",
    "run alexnet_ablation --seeds 1000000000000": "--seeds is 1000000000000, and at most 10000",
    "run alexnet_ablation --optimizer.rate nan": "--optimizer.rate is nan",
    "run alexnet_ablation --optimizer.rate 0,1": "--optimizer.rate 0,1: expected a number",
    "run alexnet_ablation --optimizer.name sgdd": "--optimizer.name sgdd: did you mean 'sgd'?",
    "run alexnet_ablation --optimizer.nesterov yes": "yes: choose from: True, False",
    "run alexnet_ablation --optimizer.rate-factors a": "a: expected TEXT FLOAT",
    "run alexnet_ablation --optimizer.rate-factors": "--optimizer.rate-factors has no value",
    "inspect lenet5 --out folder --at": "--at has no value: expected NAME ...",
    "run alexnet_ablation --data.source cifar10": "did you mean 'tfds:cifar10'",
    "run alexnet_ablation --data.source ''": "--data.source '': expected a name",
    "run alexnet_ablation --data.classes a b": "--data.classes a: expected a whole number",
    "run alexnet_ablation --data.image-size 8": "'pool5' (MaxPool)",
    "run alexnet_ablation --data.image-size 100": "100 pixels",
    "run alexnet_ablation --data.image-size 100000": "--data.image-size is 100000",
    "run alexnet_ablation --augment.rotate 400": "--augment.rotate is 400.0, and a number from 0",
    "run alexnet_ablation --augment.crop-padding 100000": "--augment.crop-padding is 100000",
    "run alexnet_ablation --augment.translate 1e12": "--augment.translate is 1000000000000.0",
}


def lines():
    """Each wrong line; one that loads an experiment first is slow, but for a few."""
    loading = [line for line in MISTAKES if line.startswith("run alexnet_ablation --")]
    for line, message in MISTAKES.items():
        marks = [pytest.mark.slow] if line in loading[4:] else []
        yield pytest.param(line, message, id=line, marks=marks)


@pytest.mark.parametrize(("line", "message"), list(lines()))
def test_a_mistake_is_named_with_what_was_expected(line, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("no picture")
    os.mkfifo(tmp_path / "pipe")
    said = fails(capsys, *shlex.split(line))
    assert message in said
    assert said.count("\n") == 1
    assert not {*tmp_path.rglob("*")} - {tmp_path / name for name in ("folder", "text.txt", "pipe")}


def test_a_mistake_leaves_no_results_behind(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(capsys, "run", "alexnet_ablation", "--train.batch", "4000")
    assert not list(tmp_path.rglob("recipe.json"))


def test_results_that_cannot_be_written_are_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    said = fails(capsys, "run", "alexnet_ablation", "--results", str(tmp_path / "file" / "below"))
    assert "is not a folder" in said
    assert "--results" in said


@pytest.mark.slow
def test_results_of_another_recipe_are_refused_and_kept(capsys, tmp_path):
    head = {"format": FORMAT, "experiment": "alexnet_ablation", "recipe": "digits"}
    (tmp_path / "recipe.json").write_text(sealed(head))
    before = (tmp_path / "recipe.json").read_text()
    said = fails(capsys, "run", "alexnet_ablation", "--results", str(tmp_path))
    assert "holds results of another recipe" in said
    assert "train.epochs" in said
    assert (tmp_path / "recipe.json").read_text() == before


def test_list_names_experiments_recipes_and_networks(capsys):
    main(["list", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert "alexnet_ablation" in found["experiments"]
    assert {"smoke", "digits", "fashion_mnist", "cifar10", "imagenet"} <= set(found["recipes"])
    alexnet = next(each for each in found["networks"] if each["name"] == "alexnet")
    assert alexnet == {
        "name": "alexnet",
        "image_size": 227,
        "channels": 3,
        "parameters": 60_965_224,
        "macs": 724_406_816,
        "weights": ["caffe bvlc_alexnet"],
    }
    main(["list"])
    assert "60,965,224" in capsys.readouterr().out


def module_of(name):
    return "import_weights" if name == "import" else name.replace("-", "_")


def test_every_command_is_a_file_and_every_file_a_command():
    files = {path.stem for path in Path(ablax.commands.__path__[0]).glob("[!_]*.py")}
    assert files - {"options"} == {module_of(name) for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_explains_every_option(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: ablax {name} ")
    function = getattr(
        importlib.import_module(f"ablax.commands.{module_of(name)}"), module_of(name)
    )
    assert function.__doc__.splitlines()[0] in said
    rows = [line.strip("│ ") for line in said.splitlines() if line.startswith("│")]
    for row, below in itertools.pairwise([*rows, ""]):
        if row.startswith("--"):  # its text stands behind it, or below it
            assert (row.partition("  ")[2].strip() or below)[:1].isalpha(), row


def test_the_help_of_run_has_its_options_and_the_fields_of_the_recipe(capsys):
    with pytest.raises(SystemExit):
        main(["run", "alexnet_ablation", "--config", "smoke", "--help"])
    said = capsys.readouterr().out
    for each in ("NAME", "--config", "--only", "--train.epochs INT", "--augment.crop-padding"):
        assert each in said
    assert "(default: 2)" in said  # the epochs of smoke


def test_version_and_overview_are_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"ablax {metadata.version('ablax')}\n"
    main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_command_in_silence():
    with subprocess.Popen(
        [sys.executable, "-m", "ablax", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("setting", ["RANK_PROMOTION=raise", "DTYPE_PROMOTION=strict"])
def test_checks_of_jax_for_ones_own_code_are_left_out_in_words(setting, capsys, monkeypatch):
    name, _, value = f"JAX_NUMPY_{setting}".partition("=")
    monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "jax")
    main(["--version"])
    assert capsys.readouterr().err == f"ablax computes without {name}={value}\n"
    assert name not in os.environ


def test_devices_that_are_not_there_are_said_with_the_variable(capsys, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr("ablax.__main__._main", fail)
    monkeypatch.setattr("jax.devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    said = fails(capsys, "show", "lenet5")
    assert "JAX finds no device of JAX_PLATFORMS=cuda: unset it" in said


@pytest.mark.parametrize("error", [MemoryError(), type("JaxRuntimeError", (Exception,), {})])
def test_too_little_memory_is_said_without_a_traceback(error, capsys, monkeypatch):
    raised = error if isinstance(error, Exception) else error("RESOURCE_EXHAUSTED: 8 TB")

    def call(*_):
        raise raised

    monkeypatch.setattr("ablax.__main__._main", call)
    assert "memory does not suffice" in fails(capsys, "show", "lenet5")


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('no')",
        "EXPERIMENT = 3",
        "import nothing_of_this_name",
        "1 +",
        "raise SystemExit",
        "raise GeneratorExit",
        "raise BaseException('a line,\\nand another')",
    ],
)
def test_a_broken_experiment_file_is_named_without_a_traceback(text, capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    said = fails(capsys, "run", str(path))
    assert "mine.py" in said
    assert said.count("\n") == 1


HEAD = '''"""Mine.

Question: why?

Source: me.

Prediction: so.
"""
from __future__ import annotations
import flax.linen as nn
from ablax.core import insert_after, remove
from ablax.experiment import Experiment, Inputs
from ablax.report.study import Claim
from ablax.zoo import alexnet_for

class Twice(nn.Module):
    factor: float = 2.0

    @nn.compact
    def __call__(self, x):
        return self.factor * x

def network(inputs):
    return alexnet_for(inputs.image_size, inputs.classes, inputs.width)

'''


def test_a_file_may_hold_a_block_of_its_own(tmp_path):
    path = tmp_path / "mine.py"
    edits = "{'twice': insert_after('conv1', twice=Twice())}"
    path.write_text(HEAD + f"EXPERIMENT = Experiment(__doc__, network, {edits})\n")
    _, question = experiment(str(path))
    assert list(question.networks(Inputs(32, 1, 10, 1 / 32))) == ["full", "twice"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("Experiment(__doc__, network, {'same': lambda n: n})", "'same' is the baseline itself"),
        ("Experiment(__doc__, network, {'none': lambda n: None})", "'none' is None"),
        ("Experiment(__doc__, network, {'out': lambda n: exit(0)})", "with SystemExit: 0 (line "),
        ("Experiment(__doc__, network, {'none': remove()})", "building 'none': the edit changes"),
        ("Experiment(__doc__, network, {})", "has no variants"),
        (
            "Experiment(__doc__, lambda i: 1 / 0, {'cut': remove('fc7')})",
            "building 'full' fails with ZeroDivision",
        ),
        ("Experiment(__doc__, network, {'full': remove('fc7')})", "named 'full', and that"),
        (
            "Experiment(__doc__, network, {'cut': remove('fc7')}, "
            "claims=(Claim('', 'cutt', 'full'),))",
            "did you mean 'cut'",
        ),
        (
            "Experiment(__doc__, network, {'cut': remove('fc7')}, full_size=Inputs(100, 3, 10))",
            "no AlexNet takes images of 100 pixels",
        ),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_before_anything_is_trained(
    made, message, capsys, tmp_path
):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + f"EXPERIMENT = {made}\n")
    words = ("--config", "smoke", "--results", str(tmp_path / "results"))
    assert message in fails(capsys, "run", str(path), *words)
    assert not (tmp_path / "results").exists()


def test_an_experiment_without_its_prediction_is_refused(capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        '"""Mine.\n\nQuestion: why?\n\nSource: me.\n"""\n'
        "from ablax.experiment import Experiment\n"
        "from ablax.zoo import lenet5\n"
        "EXPERIMENT = Experiment(__doc__, lambda inputs: lenet5(inputs.classes), {})\n"
    )
    assert "'Prediction:'" in fails(capsys, "run", str(path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainConfig(chunk=-1), "train.chunk"),
        (lambda: TrainConfig(label_smoothing=1.0), "train.label-smoothing"),
        (lambda: TrainConfig(auxiliary_weight=-0.3), "train.auxiliary-weight"),
        (lambda: TrainConfig(evaluate_every=0), "train.evaluate-every"),
        (lambda: OptimizerConfig(momentum=1.0), "optimizer.momentum"),
        (lambda: OptimizerConfig(weight_decay=-1.0), "optimizer.weight-decay"),
        (lambda: OptimizerConfig(drops=(0.75, 0.5)), "optimizer.drops"),
        (lambda: OptimizerConfig(clip=0.0), "optimizer.clip"),
        (lambda: DataConfig(image_size=0), "data.image-size"),
        (lambda: DataConfig(stream=True), "because data.stream is on"),
        (lambda: Recipe(width=-1.0), "width"),
    ],
)
def test_a_field_with_an_impossible_value_is_refused_by_name(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


WRONG_TYPES = {
    "OptimizerConfig(name='adm')": "optimizer.name is 'adm': did you mean 'adamw'",
    "OptimizerConfig(schedule='cosin')": "did you mean 'cosine'",
    "TrainConfig(precision='float16')": "train.precision is 'float16'",
    "TrainConfig(epochs=2.5)": "train.epochs is 2.5, and int is expected",
    "TrainConfig(batch=64.0)": "train.batch is 64.0",
    "DataConfig(source=3)": "data.source is 3, and str is expected",
    "Recipe(data=None)": "data is None, and DataConfig is expected",
    "Recipe(seeds=2.0)": "seeds is 2.0",
    "Recipe(augment=Augmentation(crop_padding=1.5))": "augment.crop-padding is 1.5",
}


@pytest.mark.slow
def test_a_recipe_file_with_a_value_of_the_wrong_type_is_refused_by_name():
    """In a process of its own: the tests' type checker would refuse these first."""
    code = (
        "from ablax.config import *\nfrom ablax.data.augment import Augmentation\n"
        f"for made in {list(WRONG_TYPES)!r}:\n"
        "    try:\n        print(eval(made))\n"
        "    except ConfigError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for said, message in zip(done.stdout.splitlines(), WRONG_TYPES.values(), strict=True):
        assert message in said


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["runn"], []])
def test_the_command_line_starts_without_loading_what_it_does_not_need(words):
    """A mistyped word must be answered at once."""
    code = (
        "import sys\nfrom ablax.__main__ import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "heavy = {'jax', 'flax', 'tyro', 'matplotlib', 'numpy', 'orbax', 'tensorflow_datasets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert not [name for name in sys.modules if name.startswith('ablax.commands')]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_help_of_a_command_loads_no_jax():
    code = (
        "import sys\nfrom ablax.__main__ import COMMANDS, main\n"
        "for name in set(COMMANDS) - {'run'}:\n"  # its recipe's fields are JAX's
        "    try: main([name, '--help'])\n    except SystemExit: pass\n"
        "assert not {'jax', 'flax', 'matplotlib'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_command_that_says_nothing_yet_counts_seconds_on_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    with cli._sign_of_life("show"):
        time.sleep(1.2)
        print("conv1")
        time.sleep(1.2)  # nothing moves once it has spoken
    assert screen.getvalue() == "\r\033[2mablax show: 1 s\033[0m\r\033[Kconv1\n"
    assert sys.stdout is screen


def test_nothing_moves_where_nobody_looks(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    with cli._sign_of_life("show"):
        time.sleep(1.2)
    assert capsys.readouterr() == ("", "")
