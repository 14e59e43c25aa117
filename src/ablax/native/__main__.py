"""`python -m ablax.native`: compile what calls oneDNN now and say so, or what is in a wheel."""

from __future__ import annotations

import logging
import sys
import time

from ablax.native.library import instructions, prebuild, why_not


def main() -> None:
    """Compile for this machine; with a folder of headers, for a wheel."""
    logging.basicConfig(format="%(message)s")
    if sys.argv[1:]:
        for library in prebuild(sys.argv[1]):
            print(f"built {library.name}, {library.stat().st_size / 2**20:.1f} MB")
        return
    began = time.monotonic()
    if without := why_not():
        print(f"convolutions are left to XLA: {without}")
    else:
        seconds = time.monotonic() - began
        print(f"convolutions are computed by oneDNN with {instructions()} ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
