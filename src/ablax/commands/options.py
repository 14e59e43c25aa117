"""What a word of the command line may be, and the call that the words ask for, by tyro.

A command's parameters have the types that stand here: one for each kind of option, each refusal
once, and the help of what many commands take. A word that a type refuses ends the command before
anything is read or compiled, with the option, the word, what was expected and what to do: `--depth
0: expected at least 1`. So what makes a value of a word raises a `ValueError`, or an `AblaxError`
where the nearest name is known.

`parse` has tyro make parser and help of the function's parameters and docstring. Where it refuses
the words, its boxes become one sentence: what was given, what was expected, what to do.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import math
import os
import re
import shlex
import sys
import tempfile
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from ablax.errors import AblaxError, nearest, refuse_beyond_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablax.model import Model
    from ablax.study.load import Opened

T = TypeVar("T")

MOST = 1_000_000
"""Of steps, samples and the like: above it lies a slip of the hand."""
MOST_IMAGES = 65_536
"""In one batch."""
MOST_PIXELS = 10_000
"""Along a side."""
LARGEST_SEED = 2**32 - 1
"""JAX makes a key of 32 bits of it."""


def spec(
    make: Callable[[str], T], metavar: str, kind: type | tuple[type, ...] = object
) -> PrimitiveConstructorSpec[T]:
    """How tyro reads a word: `make` gives the value, or a ValueError says what is wrong with it.

    `metavar` is its place in the help; a default is an instance of `kind`.
    """

    def made(words: list[str]) -> T:
        try:
            return make(words[0])
        except ValueError as error:
            raise ValueError(f"{shown(words[0])}: {error}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=made,
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def shown(word: str) -> str:
    """The word as one types it: with quotes where it is empty or has a space, on one line."""
    if not word.isprintable():
        return repr(word)
    return shlex.quote(word) if word.split() != [word] else word


def whole(word: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number, within the bounds where there are any.

    Example:
        >>> whole("3", 1)
        3
    """
    if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", word):
        raise ValueError("expected a whole number, such as 3")
    number = int(word)
    if least is not None and number < least:
        raise ValueError(f"expected at least {least}")
    if most is not None and number > most:
        raise ValueError(f"expected at most {most:_}")
    return number


def real(word: str, holds: Callable[[float], bool], expected: str) -> float:
    """A finite number for which `holds` is true.

    Example:
        >>> real("0.5", lambda x: x > 0, "a number above 0")
        0.5
    """
    number = any_real(word, expected)
    if not (math.isfinite(number) and holds(number)):
        raise ValueError(f"expected {expected}")
    return number


def any_real(word: str, expected: str = "a number, such as 0.5") -> float:
    """A number in the digits of a program, or `nan` or `inf`, which a recipe refuses by name."""
    with contextlib.suppress(ValueError):
        if word.isascii() and word.split() == [word]:
            return float(word)
    raise ValueError(f"expected {expected}")


def _int(least: int, most: int, metavar: str = "INT") -> PrimitiveConstructorSpec[int]:
    return spec(lambda word: whole(word, least, most), metavar, int)


def _float(holds: Callable[[float], bool], expected: str) -> PrimitiveConstructorSpec[float]:
    return spec(lambda word: real(word, holds, expected), "FLOAT", (int, float))


AtLeastOne = Annotated[int, _int(1, MOST)]
"""1 to a million: steps, samples, layers of names."""
AtLeastTwo = Annotated[int, _int(2, MOST)]
"""2 to a million: classes to tell apart."""
NonNegativeInt = Annotated[int, _int(0, MOST)]
Workers = Annotated[int, _int(0, 1024)]
Images = Annotated[int, _int(1, MOST_IMAGES)]
Pixels = Annotated[int, _int(1, MOST_PIXELS, "PIXELS")]
"""Along one side of an image."""
ImageSize = Annotated[
    Pixels | None, tyro.conf.arg(help="Height and width of the images; the paper's by default.")
]
Seed = Annotated[int, _int(0, LARGEST_SEED)]
Share = Annotated[float, _float(lambda x: 0 <= x <= 1, "a number from 0 to 1")]
Positive = Annotated[float, _float(lambda x: x > 0, "a number above 0, such as 0.001")]


def word(given: str) -> str:
    """A name: not empty."""
    if not given.strip():
        raise ValueError("expected a name")
    return given


def network_name(given: str) -> str:
    """What finds a network: a name of the zoo's or of a package's, or `module:function`."""
    from ablax.zoo import find

    return find(given).name


def model_source(given: str) -> str:
    """What finds a model (`ablax.study.load`), as it was given."""
    from ablax.study.load import source_of

    source_of(given)
    return given


def convention_name(given: str) -> str:
    """The name of a convention of counting."""
    from ablax.inspection.cost import convention_named

    return convention_named(given).name


def library_name(given: str) -> str:
    """A library that publishes weights which some network here takes."""
    from ablax.weights.sources import WEIGHT_SOURCES

    known = sorted({each.library for sources in WEIGHT_SOURCES.values() for each in sources})
    if given not in known:
        raise ValueError(f"no library whose weights are read: {nearest(given, known)}")
    return given


def existing_file(given: str) -> Path:
    """A regular file that is there and may be read: no folder, pipe or device."""
    path = Path(given)
    if not given or not os.path.lexists(path):
        raise ValueError("there is no such file; give the path of a file that exists")
    if path.is_dir():
        raise ValueError("expected a file, and it is a folder; give a file in it")
    if not path.is_file():
        raise ValueError("expected a regular file, and it is none; give the path of another")
    if not os.access(path, os.R_OK):
        raise ValueError("the file may not be read; change its permissions (chmod u+r)")
    return path


def existing_folder(given: str) -> Path:
    """A folder that is there."""
    if not given or not Path(given).is_dir():
        raise ValueError("there is no such folder; give the path of a folder that exists")
    return Path(given)


def out_folder(given: str) -> Path:
    """A folder to write into: it is there and may be written to, or it can be made."""
    if not given.strip():
        raise ValueError("expected a folder, such as results/mine")
    path = Path(given)
    _refuse_long(path)
    there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        raise ValueError(f"{there} is not a folder; give the path of a folder")
    _refuse_unwritable(there)
    return path


def _refuse_unwritable(folder: Path) -> None:
    """Nothing is left there: not every system says rightly what it will allow."""
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = f" ({error.strerror})" if error.strerror else ""
        raise ValueError(f"the folder {folder} may not be written to{why}; give another") from error


def _refuse_long(path: Path) -> None:
    """Names that no disk takes, with what is put before and behind them while a file is written."""
    if any(len(os.fsencode(part)) > 200 for part in path.parts):
        raise ValueError("a name of more than 200 bytes; give a shorter one")


def out_file(given: str, endings: tuple[str, ...]) -> Path:
    """A file to write, of one of these endings, in a folder that is there and may be written to."""
    path = Path(given)
    if path.suffix not in endings:
        raise ValueError(f"the name must end in {' or '.join(endings)}")
    _refuse_long(path)
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; make it first (mkdir -p)")
    if os.path.lexists(path) and not path.is_file():
        raise ValueError("it is there, and no file; give the name of a file")
    _refuse_unwritable(path.parent)
    return path


def variant_names(given: str) -> str:
    """Names with commas between; who they are of knows the experiment."""
    if not all(each.strip() for each in given.split(",")):
        raise ValueError("expected names of variants with commas between, such as without_7,full")
    return given


PICTURES = (".png", ".svg", ".pdf")

Word = Annotated[str, spec(word, "NAME", str)]
"""A name that is looked up later, such as a layer's."""
VariantNames = Annotated[str, spec(variant_names, "A,B", str)]
NetworkName = Annotated[str, spec(network_name, "NETWORK", str)]
"""A network of the zoo, or of a package."""
_MODEL = tyro.conf.arg(
    help="A network (ablax list), NETWORK=FILE, a folder of weights, or RESULTS:VARIANT:SEED."
)
ModelSource = Annotated[str, spec(model_source, "MODEL", str), _MODEL]
ModelOrNone = Annotated[ModelSource | None, _MODEL]
ConventionName = Annotated[str, spec(convention_name, "{usual,lecture}", str)]
"""What counts as a multiply-accumulate."""
DataSource = Annotated[str, spec(word, "SET", str)]
"""`digits`, or `tfds:NAME`."""
ExistingFile = Annotated[Path, spec(existing_file, "FILE", Path)]
ExistingFolder = Annotated[Path, spec(existing_folder, "FOLDER", Path)]
OutFolder = Annotated[Path, spec(out_folder, "FOLDER", Path)]
PictureOut = Annotated[Path, spec(lambda given: out_file(given, PICTURES), "FILE.png", Path)]
PageOut = Annotated[Path, spec(lambda given: out_file(given, (".html",)), "FILE.html", Path)]
LayerNames = Annotated[tyro.conf.UseAppendAction[tuple[Word, ...]], tyro.conf.arg(metavar="LAYER")]
"""Names of layers: the option may be given again."""
TableFormat = Annotated[
    Literal["text", "csv", "markdown", "json", "html"],
    tyro.conf.arg(help="How the table is printed."),
]
Library = Annotated[
    Annotated[str, spec(library_name, "LIBRARY", str)] | None, tyro.conf.arg(name="from")
]
"""Whose file of weights: an option named by a word of Python's."""
DataFolder = Annotated[
    ExistingFolder | None,
    tyro.conf.arg(
        aliases=("--data.dir",),
        help="Folder of the prepared sets; that of TFDS_DATA_DIR by default.",
    ),
]


@dataclass(frozen=True)
class PreprocessingFields:
    """Preparation of the images, where it is not that of the weights' source."""

    resize: Pixels | None = None
    """Pixels of the shorter side before the crop."""
    interpolation: Literal["bilinear", "bicubic"] | None = None
    """How images are resized."""
    mean: tuple[Share, ...] = ()
    """Mean of each channel, from 0 to 1."""
    std: tuple[Positive, ...] = ()
    """Standard deviation of each channel."""
    channels: Literal["RGB", "BGR", "L"] | None = None
    """Order of the channels; L is gray."""

    def applied(self, model: Model) -> Model:
        """The model with this preparation; fields that are not given stay those of the model."""
        fields: dict[str, Any] = {name: value for name, value in vars(self).items() if value}
        if self.channels and len(self.channels) != model.image_shape[2]:
            raise AblaxError(
                f"--channels {self.channels}: the weights of {model.name} are for "
                f"{model.image_shape[2]} channels, {model.preprocessing.channels};"
                " leave --channels out, or give that many"
            )
        for name, given in (("mean", self.mean), ("std", self.std)):
            if given and len(given) != model.image_shape[2]:
                raise AblaxError(
                    f"--{name} {' '.join(f'{each:g}' for each in given)}: expected a number for "
                    f"each channel of {model.name}, {model.image_shape[2]}"
                )
        if self.resize is not None and self.resize < min(model.image_shape[:2]):
            raise AblaxError(
                f"--resize {self.resize}: expected at least {min(model.image_shape[:2])}, the "
                f"pixels along a side that {model.name} sees"
            )
        return replace(model, preprocessing=replace(model.preprocessing, **fields))


def opened(
    source: str,
    seed: int | None = None,
    image_size: int | None = None,
    classes: int | None = None,
    images: int = 1,
) -> Opened:
    """The model of a source; what was chosen for the person is printed on the standard error.

    Without a seed random weights stay shapes; `image_size` and `classes` are of a network without
    weights. So many `images` of it must fit into the memory at once.
    """
    from ablax.study.load import open_model

    for seeded in (None, seed) if image_size else (seed,):  # large ones before they are tried
        found = open_model(source, seed=seeded, image_size=image_size, classes=classes)
        needed = 4 * images * math.prod(found.model.image_shape)
        what = f"{images:,} images in float32"
        refuse_beyond_memory(needed, what, "--images, --batch or --image-size")
    if found.note:
        print(found.note, file=sys.stderr)
    return found


def save_picture(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure; its caption goes to the standard error."""
    from ablax.report.figures import caption_of, save

    save(figure, path, dpi=dpi)
    print(caption_of(figure), file=sys.stderr)


Preprocessing = Annotated[PreprocessingFields, tyro.conf.arg(name="")]
"""The fields of the preparation, as options of the command itself."""


class UsageError(AblaxError):
    """A command line that cannot be run: what was given, what was expected, what to do."""


def parse(
    function: Callable[..., None],
    words: Sequence[str],
    name: str,
    defaults: Mapping[str, Any] | None = None,
) -> functools.partial[None]:
    """The call of a command's function that the words behind its name ask for.

    Nothing of the command has run yet. The function's parameters are the options, its docstring the
    help; `defaults` are those of parameters whose default hangs on the words themselves.

    Raises:
        UsageError: Words that the function does not take, or values that its types refuse.
        SystemExit: With status 0, after `--help`.
    """
    bound = _bound(function, defaults or {})
    if {"-h", "--help"} & set(words):
        words = ["--help"]  # tyro leaves out of its help what was given before
    refusals: list[str] = []
    said = io.StringIO()
    told = _told(lambda event: refusals.append(_refusal(event, name, bound)))
    try:
        with contextlib.redirect_stderr(said), told:
            return _tyro(bound, words, name)
    except SystemExit as left:
        if not left.code:
            raise
    except AblaxError as error:
        raise as_typed(error) from None
    if refusals and not refusals[0].startswith(("-", f"{name} ")):  # a word in its place lacks
        known = _options(bound, name)
        unknown = [each for each in words if each.startswith("--") and each not in known]
        refusals = [_unknown(unknown, name, bound)] if unknown else refusals
    help_ = f"; ablax {name} --help explains the options"
    raise UsageError(refusals[0] if refusals else _plain(said.getvalue()) + help_)


def as_typed(error: AblaxError) -> AblaxError:
    """A refusal of a recipe's field as it is typed: in a file there are no dashes before it."""
    from ablax.config import Recipe, flat

    first = str(error).split(" ")[0].strip(",:")
    if first not in {field.replace("_", "-") for field in flat(Recipe())}:
        return error
    return UsageError(f"--{error}")


def _tyro(function: Callable[..., Any], words: Sequence[str], name: str) -> Any:
    return tyro.cli(
        function,
        args=words,
        prog=f"ablax {name}",
        config=(tyro.conf.FlagCreatePairsOff,),
        registry=_REGISTRY,
    )


def _bound(function: Callable[..., None], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    """The function that is called by no parser, but kept with its arguments for later.

    A parameter of type Any is no option: it has its default, or what the command has found.
    """
    hints = inspect.get_annotations(function, eval_str=True)
    parameters = [
        each.replace(default=defaults.get(name, each.default), annotation=hints[name])
        for name, each in inspect.signature(function).parameters.items()
        if hints[name] is not Any
    ]
    held = {name: value for name, value in defaults.items() if hints[name] is Any}

    def kept(*positional: Any, **named: Any) -> functools.partial[None]:
        return functools.partial(function, *positional, **named, **held)

    vars(kept).pop("__wrapped__", None)  # of the tests' checker of types: tyro would look under it
    kept.__name__, kept.__annotations__ = function.__name__, hints
    kept.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    # tyro breaks its lines where an argument's text goes on in the docstring.
    kept.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.getdoc(function) or "")
    return kept


def _options(function: Callable[..., Any], name: str) -> list[str]:
    """Every option of a command, as its help has them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        _tyro(function, ["--help"], name)
    lines = re.findall(r"^\W*(--[a-z].*)", printed.getvalue(), re.MULTILINE)
    return [option for line in lines for option in re.findall(r"--[\w.-]+", line)]


def _told(tell: Callable[[Any], None]) -> contextlib.AbstractContextManager[object]:
    """While tyro parses, `tell` is given its refusals.

    tyro's hook is young: where it is missing or of another form, its own words are taken instead.
    """
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        return contextlib.nullcontext()

    def told(event: Any) -> None:
        with contextlib.suppress(AttributeError, IndexError):
            tell(event)

    return on_parse_error(told)


def _refusal(event: Any, name: str, function: Callable[..., Any]) -> str:
    """What tyro's event says, in one sentence; an AttributeError where its form is not known."""
    kind = type(event).__name__
    if kind == "UnrecognizedArgs":
        return _unknown(event.tokens, name, function)
    if kind == "MissingArgs":
        if any(each.startswith("-") for each in event.unrecognized_tokens):
            return _unknown(event.unrecognized_tokens, name, function)
        missing = " and ".join(_named(each.arg) for each in event.missing_arguments)
        return f"{name} needs {missing}: ablax {name} --help explains what it takes"
    option = _named(event.argument)
    if kind == "InvalidChoice":
        return f"{option} {shown(event.value)}: {nearest(event.value, event.choices)}"
    if kind == "BadValue" and event.reason == "too_few_values":
        metavar = event.argument.lowered.metavar
        return f"{option} has no value: expected {option} {metavar}"
    return f"{option} {event.message}"


def _named(argument: Any) -> str:
    """An option as one types it, or the place of a word."""
    flags = [each for each in argument.lowered.name_or_flags if each.startswith("-")]
    name = min(flags, key=lambda each: "." in each, default="")
    return name or str(argument.lowered.metavar).strip("[]").split(" ")[0]


def _unknown(tokens: Sequence[str], name: str, function: Callable[..., Any]) -> str:
    """What to say of words that are left over."""
    unknown = [each for each in tokens if each.startswith("-")]
    if not unknown:
        return (
            f"{name} takes no further word, and {shown(tokens[0])} is one: ablax {name} --help "
            "explains what it takes"
        )
    given = unknown[0].partition("=")[0]
    hint = nearest(given, _options(function, name))
    if not hint.startswith("did"):
        hint = f"ablax {name} --help lists those there are"
    return f"{name} has no option {given}: {hint}"


def _plain(said: str) -> str:
    """The text of tyro's box, on one line."""
    words = " ".join(re.sub(r"[╭╮╰╯│─]", " ", re.sub(r"\x1b\[[0-9;]*m", "", said)).split())
    return words.partition(" For full helptext")[0] or "the command line cannot be read"


_REGISTRY = ConstructorRegistry()
"""How plain types are read, in the recipe's fields above all, with refusals like `options`'."""


_SCALARS: dict[Any, PrimitiveConstructorSpec[Any]] = {
    int: spec(whole, "INT", int),
    float: spec(any_real, "FLOAT", (int, float)),
    str: spec(word, "TEXT", str),
    Path: spec(lambda given: Path(word(given)), "PATH", Path),
}


@_REGISTRY.primitive_rule
def _plain_type(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    if info.type is bool:
        choices: dict[str, Any] = {"True": True, "False": False}
    elif get_origin(info.type) is Literal:
        choices = {str(each): each for each in get_args(info.type)}
    else:
        return _SCALARS.get(info.type)

    def chosen(given: str) -> Any:
        if given not in choices:
            raise ValueError(nearest(given, choices))
        return choices[given]

    return spec(chosen, f"{{{','.join(choices)}}}", object)


@_REGISTRY.primitive_rule
def _whole_or_word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`int | Literal["auto"]` takes a whole number or one of the words, and refuses in one line."""
    if get_origin(info.type) not in (Union, types.UnionType):
        return None
    words = [each for each in get_args(info.type) if get_origin(each) is Literal]
    if len(words) != 1 or set(get_args(info.type)) != {int, words[0]}:
        return None
    choices = get_args(words[0])

    def made(given: str) -> Any:
        try:
            return given if given in choices else whole(given)
        except ValueError as error:
            raise ValueError(f"{error}, or {' or '.join(choices)}") from None

    return spec(made, f"INT|{'|'.join(choices)}", (int, str))


@_REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`X | None` takes what X takes, and the word None: X's refusal is the refusal."""
    if get_origin(info.type) not in (Union, types.UnionType):
        return None
    kinds = [each for each in get_args(info.type) if each is not type(None)]
    if len(kinds) != 1 or len(kinds) == len(get_args(info.type)):
        return None
    inner = _inner(kinds[0], info)
    return replace(
        inner,
        instance_from_str=lambda words: (
            None if words == ["None"] else inner.instance_from_str(words)
        ),
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: (
            ["None"] if value is None else inner.str_from_instance(value)
        ),
    )


@_REGISTRY.primitive_rule
def _several(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`tuple[X, ...]` takes words as long as X does, and X's refusal is the refusal."""
    arguments = get_args(info.type)
    if get_origin(info.type) is not tuple or arguments[1:] != (...,):
        return None
    if tyro.conf.UseAppendAction in info.markers:
        return None
    inner = _inner(arguments[0], info)
    size = inner.nargs
    assert isinstance(size, int)

    def made(words: list[str]) -> tuple[Any, ...]:
        if not words:
            raise ValueError(f"has no value: expected {inner.metavar} ...")
        if len(words) % size:
            typed = " ".join(map(shown, words))
            raise ValueError(f"{typed}: expected {inner.metavar}, and as much again for each more")
        groups = (words[start : start + size] for start in range(0, len(words), size))
        return tuple(map(inner.instance_from_str, groups))

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{inner.metavar} ...",
        instance_from_str=made,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [
            each for item in value for each in inner.str_from_instance(item)
        ],
    )


@_REGISTRY.primitive_rule
def _pair(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`tuple[X, Y]` takes a word for each, and theirs are the refusals."""
    arguments = get_args(info.type)
    if get_origin(info.type) is not tuple or ... in arguments or not arguments:
        return None
    inner = [_inner(each, info) for each in arguments]
    return PrimitiveConstructorSpec(
        nargs=len(inner),
        metavar=" ".join(each.metavar for each in inner),
        instance_from_str=lambda words: tuple(
            each.instance_from_str([word]) for each, word in zip(inner, words, strict=True)
        ),
        is_instance=lambda value: isinstance(value, tuple) and len(value) == len(inner),
        str_from_instance=lambda value: [
            part
            for each, item in zip(inner, value, strict=True)
            for part in each.str_from_instance(item)
        ],
    )


def _inner(kind: Any, info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any]:
    """How tyro reads what stands inside another type."""
    found = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, info.markers))
    if isinstance(found, tyro.constructors.UnsupportedTypeAnnotationError):
        raise found
    return found
