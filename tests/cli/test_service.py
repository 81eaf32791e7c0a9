"""A run as a service: signals while something hangs, exit code 75, systemd's socket, and ``--supervise``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssd_edge.cli import service
from ssd_edge.cli.service import SystemdNotifier, supervise
from ssd_edge.streaming.states import StreamState, StreamStatus
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running
from tests.streaming.films import read_film, write_bright_film

ROOT = Path(__file__).parents[2]
END_S = 2.0  # the bound of docs/streaming.md


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


def lines(path: Path) -> list[dict]:
    """The whole lines so far."""
    text = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_soon_though_an_opening_hangs(tmp_path: Path, silent_server: int, number: int) -> None:
    model, boxes = write_tiny_onnx(tmp_path / "bright.onnx"), tmp_path / "boxes.jsonl"
    film = write_bright_film(tmp_path / "video.mp4", 10)
    command = [
        sys.executable, "-m", "ssd_edge", "run", film, f"rtsp://127.0.0.1:{silent_server}/x", "--model", model,
        "--json", boxes,
    ]  # fmt: skip
    with running([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE) as run:
        due = time.monotonic() + 60
        while len(lines(boxes)) < 10 and time.monotonic() < due:
            time.sleep(0.05)
        began = time.monotonic()
        run.send_signal(number)
        _, said = run.communicate(timeout=30)
        took = time.monotonic() - began
    assert run.returncode == 0, said
    assert took < END_S + 0.5  # of the process's own end on a busy machine
    assert [line["frame"] for line in lines(boxes)] == list(range(10))
    assert "Traceback" not in said


def waits_for(run: subprocess.Popen[str], field: str) -> None:
    """Wait until the process ignores (``SigIgn``) or handles (``SigCgt``) SIGUSR1."""
    due = time.monotonic() + 60
    while time.monotonic() < due:
        status = Path(f"/proc/{run.pid}/status").read_text()
        mask = int(status.split(f"{field}:")[1].split()[0], 16)
        if mask >> (signal.SIGUSR1 - 1) & 1:
            return
        time.sleep(0.001)
    raise AssertionError(f"SIGUSR1 is not in {field}")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("supervised", [False, True])
def test_a_reload_that_comes_while_the_run_begins_neither_ends_it_nor_is_lost(tmp_path: Path, supervised: bool) -> None:
    model, film = write_tiny_onnx(tmp_path / "bright.onnx"), write_bright_film(tmp_path / "video.mp4", 30)
    command = [
        sys.executable, "-m", "ssd_edge", "run", film, "--loop", "--pace", "20", "--model", model, "--json",
        tmp_path / "boxes.jsonl", "--cut", "1d", *(["--supervise"] if supervised else []),
    ]  # fmt: skip
    with running([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE) as run:
        waits_for(run, "SigIgn")
        run.send_signal(signal.SIGUSR1)
        waits_for(run, "SigCgt")
        run.send_signal(signal.SIGUSR1)
        assert run.stderr is not None
        said = [""] if supervised else [run.stderr.readline()]
        while said[-1] and "the engine is still" not in said[-1]:
            said.append(run.stderr.readline())
        due = time.monotonic() + 60
        while sum(len(lines(piece)) for piece in tmp_path.glob("boxes-*.jsonl")) < 5 and time.monotonic() < due:
            time.sleep(0.05)
        assert run.poll() is None, said
        run.send_signal(signal.SIGTERM)
        assert run.wait(30) == 0
        assert "restarted" not in run.stderr.read()


HANGING = """
import sys, time
from ssd_edge.backends.detector import Detector
from ssd_edge.cli.main import main
inner, calls = Detector.detect_preprocessed_batch, []
def hang(self, *given):
    calls.append(1)
    if len(calls) > 20:
        time.sleep(1000)
    return inner(self, *given)
Detector.detect_preprocessed_batch = hang
main()
"""


def test_an_inference_that_hangs_leaves_whole_files_and_exit_code_75(tmp_path: Path) -> None:
    model, film = write_tiny_onnx(tmp_path / "bright.onnx"), write_bright_film(tmp_path / "video.mp4", 30)
    boxes, video = tmp_path / "boxes.jsonl", tmp_path / "out.mkv"
    command = [sys.executable, "-c", HANGING, "run", film, "--model", model, "--json", boxes, "--output", video]
    done = subprocess.run(
        [*map(str, command), "--hang-timeout", "1"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 75, done.stderr
    assert "bright.onnx has hung: got no answer for 1 s" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert len(lines(boxes)) == len(read_film(video)) == 20


def test_systemd_is_told(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(10)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"})
        statuses = {"a": StreamStatus("a", StreamState.RUNNING), "b": StreamStatus("b")}
        notifier.alive(statuses)
        assert systemd.recv(1000).decode().split("\n") == ["READY=1", "STATUS=1 of 2 streams running", "WATCHDOG=1"]
        notifier.alive(statuses)  # too soon to say anything
        time.sleep(0.06)
        notifier.alive(statuses)
        assert systemd.recv(1000) == b"WATCHDOG=1"
        notifier.stopping()
        assert systemd.recv(1000) == b"STOPPING=1"


def test_without_systemd_nothing_is_told() -> None:
    SystemdNotifier({}).alive({})
    SystemdNotifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).alive({})


CHILD = """
import os, sys, time
path, *ends = sys.argv[1:]
with open(path, "a") as file:
    file.write("x")
end = ends[min(os.path.getsize(path), len(ends)) - 1]
os.kill(os.getpid(), int(end[1:])) if end.startswith("-") else time.sleep(60) if end == "sleep" else sys.exit(int(end))
"""


@pytest.mark.parametrize(
    ("ends", "code", "starts"),
    [(["0"], 0, 1), (["1"], 1, 1), (["2"], 2, 1), (["75", "0"], 0, 2), (["-9", "-11", "0"], 0, 3), (["143"], 143, 1)],
)
def test_a_run_that_crashes_or_hangs_is_started_anew(tmp_path: Path, ends: list[str], code: int, starts: int) -> None:
    count = tmp_path / "starts"
    assert supervise([sys.executable, "-c", CHILD, str(count), *ends]) == code
    assert len(count.read_text()) == starts


def test_a_signal_ends_the_run_and_its_supervisor(tmp_path: Path) -> None:
    model, film = write_tiny_onnx(tmp_path / "bright.onnx"), write_bright_film(tmp_path / "video.mp4", 10)
    boxes = tmp_path / "boxes.jsonl"
    command = [
        sys.executable, "-m", "ssd_edge", "run", film, "--loop", "--model", model, "--json", boxes, "--cut", "1h",
        "--supervise",
    ]  # fmt: skip
    with running([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE) as run:
        due = time.monotonic() + 60
        while not any(lines(piece) for piece in tmp_path.glob("boxes-*.jsonl")) and time.monotonic() < due:
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=30)
    assert run.returncode == 0, said
    assert all(lines(piece) for piece in tmp_path.glob("boxes-*.jsonl"))


def test_a_signal_ends_a_supervisor_that_waits_to_restart(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(service, "_FIRST_WAIT_S", 30.0)
    before = signal.getsignal(signal.SIGTERM)
    starts: list[int] = []
    once = service._Supervisor._once

    def counted(self: service._Supervisor) -> int:
        starts.append(once(self))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return starts[-1]

    monkeypatch.setattr(service._Supervisor, "_once", counted)
    alarm = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        assert supervise(["/bin/sh", "-c", "exit 75"]) == 0
    finally:
        signal.signal(signal.SIGALRM, alarm)
    assert starts == [75]
    assert "ended with exit code 75; it is restarted in" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is before
