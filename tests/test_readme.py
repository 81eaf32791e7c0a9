"""Every command and the Python of the README run, in their order and as they stand, in a workspace of drawn signs.

What they name lies there: a data set at ``path/to/data``, ``photos/``, ``video.mp4``. Cameras, network streams and the
screen are stand-ins (``tests/readme_stand_ins.py``). ``ADDED`` keeps trainings short and ends what would run on.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import README, ROOT, code_lines, commands, python_blocks

RUN_ELSEWHERE = {  # these lines are not run here, but what they do is
    "make demo": "tests/cli/test_demo.py",  # the demo, with --quick
    "make test": "tests/test_readme.py",  # it is running
    "source .venv/bin/activate": "tests/test_release.py",  # the command from an environment
    "pip install 'dist/ssd_edge-0.1.0-py3-none-any.whl[train]'": "tests/test_release.py",  # in an empty folder
    "pip install dist/ssd_edge-0.1.0-py3-none-any.whl": "tests/test_release.py",  # the same
}
TINY = "--preset ssd192-tiny --input-size 64 --batch-size 8 --workers 1 --no-tensorboard"
ADDED = {  # pattern of a line: what is added to it, which stands instead of what was said before
    r"ssd-edge train path/to/data (?!.*--minutes)": f"{TINY} --epochs 1",
    r"ssd-edge train path/to/data .*--minutes": f"{TINY} --minutes 0.02",
    r"ssd-edge bench": "--quick --seconds 0.2",
    r"ssd-edge run (--camera|rtsp:)": "--max-frames 5",
}
SHORTER = {  # the same for the Python
    'preset="ssd300-mobilenet-v1", minutes=20': "preset='ssd192-tiny', input_size=64, epochs=1, batch_size=8",
    "detect) as frames": "detect, max_frames=5) as frames",
}
MAY_END_WITH_1 = {"ssd-edge doctor"}  # where something is missing on this machine
INTERRUPTED = """
import ssd_edge as ssd
class Stop(ssd.Callback):
    def on_step(self, number, *_):
        if number > 3:  # in the second epoch
            raise KeyboardInterrupt
try:
    ssd.train("path/to/data", preset="ssd192-tiny", input_size=64, epochs=2, batch_size=8, workers=1, name="stopped",
              callbacks=[Stop()])
except KeyboardInterrupt:
    pass
"""
INPUTS = """
import cv2, shutil, ssd_edge as ssd
data = ssd.synthesize("path/to/data", train=24, val=8, test=8, size=(96, 96), video="video.mp4", frames=12,
                      video_size=(128, 96)).path
shutil.copytree(data / "JPEGImages", "photos")
cv2.imwrite("photo.jpg", cv2.imread(str(sorted((data / "JPEGImages").iterdir())[0])))
"""


class Shell:
    """A terminal: ``ssd-edge`` is this tree's, with stand-ins; ``cd`` lasts, and inputs lie wherever it leads."""

    def __init__(self, folder: Path) -> None:
        self.inputs, self.at = folder / "inputs", folder / "home"
        self.inputs.mkdir()
        self.at.mkdir()
        program = folder / "bin" / "ssd-edge"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.readme_stand_ins "$@"\n')
        program.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SSD_EDGE_STAND_IN": str(self.inputs / "video.mp4"),
        }
        self.python(INPUTS, self.inputs)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a shell does."""
        self._lay_out_inputs()
        note = self.inputs / "at"
        done = subprocess.run(
            ["bash", "-c", f"{line}\ncode=$?; pwd > {shlex.quote(str(note))}; exit $code"],
            cwd=self.at, env=self.environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        self.at = Path(note.read_text().strip())
        return done

    def python(self, program: str, folder: Path | None = None) -> None:
        """Run a program of Python in the current folder, or in another."""
        self._lay_out_inputs()
        live = "import sys\nsys.argv.append('rtsp://')\n" if "rtsp://" in program else ""
        program = f"{live}from tests.readme_stand_ins import stand_in\nstand_in()\n{program}"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder or self.at, env=self.environment, capture_output=True,
            text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    def _lay_out_inputs(self) -> None:
        for entry in self.inputs.iterdir():
            link = self.at / entry.name
            if not link.exists() and entry.name != "at":
                link.symlink_to(entry)


def full_line(line: str) -> str:
    """Return a line of the README with what keeps it short."""
    added = "".join(f" {options}" for pattern, options in ADDED.items() if re.match(pattern, line))
    return re.sub(r"--serve 8080\b", f"--serve {free_port()}", line) + added


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_each_line_of_the_readme_is_run_or_argued() -> None:
    """A line of a code block is a command that the chain runs, one that another test runs, a drawing, or JSON."""
    rest = [line for line in code_lines(README, "sh") if not line.startswith("ssd-edge ")]
    rest = [line for line in rest if not re.match(r"[{]|images ─ train", line)]
    assert sorted(rest) == sorted(RUN_ELSEWHERE)
    for place in RUN_ELSEWHERE.values():
        assert "def test_" in (ROOT / place).read_text()


def test_make_demo_is_the_command_demo() -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", "demo"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].endswith("ssd-edge demo")


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for line in commands(README):
        if "--resume last" in line:
            shell.python(INTERRUPTED)
        done = shell.run(full_line(line))
        assert done.returncode in ({0, 1} if line in MAY_END_WITH_1 else {0}), f"{line}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr
        if line == "ssd-edge run --camera 0":
            assert "window: 5 frames" in done.stderr
        if "--json -" in line:
            check_line_shown(json.loads(done.stdout.splitlines()[0]))
    for made in ("runs/signs/best.pt", "engines/signs/signs.onnx", "engines/current.json", "boxes.mp4", "boxes.jsonl"):
        assert (shell.at / made).stat().st_size
    assert len([*(shell.at / "boxes").iterdir()]) == len([*(shell.at / "photos").iterdir()])


def check_line_shown(line: dict[str, object]) -> None:
    """The README shows a line of JSON: it has the keys of a real one, in their order."""
    (shown,) = [json.loads(text) for text in code_lines(README) if text.startswith("{")]
    assert list(shown) == list(line)


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (program,) = python_blocks(README)
    for text, shorter in SHORTER.items():
        assert text in program
        program = program.replace(text, shorter)
    shell.python(program)
    assert (shell.at / "engines" / "current.json").is_file()
