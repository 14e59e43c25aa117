"""`import ablax` is instant and gives every name, in whatever order modules are imported."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ablax
from ablax.lazy import exports

SOURCE = Path(ablax.__file__).parent
LAZY = sorted(stub.parent for stub in SOURCE.rglob("__init__.pyi"))
PACKAGES = [".".join(("ablax", *folder.relative_to(SOURCE).parts)) for folder in LAZY]


def said(code):
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_import_alone_loads_nothing_heavy_and_no_other_module_of_ours():
    code = "import sys, json, ablax; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(said(code)))
    assert {name for name in loaded if name.startswith("ablax")} == {"ablax", "ablax.lazy"}
    heavy = {"jax", "jaxlib", "flax", "numpy", "scipy", "matplotlib", "optax", "tyro"}
    assert not heavy & loaded
    assert not {"ast", "typing", "pathlib", "dataclasses"} & (loaded - set(_of_python()))


def _of_python():
    return json.loads(said("import sys, json; print(json.dumps(list(sys.modules)))"))


@pytest.mark.slow
def test_one_import_is_enough_for_a_network():
    code = "import ablax; print(type(ablax.zoo.resnet20()) is ablax.Network)"
    assert said(code) == "True"


def test_the_names_of_the_issue_stand_in_the_door():
    network = ablax.remove("f6")(ablax.zoo.lenet5())
    assert "f6" not in ablax.describe(network, (32, 32, 1))
    assert callable(ablax.features)
    assert callable(ablax.weights.open_weights)
    assert callable(ablax.inspection.cost_table)
    assert callable(ablax.analysis.cost)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_the_object_of_its_home(package):
    module = importlib.import_module(package)
    homes = exports(Path(module.__file__).with_suffix(".pyi").read_text("utf-8"))
    assert homes
    for name, home in homes.items():
        found = getattr(module, name)
        if home == package:
            assert found is importlib.import_module(f"{package}.{name}")
        else:
            assert found is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_that_of_another_module_which_python_would_bind_over_it(package):
    module = importlib.import_module(package)
    folder = Path(module.__file__).parent
    homes = exports((folder / "__init__.pyi").read_text("utf-8"))
    for name, home in homes.items():
        if package == "ablax.zoo":  # which imports its files before anybody can, see below
            continue
        own = (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
        assert own == (home == package), name


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_all_there_is_to_use(package):
    module = importlib.import_module(package)
    assert [name for name in dir(module) if not name.startswith("__")] == module.__all__
    assert module.__all__ == sorted(module.__all__)
    assert {"__doc__", "__name__"} <= set(dir(module))


def test_version_is_the_one_that_is_installed():
    assert "__version__" in dir(ablax)
    assert ablax.__version__.count(".") == 2


def test_star_import_gives_all_names():
    names = {}
    exec("from ablax import *", names)
    assert {name for name in names if not name.startswith("__")} == set(ablax.__all__)
    assert names["Network"] is ablax.Network


def test_a_wrong_name_is_an_attribute_error_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'desribe': did you mean 'describe'"):
        _ = ablax.desribe
    with pytest.raises(AttributeError, match=r"'ablax\.weights' has no attribute 'open_weight'"):
        _ = ablax.weights.open_weight
    with pytest.raises(ImportError):
        exec("from ablax import Netwrok")
    assert not hasattr(ablax, "__wrapped__")


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import ablax.analysis.cost, ablax",
        "import ablax.layers, ablax.analysis.cost",
        "from ablax.analysis.cost import macs; import ablax",
        "import ablax; ablax.analysis.cost; import ablax.analysis.cost",
        "import ablax.inspection.cost; import ablax.analysis.receptive_field",
    ],
)
def test_a_function_with_the_name_of_its_module_is_found_in_every_order_of_imports(first):
    code = (
        f"{first}\n"
        "import ablax\n"
        "from ablax.analysis import cost, effective_receptive_field\n"
        "from ablax.analysis.cost import cost as home\n"
        "print(ablax.analysis.cost is cost is home, callable(effective_receptive_field))"
    )
    assert said(code) == "True True"


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["import ablax.zoo.alexnet", "from ablax.zoo.vgg import A", "import ablax; ablax.zoo"]
)
def test_a_network_with_the_name_of_its_file_is_found_in_every_order_of_imports(first):
    code = (
        f"{first}\n"
        "import ablax, ablax.zoo.googlenet\n"
        "from ablax.zoo import alexnet, xception\n"
        "print(callable(alexnet), callable(xception), callable(ablax.zoo.googlenet))"
    )
    assert said(code) == "True True True"


def test_stubs_hold_imports_alone():
    with_code = "from ablax.core import Network as Network\nx: int\ndef f() -> None: ..."
    assert exports(with_code) == {"Network": "ablax.core"}
