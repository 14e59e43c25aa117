"""The command line: what it says to a person who mistyped, and its exit status."""

import json
import subprocess
import sys

import pytest

from ablax.cli import main
from ablax.config import ConfigError, DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.discovery import experiment
from ablax.experiment import Inputs


def fails(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    said = capsys.readouterr()
    assert left.value.code == 2
    assert "Traceback" not in said.err + said.out
    return said.err + said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runn",), "no command 'runn': did you mean 'run'"),
        (("run",), "which experiment?"),
        (("run", "alexnet_ablatoin"), "did you mean 'alexnet_ablation'"),
        (("run", "alexnet_ablation", "--config", "digit"), "did you mean 'digits'"),
        (("run", "nowhere.py"), "no file 'nowhere.py'"),
        (("run", "alexnet_ablation", "--train.epoch", "3"), "train.epoch"),
        (("run", "alexnet_ablation", "--train.epochs", "many"), "many"),
        (("run", "alexnet_ablation", "--train.epochs", "0"), "train.epochs is 0, and at least 1"),
        (("run", "alexnet_ablation", "--train.batch", "-4"), "train.batch is -4"),
        (("run", "alexnet_ablation", "--width", "0"), "width is 0.0"),
        (("run", "alexnet_ablation", "--seeds", "0"), "seeds is 0"),
        (("run", "alexnet_ablation", "--optimizer.rate", "nan"), "optimizer.rate is nan"),
        (("run", "alexnet_ablation", "--optimizer.name", "sgdd"), "sgdd"),
        (("run", "alexnet_ablation", "--data.source", "cifar10"), "did you mean 'tfds:cifar10'"),
        (("run", "alexnet_ablation", "--data.image-size", "8"), "'pool5' (MaxPool)"),
        (("run", "alexnet_ablation", "--data.image-size", "100"), "100 pixels"),
        (("run", "alexnet_ablation", "--train.batch", "4000"), "1437 training images"),
        (("run", "alexnet_ablation", "--augment.rotate", "400"), "rotate is 400"),
        (("run", "--seeds", "1", "alexnet_ablation"), "name first"),
        (("run", "alexnet_ablation", "--width", "1e9"), "at most 64"),
        (("run", "alexnet_ablation", "--only", "without_77"), "--only names 'without_77'"),
        (("list", "--format", "yaml"), "yaml"),
        (("list", "--all"), "--all"),
        (("show", "resnet21"), "no network 'resnet21': did you mean 'resnet"),
        (("show", "lenet5", "--image-size", "8"), "layer 'c3/conv' (Convolution) does not fit"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = " ".join(fails(capsys, *words).replace("│", " ").split())
    assert message in said


def test_a_mistake_leaves_no_results_behind(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(capsys, "run", "alexnet_ablation", "--train.batch", "4000")
    assert not list(tmp_path.rglob("recipe.json"))


def test_results_that_cannot_be_written_are_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    said = fails(capsys, "run", "alexnet_ablation", "--results", str(tmp_path / "file" / "below"))
    assert "cannot be written" in said
    assert "--results FOLDER" in said


def test_results_of_another_recipe_are_refused_and_kept(capsys, tmp_path):
    (tmp_path / "recipe.json").write_text(
        '{"format": 2, "experiment": "alexnet_ablation", "recipe": "digits"}'
    )
    said = fails(capsys, "run", "alexnet_ablation", "--results", str(tmp_path))
    assert "holds results of another recipe" in said
    assert "train.epochs" in said
    assert len((tmp_path / "recipe.json").read_text()) < 100


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


def test_help_of_run_names_the_fields_of_the_recipe(capsys):
    with pytest.raises(SystemExit) as left:
        main(["run", "--help"])
    assert left.value.code == 0
    assert "--train.epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["raise ValueError('no')", "EXPERIMENT = 3", "import nothing_of_this_name", "1 +"],
)
def test_a_broken_experiment_file_is_named_without_a_traceback(text, capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    said = fails(capsys, "run", str(path))
    assert "mine.py" in said


HEAD = '''"""Mine.

Question: why?

Source: me.

Prediction: so.
"""
from __future__ import annotations
import flax.linen as nn
from ablax.core import insert_after, remove
from ablax.experiment import Experiment, Inputs
from ablax.report.results import Claim
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


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("Experiment(__doc__, network, {'same': lambda n: n})", "'same' is the baseline itself"),
        ("Experiment(__doc__, network, {'none': lambda n: None})", "'none' is None"),
        ("Experiment(__doc__, lambda i: 1 / 0, {})", "building 'full' fails with ZeroDivision"),
        ("Experiment(__doc__, network, {'full': remove('fc7')})", "not 'full'"),
        (
            "Experiment(__doc__, network, {'cut': remove('fc7')}, "
            "claims=(Claim('', 'cutt', 'full'),))",
            "did you mean 'cut'",
        ),
        (
            "Experiment(__doc__, network, {}, full_size=Inputs(100, 3, 10))",
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


def test_the_command_line_starts_without_loading_what_it_does_not_need():
    """A mistyped word must be answered at once."""
    code = (
        "import sys, ablax.cli\n"
        "assert not {'jax', 'tensorflow_datasets', 'matplotlib', 'orbax'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
