"""``run --serve``: the frames in a browser."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running
from tests.streaming.films import write_film


def test_a_run_can_be_watched_and_ended(tmp_path: Path) -> None:
    model, film = write_tiny_onnx(tmp_path / "bright.onnx"), write_film(tmp_path / "video.mp4", 6)
    options = ["--model", model, "--loop", "--pace", 30, "--serve", 0]
    command = [*map(str, [sys.executable, "-m", "ssd_edge", "run", film, *options])]
    with running(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if line.startswith("to watch, open "))
        url = said.removeprefix("to watch, open ").partition(";")[0]
        assert "from other machines, with a token: --serve 0.0.0.0:" in said
        with urlopen(f"{url}snapshot.jpg", timeout=30) as answer:
            picture = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[2] == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    model, film = write_tiny_onnx(tmp_path / "bright.onnx"), write_film(tmp_path / "video.mp4", 6)
    result = CliRunner().invoke(app, ["run", str(film), "--model", str(model), "--serve", "here"])
    assert result.exit_code == 1
    assert (
        "--serve is not a valid address: got 'here'; wanted a port or HOST:PORT, such as 8080, 0.0.0.0:8080"
        in result.stderr
    )
