"""What a board's user meets with ``ssd-edge run``: engines that do not belong, signals, a camera that ends."""

from __future__ import annotations

import dataclasses
import http.server
import json
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

import cv2
import pytest

from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from tests.backends.trt_rehearsals import picture, write_tiny_engine
from tests.cli.test_run_on_gpu import KEPT, write_frames
from tests.processes import running
from tools.emulator.rehearse import PRODUCT, command_line, needs_emulator
from tools.emulator.surroundings import surroundings

pytestmark = needs_emulator
INT, TERM = signal.SIGINT, signal.SIGTERM


def nothing_left(report: Path) -> bool:
    found = json.loads(report.read_text())
    return found["faults"] == [] and not any(found[kind] for kind in KEPT)


def cut_off(engine: Path) -> None:
    engine.write_bytes(engine.read_bytes()[:-100])


def cut_off_with_its_manifest(engine: Path) -> None:
    cut_off(engine)
    change_manifest(engine, engine_digest=file_digest(engine))


def no_plan_at_all(engine: Path) -> None:
    engine.write_bytes(b"<html>404 not found</html>")
    change_manifest(engine, engine_digest=file_digest(engine))


def without_manifest(engine: Path) -> None:
    manifest_path(engine).unlink()


def manifest_cut_off(engine: Path) -> None:
    path = manifest_path(engine)
    path.write_text(path.read_text()[:200])


def from_another_board(engine: Path) -> None:
    change_manifest(engine, device="Xavier sm_72")


def from_another_jetpack(engine: Path) -> None:
    change_manifest(engine, runtime_version="8.6.2")


def gone(engine: Path) -> None:
    engine.unlink()


def change_manifest(engine: Path, **changes: Any) -> None:
    path = manifest_path(engine)
    dataclasses.replace(EngineManifest.load(path), **changes).save(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_off, "is not the file that its manifest describes: got sha256:"),
        (cut_off_with_its_manifest, "tensorrt 10.3.0 cannot load bright.fp32.tensorrt.engine: got Serialization"),
        (
            no_plan_at_all,
            "cannot load bright.fp32.tensorrt.engine: got Magic tag does not match. Build the engine again",
        ),
        (
            without_manifest,
            "bright.fp32.tensorrt.json does not exist: wanted the manifest",
        ),
        (manifest_cut_off, "bright.fp32.tensorrt.json is a damaged manifest"),
        (from_another_board, "got tensorrt 10.3.0 on Xavier sm_72; wanted tensorrt 10.3.0 on Emulated sm_87. Build"),
        (from_another_jetpack, "got tensorrt 8.6.2 on Emulated sm_87; wanted tensorrt 10.3.0 on Emulated sm_87"),
        (gone, "bright.fp32.tensorrt.engine does not exist"),
    ],
)
def test_an_engine_that_cannot_run_is_named_with_what_to_do(tmp_path: Path, spoil: Any, said: str) -> None:
    engine, folder = write_tiny_engine(tmp_path), write_frames(tmp_path / "frames")
    spoil(engine)
    report = tmp_path / "report.json"
    done = command_line(
        "run", str(folder), "--model", engine.name, "--no-window", cwd=tmp_path,
        env={"SSD_EDGE_EMU_REPORT": str(report)},
    )  # fmt: skip
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not report.exists() or nothing_left(report)


def signalled(tmp_path: Path, signals: list[signal.Signals], gap: float) -> tuple[int, str, list[Any], Path]:
    """Send signals in the middle of an endless run; return exit code, stderr, the JSON lines, and the report's path."""
    engine, folder, report = write_tiny_engine(tmp_path), write_frames(tmp_path / "frames"), tmp_path / "report.json"
    arguments = ["run", str(folder), "--loop", "--model", str(engine), "--json", "-", "--no-window"]
    env, errors = surroundings("10.3", {"SSD_EDGE_EMU_REPORT": str(report)}), tmp_path / "errors.txt"
    with (
        errors.open("w") as stderr,
        running([PRODUCT, *arguments], env=env, cwd=tmp_path, stdout=PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.1)
        for number in signals:
            process.send_signal(number)
            time.sleep(gap)
        lines = [json.loads(line) for line in [first, *process.stdout]]
        code = process.wait()
    return code, errors.read_text(), lines, report


@pytest.mark.parametrize(
    ("signals", "gap"),
    [
        ([INT], 0),
        ([TERM], 0),  # as systemd stops a service
        ([INT, INT], 0),
        ([INT, INT], 0.005),
        ([INT] * 5, 0.001),
        ([INT] * 5, 0.02),
        ([TERM, TERM], 0.005),
        ([INT, TERM, INT], 0.002),
    ],
)
def test_signals_end_a_run_with_whole_lines_and_all_given_back(
    tmp_path: Path, signals: list[signal.Signals], gap: float
) -> None:
    """However often they are repeated: what the first began is not torn by the next."""
    code, errors, lines, report = signalled(tmp_path, signals, gap)
    assert code == 0, errors
    assert "Traceback" not in errors
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert nothing_left(report)
    assert "FPS" in errors  # the summary


def test_two_processes_on_one_gpu(tmp_path: Path) -> None:
    """Also with TensorRT-RTX, where both write the cache of kernels."""
    engine, folder = write_tiny_engine(tmp_path, "rtx"), write_frames(tmp_path / "frames")
    arguments = ["run", str(folder), "--model", str(engine), "--json", "-", "--no-window"]
    reports = [tmp_path / f"{number}.json" for number in range(2)]
    environments = [surroundings("rtx", {"SSD_EDGE_EMU_REPORT": str(report)}) for report in reports]
    with ExitStack() as stack:
        both = [
            stack.enter_context(running([PRODUCT, *arguments], env=env, cwd=tmp_path, stdout=PIPE, stderr=PIPE))
            for env in environments
        ]
        outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert without_times(outputs[0][0]) == without_times(outputs[1][0])
    assert all(map(nothing_left, reports))
    assert json.loads(engine.with_suffix(".cache").read_text())[0] == "standin-runtime-cache"
    assert [path.name for path in tmp_path.glob("*partial*")] == []


def without_times(lines: str) -> list[Any]:
    return [json.loads(line)["detections"] for line in lines.splitlines()]


class EndingCamera(http.server.BaseHTTPRequestHandler):
    """A network camera that is switched off after some frames."""

    frames = 12
    visits = 0

    def do_GET(self) -> None:
        type(self).visits += 1
        if self.visits > 1:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.frames):
            data = cv2.imencode(".jpg", picture(number))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        pass


def test_a_camera_that_ends_is_named_and_what_it_gave_is_written(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EndingCamera)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    engine, report = write_tiny_engine(tmp_path), tmp_path / "report.json"
    try:
        done = command_line(
            "run", f"http://127.0.0.1:{server.server_port}/", "--reconnect", "1", "--model", str(engine), "--json",
            "found.jsonl", "--output", "found.mp4", "--no-window", cwd=tmp_path,
            env={"SSD_EDGE_EMU_REPORT": str(report)},
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "ended after" in said
    assert "wanted a frame within 1 try" in said
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert 0 < len(lines) <= EndingCamera.frames
    film = cv2.VideoCapture(str(tmp_path / "found.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    assert nothing_left(report)
