"""Runs that are killed, and disks that fill up under them: what is left is whole. The real command, from outside.

    python -m tests.streaming.endurance kills [--count 10] [--seed 0]
    python -m tests.streaming.endurance disk                            (mounts a tmpfs, as root)

``kills`` ends a run with SIGKILL at random moments: every line but the last is whole and follows the one before, the
video plays up to its last second, and the next run may write there. ``disk`` lets a disk fill up under the video, then
under the lines: the video up to then plays, no line is torn, and the run goes on, or ends, as asked. Ends with 1 for a
fault.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running

ROOT = Path(__file__).parents[2]
FPS, LAST_S, LIMIT_S = 30.0, 1.0, 90.0
DISK, FRAMES = 1 << 20, 900  # of noise: some 4 MB


def noise(path: Path, frames: int = 120, side: int = 128) -> Path:
    """A video that no codec makes small."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (side, side))
    for _ in range(frames):
        writer.write(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    writer.release()
    return path


def command(source: Path, model: Path, *options: object) -> list[str]:
    words = [sys.executable, "-m", "ssd_edge", "run", source, "--model", model, "--loop", "--no-window", *options]
    return [str(word) for word in words]


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines but for what comes after the last newline."""
    return [json.loads(text) for text in path.read_bytes().split(b"\n")[:-1]]


def played(path: Path) -> tuple[int, float]:
    """Frames of a video that can be decoded, and the time of the last one."""
    capture, frames, last = cv2.VideoCapture(str(path)), 0, 0.0
    while capture.read()[0]:
        frames, last = frames + 1, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return frames, last


def kills(folder: Path, count: int, seed: int) -> list[str]:
    """Kill runs; return what was wrong."""
    chance, wrong = random.Random(seed), list[str]()
    source, model, lines = noise(folder / "in.avi"), write_tiny_onnx(folder / "bright.onnx"), folder / "boxes.jsonl"
    for number in range(count):
        video = folder / f"out{('.mp4', '.mkv')[number % 2]}"
        lines.unlink(missing_ok=True)
        words = command(source, model, "--pace", FPS, "--json", lines, "--output", video)
        with running(words, limit_s=LIMIT_S, cwd=ROOT, stderr=subprocess.PIPE) as run:
            due = time.monotonic() + LIMIT_S
            while not lines.exists() and run.poll() is None and time.monotonic() < due:
                time.sleep(0.01)
            after = chance.uniform(1.0, 8.0)
            time.sleep(after)
            run.send_signal(signal.SIGKILL)
            run.wait(30)
        found = whole_lines(lines) if lines.exists() else []
        frames, last = played(video)
        missing = found[-1]["t"] - found[0]["t"] - last if found else 0.0
        print(
            f"kill {number + 1} after {after:.2f} s: {len(found)} whole lines, {video.suffix} plays {frames} frames, "
            f"{missing:.2f} s before the last line it ends",
            flush=True,
        )
        if not found or [line["seq"] for line in found] != list(range(len(found))):
            wrong.append(f"kill {number + 1}: lines are missing")
        if missing > LAST_S or not frames:
            wrong.append(f"kill {number + 1}: the video ends {missing:.2f} s before the last line")
    return wrong


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False).returncode:
        raise PermissionError("a tmpfs cannot be mounted here; that takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def disk(folder: Path) -> list[str]:
    """Fill a disk under each output, with each answer to it; return what was wrong."""
    wrong: list[str] = []
    source, model = noise(folder / "in.avi"), write_tiny_onnx(folder / "bright.onnx")
    with small_disk(folder / "small") as small:
        for under in ("video", "lines"):
            for answer in ("go-on", "stop"):
                for path in small.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                video = (small if under == "video" else folder) / "out.mkv"
                lines = (small if under == "lines" else folder) / "boxes.jsonl"
                if under == "lines":
                    (small / "ballast").write_bytes(bytes(DISK - 60_000))
                words = command(source, model, "--json", lines, "--output", video, "--max-frames", FRAMES)
                run = subprocess.run(
                    [*words, "--on-failure", answer],
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    timeout=LIMIT_S,
                    check=False,
                )
                wrong += [f"{under}, {answer}: {fault}" for fault in faults(run, under, answer, video, lines)]
    return wrong


def faults(run: subprocess.CompletedProcess[str], under: str, answer: str, video: Path, lines: Path) -> Iterator[str]:
    """Yield what is wrong with a run on a full disk, and print what is left of it."""
    raw = lines.read_bytes()
    found, (frames, _) = whole_lines(lines), played(video)
    print(f"{under} full, {answer}: exit code {run.returncode}, {len(found)} lines, {frames} frames play", flush=True)
    if "Traceback" in run.stderr or "No space left" not in run.stderr:
        yield f"it says {run.stderr[-800:]!r}"
    if not raw.endswith(b"\n"):
        yield "the last line is torn"
    if [line["seq"] for line in found] != list(range(len(found))):
        yield "lines are missing"
    full, other = (frames, len(found)) if under == "video" else (len(found), frames)
    if not 0 < full < FRAMES:
        yield f"{full} of {FRAMES} frames are in what was on the full disk"
    if answer == "go-on" and other != FRAMES:
        yield f"{other} of {FRAMES} frames are in what had room"
    if answer == "stop" and (run.returncode != 1 or not 0 < other < FRAMES):
        yield f"it did not stop: exit code {run.returncode}, {other} frames"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "disk"))
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        wrong = kills(Path(name), asked.count, asked.seed) if asked.what == "kills" else disk(Path(name))
    print(*wrong, "MISSED" if wrong else "holds", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
