"""A folder of odd files: pictures, weights, data sets, experiments and recipes with every mistake.

    python tests/odd/odd_files.py FOLDER

Each mistake is a row of a table, so that `odd_lines.py` can give a command each of them.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

# ------------------------------------------------------------------------------------------
# Experiments: what stands behind the head, and what a refusal of it must name.

DOC = '''"""Odd: an experiment with one mistake.

Question: is it refused?

Source: none.

Prediction: yes.
"""
'''
HEAD = """
import dataclasses
from ablax import Budget, Experiment, Inputs, Layers, Network, Pretraining, Treatment
from ablax.core import insert_after, remove, sequential
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.measurements.measurement import Measurement
from ablax.report.study import Claim, Picture, Published, Quantity, Section

def network(inputs):
    return Network(
        Layers(conv1=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        Layers(
            conv2=sequential(conv=Convolution(4, 3, 1), relu=ReLU()),
            conv3=sequential(conv=Convolution(4, 3, 1), relu=ReLU()),
        ),
        Layers(pool=GlobalAveragePool(), output=Dense(inputs.classes)),
    )

cut = remove("conv2")
"""
GOOD = 'EXPERIMENT = Experiment(__doc__, network, {"cut": cut})\n'


def given(arguments: str) -> str:
    return f"{DOC}{HEAD}EXPERIMENT = Experiment(__doc__, {arguments})\n"


def variants(text: str) -> str:
    return given(f"network, {text}")


def beside(text: str) -> str:
    return given(f'network, {{"cut": cut}}, {text}')


EXPERIMENTS: dict[str, tuple[str | bytes, str]] = {
    # files
    "syntax": (DOC + "EXPERIMENT = (", "syntax.py"),
    "nothing": (DOC + HEAD, "EXPERIMENT"),
    "three": (DOC + "EXPERIMENT = 3\n", "EXPERIMENT"),
    "klass": (DOC + HEAD + "EXPERIMENT = Experiment\n", "EXPERIMENT"),
    "raises": (DOC + "raise ValueError('no')\n", "raises.py"),
    "raisesmultiline": (
        DOC + "raise ValueError('no\\n\\nand a second line')\n",
        "raisesmultiline.py",
    ),
    "sysexit": (DOC + "raise SystemExit\n", "sysexit.py"),
    "exit0": (DOC + "import sys\nsys.exit(0)\n", "exit0.py"),
    "exitlate": (DOC + HEAD + "def network(inputs):\n    raise SystemExit(0)\n" + GOOD, "full"),
    "rec": (DOC + "def f():\n    return f()\nf()\n", "rec.py"),
    "mem": (DOC + "x = bytearray(1 << 60)\n", "mem.py"),
    "base": (DOC + "class E(BaseException):\n    pass\nraise E('no')\n", "base.py"),
    "generatorexit": (DOC + "raise GeneratorExit\n", "generatorexit.py"),
    "recursiveimport": (DOC + "import recursiveimport.nothing\n", "recursiveimport.py"),
    "assertion": (DOC + "assert False\n", "assertion.py"),
    "tabs": (DOC + "def f():\n\tx = 1\n        return x\n", "tabs.py"),
    "null": (b"x = 1\0\n", "null.py"),
    "latin": (b"x = '\xe9'\n", "latin.py"),
    "binary": (bytes(range(256)), "binary.py"),
    "empty": ("", "EXPERIMENT"),
    # docstring
    "nodoc": (HEAD + GOOD, "docstring"),
    "emptydoc": ('""""""' + HEAD + GOOD, "docstring"),
    "blankdoc": ('"""   """' + HEAD + GOOD, "docstring"),
    "intdoc": (DOC + HEAD + 'EXPERIMENT = Experiment(3, network, {"cut": cut})\n', "docstring"),
    "noq": (DOC.replace("Question", "Q") + HEAD + GOOD, "Question"),
    "emptyq": (DOC.replace(" is it refused?", "") + HEAD + GOOD, "Question"),
    "noprediction": (DOC.replace("Prediction", "P") + HEAD + GOOD, "Prediction"),
    # variants
    "novariants": (variants("{}"), "variants"),
    "nonevariants": (variants("None"), "variants"),
    "listvariants": (variants('["a"]'), "variants"),
    "strvariants": (variants('"cut"'), "variants"),
    "variantnone": (variants('{"a": None}'), "'a'"),
    "variantint": (variants('{"a": 3}'), "'a'"),
    "variantstr": (variants('{"a": "conv2"}'), "'a'"),
    "variantnetwork": (variants('{"a": network(Inputs(16, 1, 10))}'), "'a'"),
    "varianttype": (variants('{"a": int}'), "'a'"),
    "variantname": (variants('{"a/b": cut}'), "'a/b'"),
    "variantdot": (variants('{"..": cut}'), "'..'"),
    "variantempty": (variants('{"": cut}'), "''"),
    "variantfull": (variants('{"full": cut}'), "'full'"),
    "variantint2": (variants("{3: cut}"), "3"),
    "variantnewline": (variants(r'{"a\nb": cut}'), r"'a\nb'"),
    "variantuni": (variants('{"größe": cut}'), "größe"),
    "variantdigits": (variants('{"a٣": cut}'), "a٣"),
    "caseclash": (variants('{"cut": cut, "Cut": remove("conv3")}'), "'Cut'"),
    "caseclashbaseline": (variants('{"Full": cut}'), "'Full'"),
    "longname": (variants('{"a" * 300: cut}'), "aaa"),
    # networks
    "netnone": (given('None, {"cut": cut}'), "network"),
    "netvalue": (given('network(Inputs(16, 1, 10)), {"cut": cut}'), "network"),
    "netstr": (given('"resnet20", {"cut": cut}'), "network"),
    "netargs": (given('lambda: None, {"cut": cut}'), "'full'"),
    "netraises": (given('lambda inputs: 1 / 0, {"cut": cut}'), "'full'"),
    "netreturnsnone": (given('lambda inputs: None, {"cut": cut}'), "'full'"),
    "netreturnsint": (given('lambda inputs: 3, {"cut": cut}'), "'full'"),
    "netattr": (given('lambda inputs: inputs.nothing, {"cut": cut}'), "'full'"),
    "netsizes": (
        given('lambda i: Network(Layers(c=Convolution(-4, 3)), Layers(), Layers()), {"cut": cut}'),
        "'full'",
    ),
    "netempty": (
        given("lambda i: Network(Layers(), Layers(), Layers()), {'cut': lambda n: n}"),
        "scores",
    ),
    "wrongclasses": (
        given('lambda i: network(dataclasses.replace(i, classes=3)), {"cut": cut}'),
        "10",
    ),
    "noscores": (
        given(
            'lambda i: Network(Layers(), Layers(conv2=Convolution(4, 3)), Layers()), {"cut": cut}'
        ),
        "scores",
    ),
    # edits
    "removenothing": (variants('{"cut": remove("conv9")}'), "'conv9'"),
    "removenone": (variants('{"cut": remove()}'), "'cut'"),
    "removeint": (variants('{"cut": remove(3)}'), "'cut'"),
    "editreturnsnone": (variants('{"cut": lambda network: None}'), "'cut'"),
    "editreturnssame": (variants('{"cut": lambda network: network}'), "'cut'"),
    "editraises": (variants('{"cut": lambda network: network.nothing}'), "'cut'"),
    "editexits": (variants('{"cut": lambda network: exit(0)}'), "'cut'"),
    "editargs": (variants('{"cut": lambda: None}'), "'cut'"),
    "shapemis": (
        variants('{"cut": insert_after("output", c=Convolution(4, 3))}'),
        "c",
    ),
    "insertstr": (variants('{"cut": insert_after("conv2", c="relu")}'), "'relu'"),
    "insertclass": (variants('{"cut": insert_after("conv2", c=ReLU)}'), "ReLU"),
    # treatments
    "treatempty": (variants('{"cut": Treatment()}'), "treatment"),
    "treatfield": (variants('{"cut": Treatment(fields={"train.epoch": 3})}'), "train.epoch"),
    "treatpart": (variants('{"cut": Treatment(fields={"train": 3})}'), "'train'"),
    "treattype": (variants('{"cut": Treatment(fields={"train.epochs": "3"})}'), "train.epochs"),
    "treatval": (variants('{"cut": Treatment(fields={"train.epochs": -3})}'), "train.epochs"),
    "treatnotmap": (variants('{"cut": Treatment(fields=["train.epochs"])}'), "fields"),
    "treatkey": (variants('{"cut": Treatment(fields={3: 3})}'), "3"),
    "treatsize": (variants('{"cut": Treatment(fields={"data.image_size": 0})}'), "data.image-size"),
    "treatsection": (variants('{"cut": Treatment(fields={"train.": 3})}'), "train."),
    "treatseeds": (variants('{"cut": Treatment(fields={"seeds": 3})}'), "seeds"),
    "treatconclusions": (
        variants('{"cut": Treatment(fields={"conclusions": False})}'),
        "conclusions",
    ),
    "treatboth": (variants('{"cut": Treatment(edit=cut, network=network)}'), "not both"),
    "treatedit": (variants('{"cut": Treatment(edit="conv2")}'), "edit"),
    "treatdata": (variants('{"cut": Treatment(fields={"data.source": "digit"})}'), "digit"),
    # pretraining
    "pretrainempty": (variants('{"cut": Treatment(pretraining=Pretraining({}))}'), "pretraining"),
    "pretrainnone": (variants('{"cut": Treatment(pretraining=3)}'), "pretraining"),
    "pretrainmis": (
        variants('{"cut": Treatment(pretraining=Pretraining({"data.classes": (1, 2)}))}'),
        "output",
    ),
    "pretrainfresh": (
        variants(
            '{"cut": Treatment(pretraining=Pretraining({"train.epochs": 1}, fresh=("nothing/*",)))}'
        ),
        "nothing/*",
    ),
    "pretrainfreshstr": (
        variants('{"cut": Treatment(pretraining=Pretraining({"train.epochs": 1}, fresh="a"))}'),
        "fresh",
    ),
    # claims
    "claimvar": (beside('claims=(Claim("a", "cutt", "full"),)'), "'cutt'"),
    "claimq": (beside('claims=(Claim("a", "cut:test_eror", "full"),)'), "'test_eror'"),
    "claimtype": (beside("claims=(3,)"), "claims"),
    "claimnotuple": (beside('claims=Claim("a", "cut", "full")'), "claims"),
    "claimoperand": (beside('claims=(Claim("a", None, "full"),)'), "None"),
    "claimtext": (beside('claims=(Claim(None, "cut", "full"),)'), "claim"),
    "claimempty": (beside('claims=(Claim("", "cut", "full"),)'), "claim"),
    "claimself": (beside('claims=(Claim("a", "cut", "cut"),)'), "'cut'"),
    "claimunits": (beside('claims=(Claim("a", "cut:seconds", "full:test_error"),)'), "seconds"),
    "decides": (beside('decides=Claim("a", "cut", "full")'), "decides"),
    "decidesint": (beside("decides=3"), "decides"),
    # budgets
    "budget": (beside('budgets={"smoke": Budget({"train.epoch": 3})}'), "train.epoch"),
    "budgetvalue": (beside('budgets={"smoke": Budget({"train.epochs": 0})}'), "train.epochs"),
    "budgetonly": (beside('budgets={"smoke": Budget({}, only=("cutt",))}'), "'cutt'"),
    "budgetonlystr": (beside('budgets={"smoke": Budget({}, only="cut")}'), "only"),
    "budgetdict": (beside('budgets={"smoke": {"train.epochs": 1}}'), "budgets"),
    "budgetint": (beside('budgets={3: Budget({"train.epochs": 1})}'), "budgets"),
    # labels, measurements, sections and the rest
    "labels": (beside('labels={"cutt": "Cut"}'), "'cutt'"),
    "labelsnone": (beside('labels={"cut": None}'), "labels"),
    "labelslist": (beside('labels=["cut"]'), "labels"),
    "labelsempty": (beside('labels={"cut": ""}'), "labels"),
    "labelssame": (beside('labels={"cut": "A", "full": "A"}'), "'A'"),
    "measure": (beside("measurements=(3,)"), "measurements"),
    "measurename": (beside('measurements=(Measurement("a/b", print, Section("A")),)'), "'a/b'"),
    "measurefn": (beside('measurements=(Measurement("a", None, Section("A")),)'), "measure"),
    "measuremoment": (
        beside('measurements=(Measurement("a", print, Section("A"), moments=("never",)),)'),
        "'never'",
    ),
    "measuremomentstr": (
        beside('measurements=(Measurement("a", print, Section("A"), moments="end"),)'),
        "moments",
    ),
    "measureonly": (
        beside('measurements=(Measurement("a", print, Section("A"), only=("cutt",)),)'),
        "'cutt'",
    ),
    "measuretwice": (beside('measurements=(Measurement("a", print, Section("A")),) * 2'), "'a'"),
    "sections": (beside("sections=(3,)"), "sections"),
    "sectiontable": (beside('sections=(Section("A", tables=(3,)),)'), "table"),
    "sectionpicture": (beside('sections=(Section("A", pictures=(3,)),)'), "pictures"),
    "picturename": (
        beside('sections=(Section("A", pictures=(Picture("../x", "t", "c", print),)),)'),
        "../x",
    ),
    "picturetwice": (
        beside('sections=(Section("A", pictures=(Picture("x", "t", "c", print),) * 2),)'),
        "x",
    ),
    "publishednone": (beside("published=(None,)"), "published"),
    "publishedvariant": (
        beside('published=(Published("A", "error", "%", {"cutt": 1.0}, {}),)'),
        "'cutt'",
    ),
    "publishednumber": (
        beside('published=(Published("A", "error", "%", {"cut": "1"}, {}),)'),
        "published",
    ),
    "kw": (beside("variant={}"), "kw.py"),
    "clas": (beside("full_size=3"), "full_size"),
    "fullsize": (beside("full_size=Inputs(-1, 3, 10)"), "image_size"),
    "baseline": (beside('baseline="../x"'), "'../x'"),
    "baselineempty": (beside('baseline=""'), "''"),
    "baselinenone": (beside("baseline=None"), "None"),
}
"""Name to the text of its file, and a word that a refusal must have."""

ACCEPTED = {
    "good": DOC + HEAD + GOOD,
    "keyword": variants('{"class": cut}'),
    "otherclasses": variants('{"cut": Treatment(edit=cut, fields={"data.classes": (1, 2)})}'),
    "multiline": DOC
    + HEAD
    + 'EXPERIMENT = Experiment(\n    __doc__,\n    network,\n    {"cut": cut})\n',
    "crlf": (DOC + HEAD + GOOD).replace("\n", "\r\n"),
    "bom": "\ufeff" + DOC + HEAD + GOOD,
}
"""Unusual, and right."""

RECIPE = """
from pathlib import Path
from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
"""


def recipe(arguments: str) -> str:
    return f"{RECIPE}RECIPE = Recipe({arguments})\n"


RECIPES: dict[str, tuple[str, str]] = {
    "norecipe": (RECIPE, "RECIPE"),
    "dict": ("RECIPE = {'train.epochs': 3}\n", "RECIPE"),
    "klass": (RECIPE + "RECIPE = Recipe\n", "RECIPE"),
    "none": ("RECIPE = None\n", "RECIPE"),
    "syntax": ("RECIPE = (", "syntax.py"),
    "raises": ("raise ValueError('no')\n", "raises.py"),
    "exits": ("raise SystemExit(0)\n", "exits.py"),
    "kw": (recipe("epochs=3"), "kw.py"),
    "strepochs": (recipe("train=TrainConfig(epochs='3')"), "train.epochs"),
    "floatepochs": (recipe("train=TrainConfig(epochs=3.0)"), "train.epochs"),
    "trueepochs": (recipe("train=TrainConfig(epochs=True)"), "train.epochs"),
    "neg": (recipe("train=TrainConfig(epochs=-3)"), "train.epochs"),
    "streamdig": (recipe("data=DataConfig(stream=True, image_size=16)"), "digits"),
    "streamshare": (
        recipe("data=DataConfig('tfds:tiny', stream=True, image_size=16, share=0.5)"),
        "data.stream",
    ),
    "truewidth": (recipe("width=True"), "width"),
    "nanwidth": (recipe("width=float('nan')"), "width"),
    "listclasses": (recipe("data=DataConfig(classes=[1, 2])"), "data.classes"),
    "strclasses": (recipe("data=DataConfig(classes=('a', 'b'))"), "data.classes"),
    "strdir": (recipe("data=DataConfig(dir='/')"), "data.dir"),
    "augnone": (recipe("augment=None"), "augment"),
    "augdict": (recipe("augment={'flip': True}"), "augment"),
    "augneg": (recipe("augment=Augmentation(rotate=-1.0)"), "augment.rotate"),
    "augnan": (recipe("augment=Augmentation(rotate=float('nan'))"), "augment.rotate"),
    "augstr": (recipe("augment=Augmentation(rotate='5')"), "augment.rotate"),
    "augflip": (recipe("augment=Augmentation(flip=2)"), "augment.flip"),
    "trainnone": (recipe("train=None"), "train"),
    "datastr": (recipe("data='digits'"), "data"),
    "optimizer": (recipe("optimizer=OptimizerConfig(name='adam')"), "optimizer.name"),
    "dropsfloat": (recipe("optimizer=OptimizerConfig(drops=0.5)"), "optimizer.drops"),
    "dropsint": (recipe("optimizer=OptimizerConfig(drops=('a',))"), "optimizer.drops"),
    "factors": (
        recipe("optimizer=OptimizerConfig(rate_factors=(('a', -1.0),))"),
        "optimizer.rate-factors",
    ),
    "factorsdict": (
        recipe("optimizer=OptimizerConfig(rate_factors={'a': 1.0})"),
        "optimizer.rate-factors",
    ),
    "hugeint": (recipe("seeds=10**30"), "seeds"),
    "inheritance": (
        RECIPE + "class Mine(Recipe):\n    extra = 3\nRECIPE = Mine(seeds=0)\n",
        "seeds",
    ),
}
"""Likewise of recipes."""


def write_experiments(place: Path) -> None:
    for folder, table in (("exp", EXPERIMENTS), ("rec", RECIPES)):
        (place / folder).mkdir()
        for name, (content, _) in table.items():
            text = content if isinstance(content, bytes) else content.encode()
            (place / folder / f"{name}.py").write_bytes(text)
    for name, text in ACCEPTED.items():
        (place / "exp" / f"{name}.py").write_text(text, "utf-8", newline="")
    (place / "exp" / "kbd.py").write_text(DOC + "raise KeyboardInterrupt\n")
    (place / "exp" / "d.py").mkdir()
    os.mkfifo(place / "exp" / "pipe.py")
    (place / "exp" / "loop.py").symlink_to(place / "exp" / "loop.py")
    (place / "exp" / "dangling.py").symlink_to(place / "exp" / "nowhere.py")


# ------------------------------------------------------------------------------------------
# Pictures.


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    random = np.random.default_rng(0)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    picture = Image.fromarray(random.integers(0, 256, shape, np.uint8))
    return encoded(picture, "PNG")


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    import zlib

    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


PICTURES: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "text.png": lambda: b"no picture",
    "truncated.png": lambda: png(64, 64)[:2000],
    "header.png": lambda: png(64, 64)[:20],
    "flipped.png": lambda: png(64, 64)[:100] + b"\xff\0\xff\0" + png(64, 64)[104:],
    "truncated.jpg": lambda: encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:400],
    "bomb.png": bomb,
    "zero.gif": lambda: b"GIF89a\0\0\0\0\0\0\0;",
    "int32.tif": lambda: encoded(Image.new("I", (16, 16), 100_000), "TIFF"),
    "float.tif": lambda: encoded(Image.new("F", (16, 16), 300.0), "TIFF"),
    "nan.tif": lambda: encoded(Image.new("F", (16, 16), float("nan")), "TIFF"),
    "svg.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "script.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "zip.png": lambda: b"PK\x03\x04" + bytes(100),
    "random.bin": lambda: np.random.default_rng(0).bytes(4096),
}
"""What is no picture."""

GOOD_PICTURES: dict[str, Callable[[], bytes]] = {
    "good.png": lambda: png(48, 40),
    "one.png": lambda: png(1, 1),
    "thin.png": lambda: png(1, 1000),
    "gray.png": lambda: png(48, 40, "L"),
    "sixteen.png": lambda: encoded(Image.new("I;16", (16, 16), 40_000), "PNG"),
    "cmyk.jpg": lambda: encoded(Image.new("CMYK", (16, 16), (0, 90, 0, 0)), "JPEG"),
    "palette.png": lambda: encoded(Image.new("P", (16, 16), 3), "PNG"),
    "alpha.png": lambda: encoded(Image.new("RGBA", (16, 16), (9, 9, 9, 9)), "PNG"),
    "exif.jpg": lambda: encoded(Image.new("RGB", (16, 8), "red"), "JPEG", exif=turned()),
    "badexif.jpg": lambda: encoded(
        Image.new("RGB", (16, 8)), "JPEG", exif=b"Exif\0\0" + b"\xff" * 40
    ),
    "moving.gif": lambda: encoded(
        Image.new("P", (16, 16)), "GIF", save_all=True, append_images=[Image.new("P", (16, 16), 1)]
    ),
    "no_ending": lambda: png(16, 16),
    "größe mit raum\n.png": lambda: png(16, 16),
    "-.png": lambda: png(16, 16),
}
"""What is unusual, and a picture."""


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def write_pictures(place: Path) -> None:
    place.mkdir()
    for name, make in (PICTURES | GOOD_PICTURES).items():
        (place / name).write_bytes(make())
    (place / "folder.png").mkdir()
    os.mkfifo(place / "pipe.png")
    (place / "loop").symlink_to(place / "loop")
    (place / "dangling").symlink_to(place / "nowhere")
    (place / "null.png").symlink_to("/dev/null")
    (place / "closed.png").write_bytes(png(8, 8))
    (place / "closed.png").chmod(0)


# ------------------------------------------------------------------------------------------
# Weights: what the command line meets; files of every format are in `tests/weights`.


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/version", "3\n")
    return file.getvalue()


def header(content: object) -> bytes:
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


WEIGHTS: dict[str, Callable[[], bytes]] = {
    "empty.pth": lambda: b"",
    "text.pth": lambda: b"no weights",
    "nothing.pth": zipped,
    "truncated.pth": lambda: zipped()[:60],
    "pickle.pth": lambda: b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "empty.safetensors": lambda: header({}),
    "length.safetensors": lambda: struct.pack("<Q", 2**62) + b"{}",
    "list.safetensors": lambda: header([1, 2]),
    "other.safetensors": lambda: (
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4)
    ),
    "outside.safetensors": lambda: header(
        {"conv1.weight": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}
    ),
    "text.h5": lambda: b"\x89HDF\r\n\x1a\n" + bytes(100),
    "text.caffemodel": lambda: b"\xff" * 64,
    "picture.pth": lambda: png(8, 8),
    "noending": lambda: b"\0" * 64,
}


def write_weights(place: Path) -> None:
    place.mkdir()
    for name, make in WEIGHTS.items():
        (place / name).write_bytes(make())
    (place / "dated-20251130.pth").write_bytes(b"no weights")


def write_models(place: Path) -> None:
    """Folders of our own weights, each damaged in another way."""
    import ablax
    from ablax.files import sealed, unsealed

    place.mkdir()
    good = place / "good"
    ablax.save_model(ablax.load_model("lenet5", seed=0), good)
    facts = unsealed((good / "weights.json").read_bytes())
    for name, text in {
        "notext": "",
        "nojson": "{",
        "list": "[]",
        "number": "3",
        "unsealed": json.dumps(facts),
        "nofields": sealed({}),
        "nulls": sealed(dict.fromkeys(facts)),
        "unknown": sealed({**facts, "extra": 1}),
        "network": sealed({**facts, "network": "resnet20"}),
        "latin": "\xff",
    }.items():
        shutil.copytree(good, place / name)
        (place / name / "weights.json").write_text(text, "latin-1")
    shutil.copytree(good, place / "gone")
    for path in sorted((place / "gone").rglob("*"), reverse=True):
        if path.is_file() and path.name != "weights.json":
            path.unlink()
    (place / "nothing").mkdir()


# ------------------------------------------------------------------------------------------
# Prepared data sets.


def write_sets(place: Path) -> None:
    """One set for each way in which a set can be odd; its name says which."""
    import made_up_set
    import tensorflow_datasets as tfds
    from made_up_set import encode, encode_cmyk, examples, pictures, standard_features

    def made(name: str, **changed: object) -> Path:
        arrays = pictures(24, [(16, 16)])
        splits = {"train": examples(arrays), "test": examples(arrays[:9])}
        made_of: dict[str, object] = {
            "splits": splits,
            "features": standard_features((None, None, 3)),
        }
        return made_up_set.write(place, name=name, **(made_of | changed))

    def labelled(*labels: int) -> dict[str, list]:
        rows = [
            {"image": encode(pixels), "label": labels[i % len(labels)]}
            for i, pixels in enumerate(pictures(24, [(16, 16)]))
        ]
        return {"train": rows, "test": rows[:9]}

    def constant(level: int) -> dict[str, list]:
        rows = [
            {"image": encode(np.full((16, 16, 3), level, np.uint8)), "label": i % 3}
            for i in range(24)
        ]
        return {"train": rows, "test": rows[:9]}

    def damaged(data: bytes, split: str = "train", at: int = 5) -> dict[str, list]:
        splits = labelled(0, 1, 2)
        splits[split] = list(splits[split])
        splits[split][at] = {"image": data, "label": 0}
        return splits

    sides = [(16, 16), (20, 16)]
    good = labelled(0, 1, 2)
    made("tiny", splits=good)
    made("one_class", splits=labelled(1))
    made(
        "one_of_one",
        splits=labelled(0),
        features={
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["only"]),
        },
    )
    made("constant", splits=constant(128))
    made("black", splits=constant(0))
    made("badpicture", splits=damaged(b"no picture"))
    made("badtestpicture", splits=damaged(b"no picture", "test", 3))
    made("emptypicture", splits=damaged(b""))
    made("truncpicture", splits=damaged(encode(pictures(1, [(64, 64)])[0])[:900]))
    made("bombpicture", splits=damaged(bomb()))
    made("cmyk", splits=damaged(encode_cmyk(pictures(1, [(16, 16)])[0])))
    made(
        "twosizes",
        splits={p: examples(pictures(n, sides)) for p, n in (("train", 24), ("test", 9))},
    )
    made(
        "oblong",
        splits={p: examples(pictures(n, [(16, 20)])) for p, n in (("train", 24), ("test", 9))},
    )
    made(
        "onepixel",
        splits={p: examples(pictures(n, [(1, 1)])) for p, n in (("train", 24), ("test", 9))},
    )
    made("emptytest", splits={**good, "test": []})
    made("emptytrain", splits={**good, "train": []})
    made("notest", splits={"train": good["train"]})
    made("notrain", splits={"test": good["test"]})
    made("nosplits", splits={})
    made("unlabelled", splits=labelled(-1))
    unseen = {**good, "test": [{**row, "label": 2} for row in good["test"]]}
    unseen["train"] = [row for row in good["train"] if row["label"] != 2]
    made("unseenclass", splits=unseen)
    made(
        "regression",
        features={
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.Scalar(np.int64),
        },
    )
    made(
        "twolabels",
        features={
            **standard_features((None, None, 3)),
            "other": tfds.features.ClassLabel(names=["a", "b"]),
        },
        splits={p: [{**row, "other": 0} for row in rows] for p, rows in good.items()},
    )
    made(
        "twopictures",
        features={
            **standard_features((None, None, 3)),
            "other": tfds.features.Image(shape=(None, None, 3)),
        },
        splits={p: [{**row, "other": row["image"]} for row in rows] for p, rows in good.items()},
    )
    made(
        "fourchannels",
        features={
            "image": tfds.features.Image(shape=(16, 16, 4)),
            "label": tfds.features.ClassLabel(names=["red", "green", "blue"]),
        },
        splits={"train": [], "test": []},
    )
    made("tfrecordset", file_format="array_record")
    for name, damage in _DAMAGE.items():
        damage(made(name, splits=good))
    place.joinpath("afile").write_text("no folder")
    imagefolder = place / "imagefolder" / "train" / "red"
    imagefolder.mkdir(parents=True)
    (imagefolder / "1.png").write_bytes(png(16, 16))
    _retold("tfrecordset", "fileFormat", "tfrecord")(place / "tfrecordset" / "1.0.0")
    _retold("outofrange", "", None)(place / "outofrange" / "1.0.0")


def _shard(folder: Path, split: str = "train") -> Path:
    return next(folder.glob(f"*-{split}.array_record*"))


def _written(name: str, file: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return damage


def _removed(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def _retold(name: str, key: str, value: object) -> Callable[[Path], None]:
    """Another value in `dataset_info.json`."""

    def damage(folder: Path) -> None:
        path = folder / "dataset_info.json"
        about = json.loads(path.read_text())
        if key:
            about[key] = value
        path.write_text(json.dumps(about))

    return damage


def _lengths(value: list[str]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "dataset_info.json"
        about = json.loads(path.read_text())
        about["splits"][0]["shardLengths"] = value
        path.write_text(json.dumps(about))

    return damage


def _classes(names: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "label.labels.txt").write_text(names)


def _cut(share: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = _shard(folder).read_bytes()
        _shard(folder).write_bytes(data[: int(share * len(data))])

    return damage


def _flip(folder: Path) -> None:
    data = bytearray(_shard(folder).read_bytes())
    for at in range(200, len(data), 997):
        data[at] ^= 0xFF
    _shard(folder).write_bytes(bytes(data))


def _folder_for_shard(folder: Path) -> None:
    shard = _shard(folder)
    shard.unlink()
    shard.mkdir()


def _dangling_shard(folder: Path) -> None:
    shard = _shard(folder)
    shard.unlink()
    shard.symlink_to(folder / "nowhere")


_DAMAGE: dict[str, Callable[[Path], None]] = {
    "badshard": lambda folder: _shard(folder).write_bytes(b"no records" * 100),
    "badtestshard": lambda folder: _shard(folder, "test").write_bytes(b"no records" * 100),
    "emptyshard": lambda folder: _shard(folder).write_bytes(b""),
    "cutshard": _cut(0.5),
    "endlessshard": _cut(0.99),
    "flippedshard": _flip,
    "noshard": lambda folder: _shard(folder).unlink(),
    "foldershard": _folder_for_shard,
    "danglingshard": _dangling_shard,
    "badinfo": _written("badinfo", "dataset_info.json", b"{"),
    "binaryinfo": _written("binaryinfo", "dataset_info.json", bytes(range(256))),
    "emptyinfo": _written("emptyinfo", "dataset_info.json", b""),
    "nullinfo": _written("nullinfo", "dataset_info.json", b"{}"),
    "noinfo": _removed("dataset_info.json"),
    "badfeatures": _written("badfeatures", "features.json", b"{"),
    "otherfeatures": _written(
        "otherfeatures", "features.json", b'{"pythonClassName": "os.system"}'
    ),
    "nofeatures": _removed("features.json"),
    "nolabels": _removed("label.labels.txt"),
    "nonames": _classes(""),
    "fewnames": _classes("red\n"),
    "outofrange": _classes("red\ngreen\n"),
    "samenames": _classes("red\nred\nred\n"),
    "wrongsize": _lengths(["9999"]),
    "negativesize": _lengths(["-1"]),
    "nosize": _lengths([]),
    "wordsize": _lengths(["many"]),
    "wrongname": _retold("wrongname", "name", "other"),
    "wrongversion": _retold("wrongversion", "version", "x.y"),
    "wrongformat": _retold("wrongformat", "fileFormat", "nonsense"),
}


# ------------------------------------------------------------------------------------------
# Folders of results.


def write_results(place: Path) -> None:
    """What `report`, `keep`, `doctor` and `predict` may be given for a folder of results."""
    from ablax.files import sealed
    from ablax.study.folder import FORMAT

    head = {"format": FORMAT, "experiment": "alexnet_ablation", "recipe": "digits"}
    for name, text in {
        "nojson": "{",
        "emptyjson": "",
        "list": "[]",
        "unsealed": json.dumps(head),
        "head": sealed(head),
        "otherformat": sealed({**head, "format": 1}),
        "laterformat": sealed({**head, "format": 10**6}),
        "noexperiment": sealed({"format": FORMAT}),
        "traversal": sealed({**head, "experiment": "../.."}),
        "latin": "\xff\xfe",
    }.items():
        folder = place / name
        folder.mkdir(parents=True)
        (folder / "recipe.json").write_text(text, "latin-1")
        (folder / "answer.json").write_text("{}")
        (folder / "report.md").write_text("")
    (place / "nothing").mkdir()
    (place / "folder").joinpath("recipe.json").mkdir(parents=True)


def write_run(place: Path) -> None:
    """A finished run of an experiment of seconds, and copies of it with a file less or another."""
    import ablax

    good = place / "good"
    question = str(place.parent / "exp" / "good.py")
    little = {"data": {"image_size": 16, "share": 0.1}, "train": {"epochs": 1, "batch": 64}}
    ablax.run(question, "smoke", folder=good, progress=False, **little)
    damages: dict[str, Callable[[Path], None]] = {
        "noruns": lambda f: shutil.rmtree(f / "runs"),
        "nocheckpoints": lambda f: shutil.rmtree(f / "checkpoints"),
        "nometrics": lambda f: (f / "metrics.jsonl").unlink(),
        "nopredictions": lambda f: shutil.rmtree(f / "predictions"),
        "nostudy": lambda f: (f / "study.json").unlink(),
        "badruns": lambda f: (f / "runs" / "full-seed-0.json").write_text("{}"),
        "badmetrics": lambda f: (f / "metrics.jsonl").write_text("{}\n"),
        "badanswer": lambda f: (f / "answer.json").write_text("{}"),
        "badresults": lambda f: (f / "results.csv").write_text("a,b\n"),
    }
    for name, damage in damages.items():
        shutil.copytree(good, place / name)
        damage(place / name)


def make(place: Path, whole: bool = True) -> Path:
    """Make the folder; without a finished run, which takes seconds, where it is not to be whole."""
    place.mkdir(parents=True)
    write_experiments(place)
    write_pictures(place / "pic")
    write_weights(place / "weights")
    write_sets(place / "tfds")
    write_results(place / "results")
    if whole:
        write_models(place / "models")
        write_run(place / "runs")
    return place


if __name__ == "__main__":
    make(Path(sys.argv[1]))
