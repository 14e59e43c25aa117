"""What a word of the command line may be: a type for each kind of option, each refusal once.

A command's parameters have these types, and `ablax.commands.parsing` has tyro make its parser of
them. A word that a type refuses ends the command before anything is read or compiled, with the
option, the word, what was expected and what to do: `--depth 0: expected at least 1`.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

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
    """How tyro reads a word.

    Args:
        make: From the word to the value; a ValueError says what is wrong with it.
        metavar: The word's place in the help.
        kind: What a default is an instance of.
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
    """The word as one types it: with quotes where it is empty or has a space."""
    return shlex.quote(word) if not word or word.split() != [word] else word


def whole(word: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number between two others, where there are bounds.

    Raises:
        ValueError: It is none; the message says what is expected.

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

    Raises:
        ValueError: It is none; the message says what is expected.

    Example:
        >>> real("0.5", lambda x: x > 0, "a number above 0")
        0.5
    """
    try:
        number = float(word)
    except ValueError:
        raise ValueError(f"expected {expected}") from None
    if not (math.isfinite(number) and holds(number)):
        raise ValueError(f"expected {expected}")
    return number


def _int(least: int, most: int, metavar: str = "INT") -> PrimitiveConstructorSpec[int]:
    return spec(lambda word: whole(word, least, most), metavar, int)


def _float(holds: Callable[[float], bool], expected: str) -> PrimitiveConstructorSpec[float]:
    return spec(lambda word: real(word, holds, expected), "FLOAT", (int, float))


AtLeastOne = Annotated[int, _int(1, MOST)]
"""1 to a million: steps, samples, layers of names."""
AtLeastTwo = Annotated[int, _int(2, MOST)]
"""2 to a million: classes to tell apart."""
NonNegativeInt = Annotated[int, _int(0, MOST)]
"""0 to a million."""
Images = Annotated[int, _int(1, MOST_IMAGES)]
"""Images in one batch."""
Pixels = Annotated[int, _int(1, MOST_PIXELS, "PIXELS")]
"""Along one side of an image."""
Seed = Annotated[int, _int(0, LARGEST_SEED)]
"""Of random numbers."""
Share = Annotated[float, _float(lambda x: 0 <= x <= 1, "a number from 0 to 1")]
"""Between 0 and 1, both included."""
Positive = Annotated[float, _float(lambda x: x > 0, "a number above 0, such as 0.001")]
"""Above 0, finite."""


def word(given: str) -> str:
    """A name: not empty.

    Raises:
        ValueError: It is.
    """
    if not given.strip():
        raise ValueError("expected a name")
    return given


def network_name(given: str) -> str:
    """What finds a network: a name of the zoo's or of a package's, or `module:function`.

    Raises:
        AblaxError: There is none; the message has the nearest.
    """
    from ablax.zoo import find

    return find(given).name


def model_source(given: str) -> str:
    """What finds a model (`ablax.study.load`), as it was given.

    Raises:
        AblaxError: There is none; the message has the nearest.
    """
    from ablax.study.load import source_of

    source_of(given)
    return given


def convention_name(given: str) -> str:
    """The name of a convention of counting.

    Raises:
        AblaxError: There is none; the message has the nearest.
    """
    from ablax.inspection.cost import convention_named

    return convention_named(given).name


def existing_file(given: str) -> Path:
    """A regular file that is there and may be read: no folder, pipe or device.

    Raises:
        ValueError: It is none.
    """
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
    """A folder that is there.

    Raises:
        ValueError: It is none.
    """
    if not given or not Path(given).is_dir():
        raise ValueError("there is no such folder; give the path of a folder that exists")
    return Path(given)


def out_folder(given: str) -> Path:
    """A folder to write into: it is there and may be written to, or it can be made.

    Raises:
        ValueError: It cannot.
    """
    if not given.strip():
        raise ValueError("expected a folder, such as results/mine")
    path = Path(given)
    nearest = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise ValueError(f"{nearest} is not a folder; give the path of a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {nearest} may not be written to; give another")
    return path


def out_file(given: str, endings: tuple[str, ...]) -> Path:
    """A file to write, in a folder that is there and may be written to.

    Args:
        given: The word.
        endings: That its name may have, such as `.png`.

    Raises:
        ValueError: It cannot be written.
    """
    path = Path(given)
    if path.suffix not in endings:
        raise ValueError(f"the name must end in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; make it first (mkdir -p)")
    if os.path.lexists(path) and not path.is_file():
        raise ValueError("it is there, and no file; give the name of a file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {path.parent} may not be written to; give another")
    return path


PICTURES = (".png", ".svg", ".pdf")

Word = Annotated[str, spec(word, "NAME", str)]
"""A name that is looked up later, such as a layer's."""
NetworkName = Annotated[str, spec(network_name, "NETWORK", str)]
"""A network of the zoo, or of a package."""
ModelSource = Annotated[str, spec(model_source, "MODEL", str)]
"""A network's name, NETWORK=FILE, a folder of weights, or RESULTS[:VARIANT[:SEED]]."""
ConventionName = Annotated[str, spec(convention_name, "{usual,lecture}", str)]
"""What counts as a multiply-accumulate."""
DataSource = Annotated[str, spec(word, "SET", str)]
"""`digits`, or `tfds:NAME`."""
ExistingFile = Annotated[Path, spec(existing_file, "FILE", Path)]
"""A regular file that may be read."""
ExistingFolder = Annotated[Path, spec(existing_folder, "FOLDER", Path)]
"""A folder that is there."""
OutFolder = Annotated[Path, spec(out_folder, "FOLDER", Path)]
"""A folder to write into."""
PictureOut = Annotated[Path, spec(lambda given: out_file(given, PICTURES), "FILE.png", Path)]
"""A picture to write."""
PageOut = Annotated[Path, spec(lambda given: out_file(given, (".html",)), "FILE.html", Path)]
"""A page to write."""
TableFormat = Literal["text", "csv", "markdown", "json", "html"]
"""How a table is printed."""
Library = Annotated[Word | None, tyro.conf.arg(name="from", metavar="LIBRARY")]
"""Whose file of weights: an option named by a word of Python's."""
DataFolder = Annotated[ExistingFolder | None, tyro.conf.arg(aliases=("--data.dir",))]
"""Where the prepared sets are."""


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
        """The model with this preparation; fields that are not given stay those of the model.

        Raises:
            AblaxError: The model is for another number of channels.
        """
        import dataclasses

        from ablax.errors import AblaxError

        fields: dict[str, Any] = {name: value for name, value in vars(self).items() if value}
        if self.channels and len(self.channels) != model.image_shape[2]:
            raise AblaxError(
                f"--channels {self.channels}: the weights of {model.name} are for "
                f"{model.image_shape[2]} channels, {model.preprocessing.channels};"
                " leave --channels out, or give that many"
            )
        return dataclasses.replace(
            model, preprocessing=dataclasses.replace(model.preprocessing, **fields)
        )


def opened(
    source: str,
    seed: int | None = None,
    image_size: int | None = None,
    classes: int | None = None,
) -> Opened:
    """The model of a source; what was chosen for the person is printed on the standard error.

    Args:
        source: A `ModelSource`.
        seed: Of random weights; None leaves them as shapes, where nothing else is known of them.
        image_size: Of a network without weights.
        classes: Likewise.

    Raises:
        AblaxError: It cannot be opened.
    """
    from ablax.study.load import open_model

    found = open_model(source, seed=seed, image_size=image_size, classes=classes)
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
