"""What libraries write to descriptor 2 while an image is decoded is dropped; what Python writes meanwhile is not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.native_lines import lines_dropped

PROGRAM = """
import os, sys, threading
from pathlib import Path
from ssd_edge.core import native_lines
from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
if sys.argv[1] == "apart":
    native_lines.keep_python_apart()
def read():
    for path in sorted(Path(sys.argv[2]).iterdir()):
        try:
            read_image(path)
        except InputError as error:
            print(path.name, "refused", file=sys.stderr)
threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads: thread.start()
for number in range(200): print("line", number, file=sys.stderr, flush=True)
for thread in threads: thread.join()
os.write(2, b"after\\n")
"""


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (folder / "a.jpg").write_bytes(jpeg[:-2] + b"\0" * 30 + b"\xff\xd9")
    png = bytearray(cv2.imencode(".png", image)[1].tobytes())
    png[len(png) // 2] ^= 255
    (folder / "b.png").write_bytes(bytes(png))
    return folder


@pytest.mark.parametrize("way", ["apart", "shared"])
def test_lines_of_libraries_are_dropped_where_python_has_a_stderr_of_its_own(way: str, damaged: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, way, str(damaged)], capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stderr.splitlines()
    assert lines[-1] == "after"
    native = [line for line in lines if "libpng" in line or "JPEG data" in line]
    assert bool(native) == (way == "shared")
    if way == "apart":
        assert [line for line in lines if line.startswith("line")] == [f"line {number}" for number in range(200)]
        assert lines.count("b.png refused") == 4


def test_the_command_line_drops_them(damaged: Path) -> None:
    command = [sys.executable, "-m", "ssd_edge", "data", "stats", str(damaged)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert all(line.startswith("ssd-edge: ") for line in done.stderr.splitlines())


def open_descriptors() -> set[int]:
    return {number for number in range(256) if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("missing", ["dup", "open"])
def test_where_no_descriptor_is_left_lines_are_written_and_none_leaks(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], missing: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    before = open_descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os, missing, refuse)
        with lines_dropped():
            os.write(2, b"inside\n")
    assert open_descriptors() == before
    with lines_dropped():
        os.write(2, b"dropped\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "inside\nafter\n"
