"""The wheel holds what ablax needs, and works in a new environment, in an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import jax
import pytest

from ablax.native import library, why_not

ROOT = Path(__file__).parents[1]
STRANGER = ROOT / "tests" / "stranger"
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")

FEATURES = set(library._features().split())
LEVEL = next((level for level, needed in library.LEVELS.items() if needed <= FEATURES), "")
"""The best that this processor can run; none where it is of another kind or nothing compiles."""
if why_not():
    LEVEL = ""

pytestmark = pytest.mark.slow


def done(*words, also=None, **options):
    """The output of a command that succeeds, beside nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= also or {}
    found = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, env=environment, check=False, **options
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def pip(*words, python=sys.executable):
    return done(sys.executable, "-m", "pip", "--python", python, *words, "--no-deps", "--no-index")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with the wheels of ablax and of the stranger's package, made from copies."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("src", "experiments", "configs"):
        shutil.copytree(ROOT / name, folder / "ablax" / name, ignore=LEFT_BEHIND)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder / "ablax")
    shutil.copytree(STRANGER, folder / "stranger", ignore=LEFT_BEHIND)
    if LEVEL:  # one of those of `make wheel`
        build = (
            f"from ablax.native.library import *; prebuild({jax.ffi.include_dir()!r}, [{LEVEL!r}])"
        )
        done(sys.executable, "-c", build, cwd=folder / "ablax" / "src")
    pip("wheel", "-w", folder, "--no-build-isolation", folder / "ablax", folder / "stranger")
    return folder


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """`ablax` of a new environment that has both wheels, and nothing else of ours.

    What ablax depends on is read from the environment of the tests, so nothing is downloaded. A
    file `.pth` adds its folder, but files `.pth` inside, such as that of an editable install, do
    not count.
    """
    home = tmp_path_factory.mktemp("home")
    done("git", "init", "--quiet", home)  # as when the environment lies in somebody's project
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody")
    done("git", "-C", home, *author, "commit", "--quiet", "--allow-empty", "-m", "not of ablax")
    venv.create(home / "venv", with_pip=False, symlinks=True)
    python = home / "venv" / "bin" / "python"
    pip("install", "--quiet", *wheels.glob("*.whl"), python=python)
    paths = {"base": str(home / "venv"), "platbase": str(home / "venv")}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(others) + "\n")
    return home / "venv" / "bin" / "ablax"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected():
    """Every file of the package, by its path in the wheel."""
    package = ROOT / "src" / "ablax"
    found = {path.relative_to(ROOT / "src") for path in package.rglob("*") if path.is_file()}
    found |= {
        Path("ablax") / path.relative_to(ROOT)
        for name in ("experiments", "configs")
        for path in (ROOT / name).glob("*.py")
    }
    files = {path.as_posix() for path in found if "__pycache__" not in path.parts}
    built = f"ablax/native/prebuilt/{LEVEL}-{library._sources()}.so"
    return files | ({built} if LEVEL else set())


def test_the_wheel_holds_every_file_of_the_package_experiments_and_recipes_and_nothing_else(wheels):
    (wheel,) = wheels.glob("ablax-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in held if ".dist-info/" not in name} == expected()


def test_the_wheel_holds_the_licence_and_the_notices_of_what_is_vendored(wheels):
    (wheel,) = wheels.glob("ablax-*.whl")
    held = {name.partition("/licenses/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    vendored = "src/ablax/inspection/drawing/vendored"
    licences = {f"{vendored}/{name}" for name in ("d3-LICENSE", "elkjs-LICENSE.md")}
    assert held - {""} == {"LICENSE", "NOTICE"} | licences


def test_the_loops_of_the_wheel_need_no_compiler(installed, empty):
    if not LEVEL:
        pytest.skip("nothing is built for this processor, or there is no compiler")
    asked = """
import jax, jax.numpy as jnp
from ablax.layers import convolution
from ablax.native import why_not
print([why_not(), "ablax" in jax.jit(convolution).lower(*[jnp.ones((3, 3, 3, 3))] * 2).as_text()])
print(convolution(*[jnp.ones((3, 3, 3, 3))] * 2)[0, 1, 1, 0])
"""
    cache = {"PATH": "", "ABLAX_CACHE": str(empty / "cache")}
    said = done(installed.with_name("python"), "-c", asked, also=cache)
    assert said.splitlines() == ["['', True]", "27.0"]
    assert not list((empty / "cache").rglob("*.so"))


def test_an_experiment_runs_from_the_wheel_in_an_empty_folder(installed, empty):
    where = "import ablax; print(ablax.__file__)"
    loaded = Path(done(installed.with_name("python"), "-c", where).strip())
    assert loaded.is_relative_to(installed.parents[1])
    words = ("--config", "smoke", "--only", "without_3_4_6_7", "--train.epochs", "1")
    done(installed, "run", "alexnet_ablation", *words)
    results = empty / "results" / "alexnet_ablation" / "smoke"
    report = (results / "report.md").read_text("utf-8")
    assert "| without 3, 4, 6, 7 |" in report
    assert (results / "plots" / "errors.png").exists()
    assert '"commit": "unknown"' in (results / "environment.json").read_text("utf-8")


def test_what_a_strangers_package_adds_works_beside_the_wheel(installed, empty):
    listed = done(installed, "list")
    names = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    assert {"alexnet_ablation", "smoke", "resnet20", "tiny_net", "blur_ablation"} <= names
    ablation = ("--ablation", "stranger:without_blur", "--out", "blur.html")
    done(installed, "draw", "tiny_net", *ablation)
    assert "elk" in (empty / "blur.html").read_text("utf-8")
    done(installed, "run", "blur_ablation", "--config", "smoke", "--train.epochs", "1")
    results = empty / "results" / "blur_ablation" / "smoke"
    written = (results / "report.md").read_text("utf-8")
    assert "| without blur |" in written
    assert "shifted by 1 pixel, plain pools err more" in written
    done(installed, "report", results, "--out", "again")
    assert (empty / "again" / "report.md").read_text("utf-8") == written
