"""Wrong command lines for every command: each option with wrong values of its kind, and more.

A line is the words behind `ablax`, in which `{F}` stands for the folder of `odd_files.py`.
"""

from __future__ import annotations

import importlib
import inspect
import shlex
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from odd_files import (
    ACCEPTED,
    EXPERIMENTS,
    GOOD_PICTURES,
    PICTURES,
    RECIPES,
    WEIGHTS,
)

from ablax.__main__ import COMMANDS
from ablax.commands import options
from ablax.config import Recipe


@dataclass(frozen=True)
class Line:
    """What is typed, the exit statuses that are right, and words of which the message has one."""

    words: tuple[str, ...]
    says: tuple[str, ...]
    status: int = 2
    whole: bool = False
    """It needs the parts of the folder that take seconds to make."""

    def __str__(self) -> str:
        return shlex.join(self.words)


TRAINS = -1
"""In place of a status: the line is right, and training begins."""

# ------------------------------------------------------------------------------------------
# By table: every option of every command.

BASE = {
    "list": "",
    "run": "alexnet_ablation --config smoke --only without_7",
    "keep": "{F}/results/head",
    "report": "{F}/results/head",
    "show": "lenet5",
    "table": "lenet5",
    "doctor": "alexnet_ablation --config smoke",
    "inspect": "lenet5 {F}/pic/good.png --out o",
    "check-gradient": "lenet5",
    "profile": "lenet5",
    "draw": "lenet5 --out x.html",
    "roofline": "lenet5",
    "receptive-field": "lenet5",
    "plot-errors": "x.png",
    "import": "lenet5 {F}/weights/text.pth",
    "predict": "lenet5 {F}/pic/good.png",
    "evaluate": "lenet5 --data digits",
}
"""A line of each command that its options are put behind."""

NO_INT = ("", " ", "-", "1.5", "1e3", "nan", "inf", "abc", "0x10", "1,2", "1 2", "٣", "३", "1\n")
NO_FLOAT = ("", " ", "abc", "0,5", "1e", "٣", "1 2", "nan", "-nan", "inf", "-inf", "1e400", "0.5\n")
NO_BOOL = ("", "yes", "1", "true", "FALSE", "None")
NO_NAME = ("", " ", "\t")
NOWHERE = ("", "nowhere/x", "/nowhere", "{F}/pic/loop", "{F}/pic/good.png/x", "/proc/nope")
NO_FILE = (*NOWHERE, ".", "{F}", "/dev/null", "/dev/zero", "{F}/pic/pipe.png", "{F}/pic/dangling")
NO_FOLDER = (*NOWHERE, "{F}/pic/good.png", "/dev/null", "{F}/pic/pipe.png", "{F}/pic/dangling")
NO_OUT_FOLDER = (*(word for word in NO_FOLDER if "nowhere" not in word), "/proc/self/x", "/sys/x")
NO_OUT_FOLDER += ("a" * 300,)
NO_OUT_FILE = ("", "x", "x.gif", ".png", "no/x{e}", "/proc/x{e}", "{F}/pic/folder.png", "/dev/null")
NO_OUT_FILE += ("{F}/pic/good.png/x{e}", "a" * 300 + "{e}", "/dev/full{e}/x")
NAMES = ("nothing", "../x", "a/b", "a\nb", "größe", "a" * 300, "--", "*", "{F}")
"""What names nothing."""


def wrong(kind: Any) -> tuple[str, ...]:
    """Words that an option of this type must refuse."""
    bounds = {
        options.AtLeastOne: ("0", "-1", "1000000000000"),
        options.AtLeastTwo: ("1", "0", "-1", "1000000000000"),
        options.NonNegativeInt: ("-1", "1000000000000"),
        options.Images: ("0", "-1", "65537", "1000000000000"),
        options.Pixels: ("0", "-1", "10001", "1000000000000"),
        options.ImageSize: ("0", "-1", "10001", "1000000000000"),
        options.Seed: ("-1", "4294967296", "1000000000000"),
        options.Share: ("-0.1", "1.1", "1e12"),
        options.Positive: ("0", "-1", "-1e-9"),
    }
    plain = {
        options.Word: NO_NAME,
        options.NetworkName: (*NO_NAME, *NAMES, "LeNet5", "resnet21"),
        options.ModelSource: (*NO_NAME, *NAMES, "LeNet5", "resnet21", "resnet20="),
        options.ModelOrNone: (*NO_NAME, *NAMES, "LeNet5", "resnet21", "resnet20="),
        options.ConventionName: (*NO_NAME, "usal", "Usual"),
        options.DataSource: (*NO_NAME, *NAMES, "Digits", "digit", "tfds:"),
        options.ExistingFile: NO_FILE,
        options.ExistingFolder: NO_FOLDER,
        options.OutFolder: NO_OUT_FOLDER,
        options.PictureOut: tuple(w.replace("{e}", ".png") for w in NO_OUT_FILE),
        options.PageOut: tuple(w.replace("{e}", ".html") for w in NO_OUT_FILE),
        options.DataFolder: NO_FOLDER,
        options.Library: (*NO_NAME, "Torchvision", "nobody"),
        options.LayerNames: NO_NAME,
        bool: NO_BOOL,
        int: (*NO_INT, "1000000000000"),
        float: NO_FLOAT,
    }
    for known, words in bounds.items():
        if kind == known or without_none(kind) == known:
            numbers = NO_FLOAT if known in (options.Share, options.Positive) else NO_INT
            return (*words, *numbers)
    for known, words in plain.items():
        if kind == known or without_none(kind) == known:
            return words
    bare = without_none(kind)
    if get_origin(bare) is typing.Annotated:
        return wrong(get_args(bare)[0])
    if get_origin(bare) is Literal:
        first = str(get_args(bare)[0])
        words = ("", " ", "nothing", first.swapcase(), f"{first} ", f"{first}\n")
        return words if bare != kind else (*words, "None")
    if get_origin(bare) is tuple:
        return wrong(get_args(bare)[0])
    return NO_NAME


def without_none(kind: Any) -> Any:
    rest = [each for each in get_args(kind) if each is not type(None)]
    return rest[0] if len(rest) == 1 and len(rest) < len(get_args(kind)) else kind


def command_of(name: str) -> Any:
    module = "import_weights" if name == "import" else name.replace("-", "_")
    return getattr(importlib.import_module(f"ablax.commands.{module}"), module)


def options_of(name: str) -> dict[str, Any]:
    """From each option of a command, as it is typed, to its type; the places of words are left."""
    function = command_of(name)
    hints = inspect.get_annotations(function, eval_str=True)
    found: dict[str, Any] = {}
    for parameter, kind in hints.items():
        if parameter in ("return", "recipe", "asked") or _positional(kind):
            continue
        if kind == options.Preprocessing:
            inner = get_type_hints(options.PreprocessingFields, include_extras=True)
            found |= {f"--{field}": each for field, each in inner.items()}
            continue
        typed = "from" if kind == options.Library else parameter.replace("_", "-")
        found[f"--{typed}"] = kind
    if name == "run":
        found |= {f"--{field}": kind for field, kind in recipe_fields().items()}
    return found


def _positional(kind: Any) -> bool:
    """Whether tyro takes it as a word without an option."""
    import tyro

    probe = tyro.conf.Positional[int]
    marker = get_args(probe)[1]
    return get_origin(kind) is typing.Annotated and marker in get_args(kind)


def recipe_fields(kind: Any = Recipe, prefix: str = "") -> dict[str, Any]:
    """The dotted fields of a recipe, as they are typed, and their types."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        name = f"{prefix}{field.name.replace('_', '-')}"
        if is_dataclass(hints[field.name]):
            found |= recipe_fields(hints[field.name], f"{name}.")
        else:
            found[name] = hints[field.name]
    return found


RANGES = {
    "data.image-size": "0 -1 1 8 10001 100000",
    "data.workers": "-1 1025",
    "data.held-out": "1 -0.1 0.9999 1.5 1e-9",
    "data.share": "0 -0.1 1.1 1e-12",
    "data.classes": "1 1,1 -1,2 3,99 a,b",
    "optimizer.rate": "0 -0.1",
    "optimizer.momentum": "1 -0.1 2",
    "optimizer.weight-decay": "-1 -1e-9",
    "optimizer.warmup": "-1 3 1e12",
    "optimizer.drops": "0.5,0.2 0.5,0.5 0,1 -1 2",
    "optimizer.drop-factor": "0 -1 1.1",
    "optimizer.clip": "0 -1",
    "optimizer.rate-factors": "*/bias,-1 */bias,nan */bias,inf */bias,x nothing/*,2 [,2 */bias",
    "train.epochs": "0 -3 1000001 1000000000000",
    "train.batch": "0 -3 1438 1000000000000",
    "train.label-smoothing": "1 -0.1 1.5",
    "train.auxiliary-weight": "-1",
    "train.evaluate-every": "0 -1 1000000000000",
    "train.checkpoint-seconds": "-1",
    "train.chunk": "-1 1000000000000",
    "width": "0 -1 65 1e12",
    "seeds": "0 -1 10001 4294967297 99999999999999999999999",
    "augment.crop-padding": "-1 257 100000 1000000000000",
    "augment.rotate": "-1 181 1e12",
    "augment.scale": "1 -1",
    "augment.translate": "-2 1e12",
    "augment.elastic": "-1 1e12",
    "augment.elastic-smoothness": "0 -1 1e12",
    "augment.noise": "-1 2",
    "augment.brightness": "2 -1",
    "augment.contrast": "2 -1",
    "augment.saturation": "2 -0.5 0.5",
    "data.source": "cifar10 digit Digits DIGITS digits:distort tfds: tfds:cifar TFDS:cifar10 "
    "tfds:../../etc tfds:cifar10/nope tfds:cifar10:3 tfds:cifar10:9.9.9 /etc/passwd",
    "data.dir": "{F}/tfds/tiny /dev/null /etc/passwd",
}
"""Values of the right type, out of range; commas stand for spaces. `data.dir` is not read for
digits, so it stands behind a source below."""

LAYERS = {
    ("data.image-size", "1"): ("'pool1'",),
    ("data.image-size", "8"): ("'pool5'",),
}
"""Sizes that are too small for a layer, which is named."""


def by_table() -> Iterator[Line]:
    """Every option with every wrong word of its type, and without a word."""
    for name, base in BASE.items():
        for option, kind in options_of(name).items():
            start = (name, *shlex.split(base))
            start += ("--data.source", "tfds:tiny") if option == "--data.dir" else ()
            said = (option, option.replace("--data.dir", "--data-dir"))
            flag = kind is bool and name != "run"
            for word in () if flag else wrong(kind):
                yield Line((*start, option, word), (*said, repr(word)))
            if flag:
                yield Line((*start, f"{option}=maybe"), (*said, "maybe"))
            else:
                yield Line((*start, option), said)
    for field, values in RANGES.items():
        start = ("run", *shlex.split(BASE["run"]))
        start += ("--data.source", "tfds:tiny") if field == "data.dir" else ()
        for value in values.split():
            said = (f"--{field}", value, *LAYERS.get((field, value), ()))
            yield Line((*start, f"--{field}", *value.split(",")), said)


# ------------------------------------------------------------------------------------------
# By hand.

GENERAL = {
    "": "which command",
    "runn": "'run'",
    "run": "which experiment",
    "Run alexnet_ablation": "'run'",
    "RUN": "'RUN'",
    "-v": "'-v'",
    "-V": "'-V'",
    "-": "'-'",
    "--": "'--'",
    "--verbose": "'--verbose'",
    "--versio": "'--version'",
    "--help run": "run",
    "--version extra": "extra",
    "''": "''",
    "' '": "' '",
    "'run alexnet_ablation'": "'run'",
    "'run\n'": "'run'",
    "ablax run": "'ablax'",
    "import_weights lenet5": "'import'",
    "check_gradient lenet5": "'check-gradient'",
    "receptive_field lenet5": "'receptive-field'",
    "options": "'options'",
    "__main__": "__main__",
    "../commands/list": "list",
    "list extra": "extra",
    "list --format": "--format",
    "list --formt json": "--formt",
    "list --format json extra": "extra",
    "list --format=": "--format",
    "list -f json": "-f",
    "show": "MODEL",
    "show lenet5 alexnet": "alexnet",
    "show --depth 1": "MODEL",
    "show --help-me": "--help-me",
    "table": "which network",
    "table --lectures lenet5": "--lectures",
    "table lenet5 --training --convention lecture": "--convention",
    "table lenet5 --convention lecture --training": "--convention",
    "draw lenet5": "--out",
    "draw --out x.html": "MODEL",
    "report": "FOLDER",
    "keep": "FOLDER",
    "doctor": "EXPERIMENT|MODEL",
    "predict": "MODEL",
    "predict lenet5": "picture",
    "evaluate": "MODEL",
    "evaluate lenet5": "--data",
    "import": "NETWORK",
    "inspect": "MODEL",
    "inspect lenet5": "--out",
    "profile": "MODEL",
    "roofline": "MODEL",
    "receptive-field": "which network",
    "receptive-field --published lenet5": "--published",
    "check-gradient": "MODEL",
    "check-gradient lenet5 --directions 0": "--directions",
    "check-gradient lenet5 --directions 0 --entries 0": "--entries",
    "check-gradient lenet5 --image-size 3": "c1",
    "check-gradient alexnet --image-size 10000 --images 65536": "--image",
    "plot-errors": "FILE.png",
    "plot-errors x.png y.png": "y.png",
    "profile alexnet --image-size 10000 --batch 65536": "--batch",
    "roofline alexnet --image-size 10000 --batch 65536": "--batch",
    "profile lenet5 --image-size 3": "c1",
    "roofline lenet5 --image-size 3": "c1",
    "table lenet5 --image-size 3": "c1",
    "show lenet5 --image-size 3": "c1",
    "draw lenet5 --image-size 3 --out x.html": "c1",
    "receptive-field lenet5 --image-size 3": "c1",
    "receptive-field lenet5 --layer c9": "'c9'",
    "receptive-field lenet5 --layer C1": "'C1'",
    "receptive-field lenet5 --effective x.png --layer output": "output",
    "receptive-field lenet5 --effective x.png --layer c1 --layer c9": "'c9'",
    "receptive-field alexnet --effective x.png --image-size 10000 --images 65536": "--image",
    "draw lenet5 --out x.html --ablation without_99": "without_99",
    "draw lenet5 --out x.html --ablation os:system": "system",
    "draw lenet5 --out x.html --ablation nothing:x": "nothing",
    "draw lenet5 --out x.html --ablation :": "--ablation",
    "draw lenet5 --out x.html --ablation os.path:": "--ablation",
    "draw lenet5 --out x.html --ablation ../x:y": "--ablation",
    "draw lenet5 --out x.html --ablation without_7": "'fc7'",
    "draw lenet5 --out x.html --remove c9": "'c9'",
    "inspect lenet5 --out o": "pictures",
    "inspect lenet5 --out o --only filters filters x": "x",
    "inspect lenet5 --out o --only": "--only",
    "inspect lenet5 {F}/pic/good.png --out o --at c9": "c9",
    "inspect lenet5 {F}/pic/good.png --out o --classes 10": "'10'",
    "inspect lenet5 {F}/pic/good.png --out o --classes -1": "'-1'",
    "inspect lenet5 {F}/pic/good.png --out o --classes cat": "'cat'",
    "inspect lenet5 {F}/pic/good.png --out o --classes ٣": "'٣'",
    "inspect lenet5 {F}/pic/good.png --out o --window 33": "--window",
    "inspect lenet5 {F}/pic/good.png --out o --image-size 3": "c1",
    "inspect lenet5 --out o --data digits --samples 1000001": "--samples",
    "predict lenet5 {F}/pic/good.png --mean 0.5 0.5 0.5": "--mean",
    "predict lenet5 {F}/pic/good.png --std 0.5 0.5": "--std",
    "predict lenet5 {F}/pic/good.png --channels RGB": "--channels",
    "predict lenet5 {F}/pic/good.png --resize 3": "--resize",
    "predict lenet5 {F}/pic/thin.png --resize 10000": "--resize",
    "predict --top 1 {F}/pic/good.png": "{F}/pic/good.png",
    "predict lenet5 -- --top": "--",
    "evaluate lenet5 --data tfds:nothing --data-dir {F}/tfds": "tfds:nothing",
    "evaluate lenet5 --data tfds:tiny --data-dir {F}/tfds": "classes",
    "evaluate lenet5 --data tfds:tiny": "tfds:tiny",
    "evaluate resnet20=nowhere.pth --data digits": "nowhere.pth",
    "evaluate resnet20={F} --data digits": "{F}",
    "evaluate resnet20={F}/pic/pipe.png --data digits": "pipe.png",
    "evaluate resnet20=/dev/zero --data digits": "/dev/zero",
    "import lenet5 {F}/weights/text.pth --out {F}/pic/good.png": "--out",
    "import resnet20 {F}/weights/text.pth --from nobody": "nobody",
    "import lenet": "'lenet5'",
    "keep {F}/results/nothing": "{F}/results/nothing",
    "keep {F}/results/head --experiments {F}/pic": "results/head",
    "report {F}/results/head --experiment nothing": "'nothing'",
    "report {F}/results/head --out {F}/pic/good.png": "--out",
    "doctor lenet5 --config nope": "'nope'",
    "doctor nothing": "'nothing'",
    "doctor alexnet_ablation:nothing --config smoke": "'nothing'",
    "doctor alexnet_ablation:full:x:y --config smoke": "full:x:y",
    "doctor {F}/results/nothing": "{F}/results/nothing",
    "doctor {F}/exp/syntax.py": "syntax.py",
    "doctor {F}/exp/variantnone.py": "'a'",
    "doctor {F}/exp/nowhere.py": "nowhere.py",
    "run ''": "''",
    "run ' '": "' '",
    "run alexnet": "alexnet",
    "run alexnet_ablation.py": "alexnet_ablation.py",
    "run ../experiments/alexnet_ablation": "../experiments/alexnet_ablation",
    "run Alexnet_ablation": "alexnet_ablation",
    "run ALEXNET_ABLATION": "alexnet_ablation",
    "run /etc/passwd": "/etc/passwd",
    "run .": "'.'",
    "run ..": "'..'",
    "run {F}": "{F}",
    "run {F}/exp": "{F}/exp",
    "run nowhere.py": "nowhere.py",
    "run .py": ".py",
    "run /dev/null": "/dev/null",
    "run {F}/pic/good.png": "good.png",
    "run größe": "größe",
    "run 'a\nb'": "a\\nb",
    "run os": "os",
    "run os.path": "os.path",
    "run os:path": "os:path",
    "run -": "-",
    "run __init__": "__init__",
    "run alexnet_ablation depth_swepe": "depth_swepe",
    "run alexnet_ablation alexnet_ablation": "alexnet_ablation",
    "run alexnet_ablation depth_sweep --only plain_8": "--only",
    "run alexnet_ablation --workers 1.5": "--workers",
    "run alexnet_ablation --workers -1": "--workers",
    "run alexnet_ablation --config": "--config",
    "run alexnet_ablation --config ''": "--config",
    "run alexnet_ablation --config=": "--config",
    "run alexnet_ablation --config nope": "nope",
    "run alexnet_ablation --config Smoke": "'smoke'",
    "run alexnet_ablation --config {F}": "{F}",
    "run alexnet_ablation --config {F}/rec/nowhere.py": "nowhere.py",
    "run alexnet_ablation --config smoke --config nope": "nope",
    "run alexnet_ablation --cofnig smoke": "--cofnig",
    "run --config smoke": "experiment",
    "run --config smoke --seeds 1 alexnet_ablation": "--seeds",
    "run alexnet_ablation --config smoke --only": "--only",
    "run alexnet_ablation --config smoke --only nope": "'nope'",
    "run alexnet_ablation --config smoke --only ,": "--only",
    "run alexnet_ablation --config smoke --only Without_7": "'Without_7'",
    "run alexnet_ablation --config smoke --only without_7,nope": "'nope'",
    "run alexnet_ablation --config smoke --only 'without_7 without_3_4'": "without_7 without_3_4",
    "run alexnet_ablation --config smoke --only without_7 without_3_4": "without_3_4",
    "run alexnet_ablation --config smoke --only without_7 --results": "--results",
    "run alexnet_ablation --config smoke --only without_7 --results /etc/passwd": "--results",
    "run alexnet_ablation --config smoke --only without_7 --results {F}/results/head": "head",
    "run alexnet_ablation --config smoke --only without_7 --results {F}/results/nojson": "nojson",
    "run alexnet_ablation --config smoke --only without_7 --result r": "--result",
    "run alexnet_ablation --config smoke --seeds 0,1": "--seeds",
    "run alexnet_ablation --config smoke --seeds 0 0": "0",
    "run alexnet_ablation --config smoke --seeds=0": "--seeds",
    "run alexnet_ablation --config smoke --seed 3": "--seed",
    "run alexnet_ablation --config smoke --epochs 3": "--train.epochs",
    "run alexnet_ablation --config smoke --train.epoch 3": "--train.epochs",
    "run alexnet_ablation --config smoke --train 3": "--train",
    "run alexnet_ablation --config smoke --train. 3": "--train.",
    "run alexnet_ablation --config smoke --TRAIN.EPOCHS 3": "--TRAIN.EPOCHS",
    "run alexnet_ablation --config smoke --batch 64": "--train.batch",
    "run alexnet_ablation --config smoke --width 64 --data.image-size 256": "width 64",
    "run alexnet_ablation --config smoke --data.stream True": "--data.image-size",
    "run alexnet_ablation --config smoke --data.stream True --data.image-size 32": "digits",
    "run alexnet_ablation --data.source tfds:tiny --data.dir /nowhere": "--data.dir",
    "run alexnet_ablation --data.source tfds:tiny --data.dir /etc/passwd": "--data.dir",
    "run alexnet_ablation --data.source tfds:tiny --data.dir {F}/tfds/tiny": "tfds:tiny",
    "run alexnet_ablation --config smoke --augment.flip": "--augment.flip",
    "run alexnet_ablation --config smoke --augment.saturation 0.5": "--augment.saturation",
    "run alexnet_ablation --config smoke --recipe 3": "--recipe",
    "run alexnet_ablation --config smoke --asked 3": "--asked",
    "run alexnet_ablation --config smoke --name x": "--name",
    "run alexnet_ablation --config smoke -x": "-x",
    "run alexnet_ablation --config smoke -- --seeds 1": "--seeds",
    "run alexnet_ablation --optimizer.drops 0.5 0.2 --optimizer.schedule step": "--optimizer.drops",
    "run alexnet_ablation --optimizer.warmup 2.5 --train.epochs 2": "--optimizer.warmup",
}
"""Lines that are refused, and what their message must have."""

RIGHT = (
    "--help",
    "-h",
    "--version",
    "list",
    "list --format=json",
    "show lenet5 --depth 0",
    "show lenet5 --help",
    "run --help",
    "run nothing --help",
    "list --format json --help",
    "import lenet5",
    "import alexnet",
    "draw lenet5 --out x.html --remove c1 --remove c1",
    "evaluate lenet5 --data digits --data digits --limit 10",
)
"""Lines that end with status 0."""

TRAINED = (
    "run alexnet_ablation --config smoke --only without_7 --results rr",
    "run alexnet_ablation --config smoke --only full",
    "run alexnet_ablation --config smoke --only full,full,without_7",
    "run alexnet_ablation --only without_7 --config smoke --seeds 2 --train.epochs=1",
    "run alexnet_ablation --config smoke --only without_7 --optimizer.clip None",
    "run {F}/exp/good.py --config smoke --data.image-size 16 --results 'a b/größe'",
    "run alexnet_ablation --config smoke --only without_7 --data.classes 3 8",
    "run alexnet_ablation --config smoke --only without_7 --",
)
"""Lines with which training begins."""

TINY = "run {F}/exp/good.py --config smoke --train.epochs 1 --results rr"
STREAM = "--data.stream True --augment.rotate 0 --augment.scale 0 --augment.translate 0"

SETS = {
    **dict.fromkeys(("badpicture", "badtestpicture", "emptypicture", "truncpicture"), "picture"),
    "bombpicture": "picture",
    "one_class": "class",
    "one_of_one": "class",
    "constant": "constant",
    "black": "constant",
    "twosizes": "--data.image-size",
    "oblong": "--data.image-size",
    **dict.fromkeys(("emptytest", "emptytrain", "notest", "notrain", "nosplits"), ""),
    "unlabelled": "label",
    **dict.fromkeys(("regression", "twolabels", "twopictures", "fourchannels"), ""),
    **dict.fromkeys(("badshard", "badtestshard", "emptyshard", "cutshard", "endlessshard"), ""),
    **dict.fromkeys(("flippedshard", "noshard", "foldershard", "danglingshard"), ""),
    **dict.fromkeys(("badinfo", "binaryinfo", "emptyinfo", "nullinfo", "noinfo"), ""),
    **dict.fromkeys(("badfeatures", "otherfeatures", "nofeatures"), ""),
    **dict.fromkeys(("fewnames", "outofrange", "wrongsize", "negativesize"), ""),
    **dict.fromkeys(("nosize", "wordsize", "wrongname", "wrongversion", "wrongformat"), ""),
    **dict.fromkeys(("tfrecordset", "imagefolder", "afile"), ""),
}
"""Each set and what a refusal says beside its name."""

GOOD_SETS = ("tiny", "cmyk", "unseenclass", "onepixel", "nolabels", "nonames", "samenames")


def by_hand() -> Iterator[Line]:
    for text, said in GENERAL.items():
        status = 0 if text in RIGHT else 2
        yield Line(tuple(shlex.split(text)), (said,), status)
    for text in RIGHT:
        yield Line(tuple(shlex.split(text)), (), 0)
    for text in TRAINED:
        yield Line(tuple(shlex.split(text)), (), TRAINS)
    yield Line(("run", "{F}/exp/kbd.py"), ("stopped",), 130)
    yield from of_files()


def of_files() -> Iterator[Line]:
    """Every odd file where a command may be given it."""
    start = tuple(TINY.split())
    for name, (_, said) in EXPERIMENTS.items():
        words = ("run", f"{{F}}/exp/{name}.py", *start[2:], "--data.image-size", "16")
        yield Line(words, (said,))
    for name in ACCEPTED:
        words = ("run", f"{{F}}/exp/{name}.py", *start[2:], "--data.image-size", "16")
        yield Line(words, (), TRAINS)
    for name in ("d", "pipe", "loop", "dangling"):
        yield Line(("run", f"{{F}}/exp/{name}.py", *start[2:]), (f"{name}.py",))
        yield Line(("run", "alexnet_ablation", "--config", f"{{F}}/exp/{name}.py"), (f"{name}.py",))
    for name, (_, said) in RECIPES.items():
        yield Line(
            ("run", "alexnet_ablation", "--config", f"{{F}}/rec/{name}.py", "--only", "without_7"),
            (said,),
        )
    for name, said in SETS.items():
        words = (*start, "--data.source", f"tfds:{name}", "--data.dir", "{F}/tfds")
        words += ("--train.batch", "8")
        yield Line(words, (name, said) if said else (name,))
        if name not in ("twosizes", "oblong", "constant", "black"):
            streamed = (*words, *STREAM.split(), "--data.image-size", "16")
            late = "picture" in name or name in ("one_class", "outofrange")
            if not late:  # pictures and labels of a stream are read while training
                yield Line(streamed, (name,))
    for name in GOOD_SETS:
        words = (*start, "--data.source", f"tfds:{name}", "--data.dir", "{F}/tfds")
        yield Line((*words, "--train.batch", "8"), (), TRAINS)
    for name in PICTURES:
        yield Line(("predict", "lenet5", f"{{F}}/pic/{name}"), (name,))
        yield Line(("inspect", "lenet5", f"{{F}}/pic/{name}", "--out", "o"), (name,))
    for name in ("folder.png", "pipe.png", "loop", "dangling", "null.png"):
        yield Line(("predict", "lenet5", f"{{F}}/pic/{name}"), (name,))
        yield Line(("predict", "lenet5", "{F}/pic/good.png", f"{{F}}/pic/{name}"), (name,))
    for name in GOOD_PICTURES:
        yield Line(("predict", "lenet5", f"{{F}}/pic/{name}"), (), 0)
    for name in WEIGHTS:
        for command in ("predict", "show", "evaluate", "profile"):
            more = {"predict": ("{F}/pic/good.png",), "evaluate": ("--data", "digits")}
            words = (command, f"resnet20={{F}}/weights/{name}", *more.get(command, ()))
            yield Line(words, (name,))
        yield Line(("import", "resnet20", f"{{F}}/weights/{name}"), (name,))
    for name in ("nojson", "emptyjson", "list", "unsealed", "head", "otherformat", "laterformat"):
        for command in ("report", "keep", "predict", "doctor", "show"):
            yield Line((command, f"{{F}}/results/{name}"), (name,))
    for name in ("noexperiment", "traversal", "latin", "nothing", "folder"):
        for command in ("report", "keep", "predict", "doctor", "show"):
            yield Line((command, f"{{F}}/results/{name}"), (name,))
    models = ("notext", "nojson", "list", "number", "unsealed", "nofields", "nulls", "unknown")
    for name in (*models, "network", "latin", "gone", "nothing"):
        for words in (("predict", "{F}/pic/good.png"), ("show",), ("evaluate", "--data", "digits")):
            line = (words[0], f"{{F}}/models/{name}", *words[1:])
            yield Line(line, (name,), whole=True)
    damaged = ("noruns", "badruns", "nometrics", "badmetrics", "nopredictions")
    for name in damaged:
        line = ("report", f"{{F}}/runs/{name}", "--experiment", "{F}/exp/good.py")
        yield Line(line, (name,), whole=True)
    for word in ("good:nope", "good:full:1", "good:full:x", "good:cut:0:0", "nocheckpoints:cut:0"):
        for command in ("show", "doctor"):
            yield Line((command, f"{{F}}/runs/{word}"), tuple(word.split(":")), whole=True)
    again = ("run", "{F}/exp/good.py", "--config", "smoke", "--results", "{F}/runs/good")
    for more in ("--width 0.5", "--train.epochs 2", "--data.classes 1 2"):
        yield Line((*again, *more.split()), (more.split()[0][2:].replace("-", "_"),), whole=True)


def lines() -> list[Line]:
    """All, each once."""
    return list(dict.fromkeys((*by_table(), *by_hand())))


assert set(BASE) == set(COMMANDS)
