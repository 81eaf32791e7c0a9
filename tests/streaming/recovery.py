"""Cameras that die, hang, refuse and change, in front of a run of four streams: real RTSP servers, the real command.

    python -m tests.streaming.recovery [--kills 20] [--stops 5] [--auth] [--seed 0]

Camera 0 is killed and started again, camera 1 is stopped and goes on, camera 2 demands another password for a while and
then sends another codec and size, camera 3 is left in peace and changes its size in mid-stream. It prints what each
recovery took, and ends with 1 where a bound of docs/streaming.md does not hold, a line is lost or doubled, the peaceful
camera loses a frame, or a thread or descriptor is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running

PYTHON, SERVER = "/usr/bin/python3", Path(__file__).with_name("rtsp_server.py")
ROOT = Path(__file__).parents[2]
FPS, SIDE = 5, 128
BACK_S, KEY_S, END_S = 16.0, 1.0, 2.0  # bounds of docs/streaming.md; a key frame comes each second
AGE_S = 2.5  # --max-frame-age, a batch wait, and three inferences
SLOW_S = 66.0  # a wrong password is tried once a minute, with jitter


def scene(number: int, width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """A dark image with a bright square whose place tells the number, modulo 49."""
    image = np.full((height, width, 3), 16, np.uint8)
    row, column = divmod(number % 49, 7)
    step_x, step_y = width // 8, height // 8
    image[row * step_y : (row + 1) * step_y + 2, column * step_x : (column + 1) * step_x + 2] = 235
    return image


def encode(
    path: Path,
    frames: int,
    *,
    sizes: tuple[tuple[int, int], ...] = ((SIDE, SIDE),),
    codec: str = "libx264",
    qp: int = 0,
) -> Path:
    """Write a video of :func:`scene`, with a key frame each second; each of several sizes has its share.

    ``qp`` 0 loses nothing, which is a profile of H.264 that not every decoder has.
    """
    import av

    lossless = {"qp": str(qp)} if codec == "libx264" else {"x265-params": "lossless=1:bframes=0:log-level=none"}
    options = {**lossless, "preset": "ultrafast", "bf": "0", "threads": "1"}  # one slice a frame, as GStreamer sends
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        encoders = [stream.codec_context] + [av.CodecContext.create(codec, "w") for _ in sizes[1:]]
        share = -(-frames // len(sizes))
        for number, (encoder, size) in enumerate(zip(encoders, sizes, strict=True)):
            encoder.width, encoder.height, encoder.pix_fmt, encoder.gop_size = *size, "yuv420p", FPS
            encoder.options, encoder.time_base = options, Fraction(1, FPS)
            if number:
                encoder.framerate = Fraction(FPS)
            for index in range(number * share, min(frames, (number + 1) * share)):
                image = av.VideoFrame.from_ndarray(scene(index, *size), format="bgr24")
                image.pts, image.time_base = index, Fraction(1, FPS)
                _mux(container, stream, encoder.encode(image))
            _mux(container, stream, encoder.encode(None))
    return path


def _mux(container: Any, stream: Any, packets: Any) -> None:
    for packet in packets:
        packet.stream = stream
        container.mux(packet)


@dataclass
class Camera:
    """A server at a port of its own, as often as it is started."""

    file: Path
    port: str = "0"
    url: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self, *, file: Path | None = None, login: tuple[str, str] | None = None) -> float:
        """Start it and return when it was there."""
        command = [
            PYTHON,
            str(SERVER),
            self.port,
            "--file",
            str(file or self.file),
            *(["--login", *login] if login else []),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = self.url.split(":")[2].split("/")[0]
        return time.time()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Lines:
    """The JSON lines of a run, by source, as they come."""

    path: Path
    read: int = 0
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def update(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.read)
            data = file.read()
        whole = data.rpartition(b"\n")[0]
        self.read += len(whole) + 1 if whole else 0
        for text in whole.splitlines():
            line = json.loads(text)
            line["at"] = datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
            self.found.setdefault(line["source"], []).append(line)

    def first_after(self, url: str, moment: float, limit_s: float) -> float | None:
        """Wait for a line of the source whose frame was captured later; return when it was there."""
        due = time.time() + limit_s
        while time.time() < due:
            self.update()
            if any(line["at"] > moment for line in self.found.get(url, [])[-5:]):
                return time.time()
            time.sleep(0.02)
        return None


class Trial:
    """One run with its cameras, and what was wrong."""

    def __init__(self, folder: Path, seed: int, minutes: float) -> None:
        self.chance, self.wrong = random.Random(seed), list[str]()
        self.back_s, self.ages_s = list[float](), list[float]()
        frames = round(FPS * 60 * minutes)
        film = encode(folder / "video.mp4", frames)
        changing = encode(folder / "changes.ts", frames, sizes=((SIDE, SIDE), (192, SIDE)) * 8)
        self.other = encode(folder / "other.h265.mp4", frames, sizes=((64, 96),), codec="libx265")
        self.cameras = [Camera(film), Camera(film), Camera(film), Camera(changing)]
        self.lines = Lines(folder / "boxes.jsonl")
        self.model = write_tiny_onnx(folder / "bright.onnx")

    def start(self, stack: ExitStack) -> subprocess.Popen[str]:
        for camera in self.cameras:
            camera.start()
            stack.callback(camera.kill)
        command = [
            sys.executable, "-m", "ssd_edge", "run", *(camera.url for camera in self.cameras), "--model", self.model,
            "--json", self.lines.path, "--optimize-for", "latency", "--max-batch", "4",
        ]  # fmt: skip
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        run = stack.enter_context(running([*map(str, command)], limit_s=3600, cwd=ROOT, **pipes))
        for camera in self.cameras:
            if self.lines.first_after(camera.url, 0.0, 60) is None:
                raise RuntimeError(f"{camera.url} never came")
        return run

    def note(self, what: str, took: float | None, bound: float) -> None:
        print(f"{what}: {'never' if took is None else f'{took:.2f} s'} (bound {bound:g} s)", flush=True)
        if took is None or took > bound:
            self.wrong.append(f"{what} took {took}")
        elif bound == BACK_S + KEY_S:
            self.back_s.append(took)

    def kills(self, number: int) -> None:
        camera = self.cameras[0]
        for count in range(number):
            time.sleep(self.chance.uniform(0.2, 3.0))
            camera.kill()
            away = self.chance.uniform(0.1, 6.0)
            time.sleep(away)
            back = camera.start()
            seen = self.lines.first_after(camera.url, back, BACK_S + 10)
            self.note(f"kill {count + 1}, away for {away:.1f} s", None if seen is None else seen - back, BACK_S + KEY_S)

    def stops(self, number: int) -> None:
        camera = self.cameras[1]
        for count in range(number):
            time.sleep(self.chance.uniform(0.5, 2.0))
            assert camera.process is not None
            camera.process.send_signal(signal.SIGSTOP)
            away = self.chance.uniform(1.0, 12.0)
            time.sleep(away)
            camera.process.send_signal(signal.SIGCONT)
            back = time.time()
            seen = self.lines.first_after(camera.url, back, BACK_S + 10)
            self.note(f"stop {count + 1}, for {away:.1f} s", None if seen is None else seen - back, BACK_S + KEY_S)

    def password(self) -> None:
        camera = self.cameras[2]
        camera.kill()
        camera.start(login=("viewer", "another"))
        time.sleep(8)
        camera.kill()
        self.note("password gone", self._back(camera, camera.start(), SLOW_S + 30), SLOW_S + 10)

    def codec(self) -> None:
        camera = self.cameras[2]
        camera.kill()
        self.note("codec and size", self._back(camera, camera.start(file=self.other), BACK_S + 10), BACK_S + KEY_S)

    def _back(self, camera: Camera, back: float, limit_s: float) -> float | None:
        seen = self.lines.first_after(camera.url, back, limit_s)
        return None if seen is None else seen - back

    def check_lines(self) -> None:
        self.lines.update()
        for number, camera in enumerate(self.cameras):
            found = self.lines.found.get(camera.url, [])
            if [line["seq"] for line in found] != list(range(len(found))):
                self.wrong.append(f"camera {number}: a line is lost or doubled")
            frames = [line["frame"] for line in found]
            if frames != sorted(set(frames)):
                self.wrong.append(f"camera {number}: frames come twice or in disorder")
            ages = [line["age"] for line in found]
            dropped = sum(line["dropped"] for line in found)
            print(f"camera {number}: {len(found)} lines, {dropped} frames dropped, greatest age {max(ages):.2f} s")
            self.ages_s += ages
            if max(ages) > AGE_S:
                self.wrong.append(f"camera {number}: a frame of {max(ages):.2f} s")
        peaceful = self.lines.found[self.cameras[3].url]
        if lost := [(line["seq"], line["dropped"]) for line in peaceful if line["dropped"]]:
            self.wrong.append(f"the peaceful camera lost frames (before line, number): {lost}")
        took = max(peaceful[-1]["at"] - peaceful[0]["at"], 1e-3)
        widths = {line["detections"][0]["box"][2] > SIDE for line in peaceful if line["detections"]}
        if len(widths) != 2:
            self.wrong.append("the change of size in mid-stream was not seen")
        print(f"camera 3: {len(peaceful)} frames in {took:.1f} s, {(len(peaceful) - 1) / took:.2f} a second")


def counts(process: int) -> tuple[int, int]:
    """Threads and descriptors of a process."""
    return len(os.listdir(f"/proc/{process}/task")), len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208


def settled(process: int) -> Iterator[tuple[int, int]]:
    for _ in range(20):
        yield counts(process)
        time.sleep(0.5)


def recover(kills: int, stops: int, *, auth: bool, seed: int = 0) -> list[str]:
    """Do it, and return what was wrong."""
    minutes = 1.5 + 0.35 * kills + 0.4 * stops + (2 if auth else 0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        trial = Trial(Path(folder), seed, minutes)
        run = trial.start(stack)
        time.sleep(2)
        before = counts(run.pid)
        trial.kills(kills)
        trial.stops(stops)
        if auth:
            trial.password()
        time.sleep(2)
        after = min(settled(run.pid))
        print(f"threads and descriptors: {before} before, {after} after")
        if after[0] > before[0] or after[1] > before[1]:
            trial.wrong.append(f"left: {after} after {before}")
        trial.codec()
        time.sleep(2)
        print(f"{min(settled(run.pid))} with another codec, whose decoder has other threads")
        began = time.time()
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=30)
        trial.note("SIGTERM", time.time() - began, END_S)
        if run.returncode != 0:
            trial.wrong.append(f"exit code {run.returncode}: {said[-2000:]}")
        if "Traceback" in said:
            trial.wrong.append(said[-2000:])
        trial.check_lines()
        took = sorted(trial.back_s)
        print(f"source back to first result: {took[0]:.2f} to {took[-1]:.2f} s, median {took[len(took) // 2]:.2f} s")
        print(f"greatest age of a frame in a line: {max(trial.ages_s):.2f} s")
        if auth and (tries := said.count("authentication (")) > 2:
            trial.wrong.append(f"{tries} tries with a wrong password")
        return trial.wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    wrong = recover(asked.kills, asked.stops, auth=asked.auth, seed=asked.seed)
    print(*wrong, "MISSED" if wrong else "holds: every bound of docs/streaming.md", sep="\n")
    sys.exit(bool(wrong))
