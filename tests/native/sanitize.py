"""The C++ under sanitizers: `sanitize.cpp` built for each width of vectors, and run.

`make sanitize` runs 1,000 random geometries of each operation for every width that the machine has,
under the sanitizers of addresses and undefined behavior and, apart, of threads. The exit status is
1 where one of them found something; a width or a sanitizer that the machine or its compiler lacks
is named and left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax.ffi

from ablax.native import library

HERE = Path(__file__).parent
WIDTHS = {
    "avx512": (("-march=x86-64-v4",), {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    "avx2": (("-march=x86-64-v3",), {"avx2", "fma", "bmi2"}),
    "sse": (("-march=x86-64",), {"sse2"}),
    "native": (("-march=native",), set()),
}
"""The compiler's options, and the processor's features that a program built so needs."""
ISA = {"avx2": "AVX2", "sse": "SSE41"}
"""What oneDNN may use at most."""

SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}


def built(program: Path, source: Path, *flags: str) -> None:
    """Compile a program; a CalledProcessError says what was wrong."""
    onednn, shared = library._onednn()
    includes = ["-isystem", jax.ffi.include_dir(), "-isystem", onednn]
    includes += [f"-I{Path(library.__file__).parent}"]
    linked = f"-Wl,-rpath,{Path(shared).parent},--copy-dt-needed-entries"
    own = [flag for flag in library.FLAGS if flag not in ("-shared", "-O2")]
    run(
        [
            *library._compiler(),
            *own,
            "-pthread",
            *flags,
            *includes,
            source,
            linked,
            shared,
            "-o",
            program,
        ]
    )


def run(command: list[str | Path]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def works(folder: Path, *flags: str) -> bool:
    """Whether the compiler's programs with these options run here."""
    empty = folder / "empty.cpp"
    empty.write_text("int main() {}\n")
    try:
        built(folder / "empty", empty, *flags)
        run([folder / "empty"])
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def said(report: str) -> str:
    """The beginning of a sanitizer's report, and its end, which names the call."""
    return report if len(report) < 8000 else f"{report[:6000]}\n...\n{report[-2000:]}"


def main() -> int:
    """Build and run; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", nargs="+", choices=WIDTHS, default=["avx512", "avx2", "sse"])
    parser.add_argument("--sanitizers", nargs="+", choices=SANITIZERS, default=list(SANITIZERS))
    parser.add_argument("--geometries", type=int, default=1000)
    parser.add_argument("--level", type=int, default=1, help="of the compiler's optimization")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next has one more")
    given = parser.parse_args()
    features = set(library._features().split())
    status = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for width in given.widths:
            flags, needed = WIDTHS[width]
            for sanitizer in given.sanitizers:
                what = f"{width}, {sanitizer}"
                all_flags = (*flags, SANITIZERS[sanitizer], "-fno-sanitize-recover=all")
                all_flags += (f"-O{given.level}", "-g1")
                if not needed <= features or not works(folder, *all_flags):
                    print(f"{what}: left out, which this machine or its compiler lacks", flush=True)
                    continue
                built(folder / "sanitize", HERE / "sanitize.cpp", *all_flags)
                command = [folder / "sanitize", str(given.geometries), str(given.seed)]
                limits = {"ONEDNN_MAX_CPU_ISA": ISA.get(width, "DEFAULT")}
                done = subprocess.run(
                    command, check=False, capture_output=True, text=True, env=os.environ | limits
                )
                found = done.returncode != 0
                status |= found
                print(f"{what}: {said(done.stderr) if found else done.stdout.strip()}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
