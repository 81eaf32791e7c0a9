"""Eight streams on one session against eight processes, and the shares that each stream gets.

    python -m bench.many_streams [MODEL] [--streams N] [--seconds S] [--rounds R]

Each stream plays a 640 x 480 video as fast as the engine takes it, with JSON lines on. One process with all streams and
as many processes with one each take turns; memory is the proportional set size (what processes share is counted once)
at the end of the seconds. Ends with 1 where one session gives less throughput, needs more than a quarter of the memory,
or Jain's fairness is below 0.99.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench._figures import report
from bench._models import write_random_onnx
from bench._options import run
from bench.stream import draw_film

PRESET = "ssdlite320-mobilenet-v3-large"


def resident_mb(process: int) -> float:
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(text.split("Pss:")[1].split()[0]) / 1024  # shared pages count in part: eight processes share libraries


def start(model: Path, videos: list[Path], lines: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ssd_edge", "run", *videos, "--loop", "--model", model, "--json", lines]
    return subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measure(model: Path, groups: list[list[Path]], folder: Path, seconds: float) -> tuple[float, float, Counter[str]]:
    """Frames a second, MiB, and frames by source of some processes, each with a group of streams."""
    files = [folder / f"{number}.jsonl" for number in range(len(groups))]
    runs = [start(model, group, lines) for group, lines in zip(groups, files, strict=True)]
    wanted = sum(map(len, groups))
    try:
        while sum(file.exists() and file.stat().st_size > 20_000 for file in files) < len(files):
            time.sleep(0.1)
        time.sleep(1.0)
        before, began = counted(files), time.monotonic()
        time.sleep(seconds)
        after, took = counted(files), time.monotonic() - began
        memory = sum(resident_mb(process.pid) for process in runs)
    finally:
        for process in runs:
            process.send_signal(signal.SIGTERM)
        for process in runs:
            process.wait()
    for file in files:
        file.unlink()
    gained = Counter({source: after[source] - before[source] for source in after})
    if len(gained) != wanted:
        raise RuntimeError(f"{len(gained)} of {wanted} streams gave frames")
    return sum(gained.values()) / took, memory, gained


def counted(files: list[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in files:
        for text in file.read_bytes().split(b"\n")[:-1]:
            found[json.loads(text)["source"]] += 1
    return found


def main(model: Path | None = None, *, streams: int = 8, seconds: float = 10.0, rounds: int = 3) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = model or folder / f"{PRESET}.onnx"
        if model is None:
            write_random_onnx(PRESET, path)
        film = folder / "film.mp4"
        draw_film(film, 90, size=(640, 480))
        videos = [folder / f"camera{number}.mp4" for number in range(streams)]
        for video in videos:
            os.link(film, video)
        ratios, shares, fairness = [], [], []
        for _ in range(rounds):
            one, memory, gained = measure(path, [videos], folder, seconds)
            many, each, _ = measure(path, [[video] for video in videos], folder, seconds)
            counts = list(gained.values())
            jain = sum(counts) ** 2 / (len(counts) * sum(count**2 for count in counts))
            ratios.append(one / many)
            shares.append(memory / each)
            fairness.append(jain)
            print(
                f"one session {one:7.1f} FPS {memory:6.0f} MiB   {streams} processes {many:7.1f} FPS {each:6.0f} MiB   "
                f"ratio {one / many:.3f}, memory {memory / each:.3f}, fairness {jain:.4f}",
                flush=True,
            )
    ratio, share, fair = statistics.median(ratios), statistics.median(shares), min(fairness)
    holds = ratio >= 1 and share <= 0.25 and fair >= 0.99
    print(
        f"{'holds ' if holds else 'MISSED'} median ratio {ratio:.3f} (at least 1), memory {share:.3f} (at most 0.25), "
        f"least fairness {fair:.4f} (at least 0.99)"
    )
    report("many-streams.ratio", ratio)
    report("many-streams.memory", share)
    return 0 if holds else 1


if __name__ == "__main__":
    run(main)
