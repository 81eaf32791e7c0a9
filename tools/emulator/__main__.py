"""Any ``ssd-edge`` command on the emulated GPU: ``python -m tools.emulator 10.3 doctor --selftest``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools.emulator.standin.releases import RELEASES
from tools.emulator.surroundings import READY, surroundings


def main(release: str = "", *arguments: str) -> None:
    if release not in RELEASES:
        sys.exit(f"there is no stand-in for TensorRT {release!r}: wanted one of {', '.join(RELEASES)}")
    if not READY:
        sys.exit("the emulated GPU is not built (Linux and a C++ compiler are needed). Build it: make setup")
    program = str(Path(sys.executable).with_name("ssd-edge"))
    os.execve(program, [program, *arguments], surroundings(release))


if __name__ == "__main__":
    main(*sys.argv[1:])
