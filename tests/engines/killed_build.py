"""Builds an engine over an older one, again and again, and is killed before each of its file operations in turn.

``python -m tests.engines.killed_build FOLDER``: FOLDER/template holds the older pair, FOLDER/1, FOLDER/2 ... what each
kill leaves. Prints how many there are; the last build ended well.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.graph.source import read_onnx
from tests.backends.tiny_onnx import write_tiny_onnx

OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}


def build(folder: Path, shift: float) -> None:
    """The lowered graph is another one where ``shift`` is."""
    source = read_onnx(folder / "bright.onnx")
    lowered = read_onnx(write_tiny_onnx(folder / "lowered" / "bright.onnx", shift=shift)).model
    build_lowered(source, Lowered(lowered, scheme=str(shift)), OrtBuilder(), folder / "m.engine")


def die_before(number: int, folder: Path) -> None:
    """Kill this process before its n-th operation on a file of the folder."""
    seen = itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in OPERATIONS and str(folder) in str(arguments[0]) and next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(folder: Path) -> None:
    template = folder / "template"
    write_tiny_onnx(template / "bright.onnx")
    if os.fork() == 0:  # ONNX Runtime's threads do not survive a fork: this process never has any
        build(template, 0.0)
        os._exit(0)
    os.wait()
    for number in itertools.count(1):
        left = folder / str(number)
        shutil.copytree(template, left)
        if os.fork() == 0:
            die_before(number, left)
            build(left, 0.1)
            os._exit(0)
        if os.wait()[1] == 0:
            sys.stdout.write(f"{number}\n")
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
