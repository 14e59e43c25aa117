"""Give `ablax` every line of `odd_lines.py` and say what is wrong with its answers.

    python tests/odd/odd_input.py                  all lines, 15 of them as processes of their own
    python tests/odd/odd_input.py --only predict   lines that begin so
    python tests/odd/odd_input.py --show           every answer too

The lines run one after another in one child, each in an empty working folder; a child that hangs,
dies or grows is replaced. A refusal is right if it has the right status and one message, names what
was typed, wrote nothing, and came before training and within 20 seconds of a processor. `make
odd-input` runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

SECONDS = 20.0
"""Of processors, that a line may take."""
PATIENCE = 240.0
"""Of the clock, after which it hangs."""
MEMORY = 12 * 2**30
"""Bytes of address space that a child may take; a traceback or worse where it wants more."""
LONGEST = 700
"""Characters of a message, without the list under it."""
PROGRESS = ("checking ", "decoding ")
"""How lines begin that say what is being done."""


@dataclass(frozen=True)
class Answer:
    """What a line did: its exit status (None: hung or died), its output, the files it left."""

    status: int | None
    out: str
    err: str
    seconds: float
    trained: bool
    left: tuple[str, ...]


# ------------------------------------------------------------------------------------------
# In the child.


class TrainingBegan(BaseException):
    """In place of a training."""


def serve() -> None:
    """Run the lines that come in, a JSON list of words each, until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    _prepare()
    for request in requests:
        place, words = json.loads(request)
        os.chdir(place)
        answer = _call(words)
        os.chdir("/")
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _prepare() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (4 * MEMORY, 4 * MEMORY))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    import ablax.doctor.checks
    import ablax.study.runner
    from ablax.native import why_not

    why_not()  # compiles now, not in the middle of a line, and says so

    def began(*_: Any, **__: Any) -> None:
        raise TrainingBegan

    ablax.study.runner.train = began  # type: ignore[assignment]
    ablax.study.runner.pretrained = began  # type: ignore[assignment]
    ablax.study.runner.Pool = began  # type: ignore[assignment,misc]
    ablax.doctor.checks.examine = began  # type: ignore[assignment]


def _call(words: list[str]) -> dict[str, Any]:
    from ablax.__main__ import main

    started, status, trained = time.process_time(), 0, False
    modules, path = set(sys.modules), list(sys.path)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        for number, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), number)
        try:
            main(words)
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except TrainingBegan:
            trained = True
        except BaseException:
            traceback.print_exc()
            status = 1
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        seconds = time.process_time() - started
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read(200_000).decode(errors="replace"))
    for name in set(sys.modules) - modules:
        if name.startswith("ablax_user_"):
            del sys.modules[name]
    sys.path[:] = path
    return {
        "status": status,
        "out": said[0],
        "err": said[1],
        "seconds": seconds,
        "trained": trained,
    }


# ------------------------------------------------------------------------------------------
# In the parent.


class Child:
    """A process that runs lines, made again where one ended it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._process = folder, None
        self.place = folder.parent / "here"
        self._names = tree(folder)

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1] / "src"), *sys.path]),
            "ABLAX_CACHE": str(self.folder.parent / "cache"),
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        }
        environment.pop("TFDS_DATA_DIR", None)
        return subprocess.Popen(
            [sys.executable, str(HERE / "odd_input.py"), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            start_new_session=True,
        )

    def run(self, words: Sequence[str]) -> Answer:
        """The answer to a line, given in an empty folder."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        if self._process is None:
            self._process = self._start()
            self._ask(["--version"], 2 * PATIENCE)
        told = self._ask(list(words), PATIENCE)
        left = tree(self.place)
        if any(str(self.folder) in word for word in words):
            before, self._names = self._names, tree(self.folder)
            left |= before ^ self._names
        if told is None:
            self.stop()
            return Answer(None, "", "", PATIENCE, False, tuple(sorted(left)))
        return Answer(left=tuple(sorted(left)), **told)

    def _ask(self, words: list[str], seconds: float) -> dict[str, Any] | None:
        assert self._process is not None
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([str(self.place), words]) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        answer = process.stdout.readline() if ready else ""
        return json.loads(answer) if answer else None

    def stop(self) -> None:
        """End it, with what it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.communicate()
            self._process = None


def tree(place: Path) -> set[str]:
    """Every name below a folder, with its size where it is a file."""
    found = set()
    for root, folders, files in os.walk(place):
        found |= {f"{root}/{name}" for name in folders}
        for name in files:
            path = f"{root}/{name}"
            found.add(f"{path} {os.lstat(path).st_size}")
    return found


def faults(line: Any, answer: Answer) -> list[str]:
    """What is wrong with an answer, in a word each."""
    from odd_lines import TRAINS

    if answer.status is None:
        return ["hung or died"]
    said, found = answer.err.strip(), []
    both = answer.out + answer.err
    if "Traceback" in both or re.search(r"^\S*(Error|Exception|Exit|Interrupt): ", both, re.M):
        found.append("traceback")
    if "Aborted" in both or "core dumped" in both or "Fatal Python error" in both:
        found.append("abort")
    if answer.seconds > SECONDS:
        found.append("slow")
    if line.status == TRAINS:
        return found if answer.trained else [*found, "refused"]
    if answer.trained:
        return [*found, "accepted"]
    if answer.status != line.status:
        found.append("accepted" if answer.status == 0 else f"status {answer.status}")
    if line.status == 0 or "traceback" in found:
        return found
    if answer.left:
        found.append("wrote")
    others = said.splitlines()[1:]  # indented where they list what the first one counts
    if not said.startswith("ablax: ") or not all(each.startswith("  ") for each in others):
        found.append("not one message")
    first = said.partition("\n")[0]
    if len(first) > LONGEST or len(others) > 10 or len(re.findall(r"[.?!] [A-Z]", first)) > 2:
        found.append("long")
    if line.says and not any(each in said for each in line.says):
        found.append("names nothing")
    told = [each for each in answer.out.splitlines() if each and not each.startswith(PROGRESS)]
    if told and line.words and line.words[0] != "doctor":
        found.append("output")
    return found


def filled(line: Any, folder: Path) -> Any:
    """The line with the folder's path in it."""
    import dataclasses

    def fill(words: Iterable[str]) -> tuple[str, ...]:
        return tuple(word.replace("{F}", str(folder)) for word in words)

    return dataclasses.replace(line, words=fill(line.words), says=fill(line.says))


def examined(lines: Iterable[Any], folder: Path) -> Iterator[tuple[Any, Answer, list[str]]]:
    """Each line with its answer and its faults."""
    child = Child(folder)
    try:
        for line in lines:
            answer = child.run(filled(line, folder).words)
            yield line, answer, faults(filled(line, folder), answer)
    finally:
        child.stop()


def as_process(line: Any, folder: Path) -> Answer:
    """The answer of a process of its own: what a person sees."""
    place = folder.parent / "alone"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    words = filled(line, folder).words
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}
    environment |= {"JAX_PLATFORMS": "cpu", "ABLAX_CACHE": str(folder.parent / "cache")}
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "ablax", *words],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=4 * PATIENCE,
        check=False,
    )
    after = os.times()
    seconds = sum(after[2:4]) - sum(before[2:4])
    left = tuple(sorted(tree(place)))
    return Answer(done.returncode, done.stdout, done.stderr, seconds, False, left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="lines that begin so")
    parser.add_argument("--containing", default="", help="lines with this pattern in them")
    parser.add_argument("--show", action="store_true", help="print every answer")
    parser.add_argument(
        "--folder", type=Path, help="the folder of odd files, if it is made already"
    )
    parser.add_argument("--processes", type=int, default=15, help="lines that get one of their own")
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    import odd_files
    from odd_lines import lines

    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or odd_files.make(Path(place).resolve() / "odd")
        chosen = [line for line in lines() if str(line).startswith(options.only)]
        chosen = [line for line in chosen if re.search(options.containing, str(line))]
        count: Counter[str] = Counter()
        wrong = 0
        for line, answer, found in examined(chosen, folder):
            count.update(found)
            wrong += bool(found)
            if found or options.show:
                _print(line, answer, found)
        refused = [line for line in chosen if line.status == 2]
        alone = random.Random(0).sample(refused, min(options.processes, len(refused)))
        for line in alone:
            answer = as_process(line, folder)
            if found := faults(filled(line, folder), answer):
                wrong += 1
                count.update(f"{each}, alone" for each in found)
                _print(line, answer, found)
        told = ", ".join(f"{number} {name}" for name, number in count.most_common()) or "none"
        print(f"{len(chosen)} lines, {len(alone)} as processes; {wrong} with faults: {told}")
        return int(wrong > 0)


def _print(line: Any, answer: Answer, found: list[str]) -> None:
    print(f"{', '.join(found) or 'right'} [{answer.status}, {answer.seconds:.1f} s]: {line}")
    lines = answer.err.strip().splitlines()
    for each in lines if len(lines) < 4 else [lines[0], "...", *lines[-2:]]:
        print(f"    {each[:400]}")
    for each in answer.left[:5]:
        print(f"    left: {each}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
