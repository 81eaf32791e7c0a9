"""How much of the bare engine's speed is left from end to end: capture, resize, inference and JSON lines.

    python -m bench.stream [MODEL] [--video FILE] [--frames N] [--rounds N] [--threads latency|throughput] [--no-spin]

Bare and end-to-end runs take turns in one process, so that the machine's moods hit both alike; medians of the rounds
are compared. Bare is the backend alone on frames that lie ready in memory at the model's size, with as many threads as
the pipeline uses. End to end is the same model in ``ssd_edge.streaming.Pipeline``, from an encoded 1280 x 720 video to
JSON lines on disk. Without --video such a video is drawn; without MODEL it is SSD300-VGG16 with random weights, whose
ratio must be at least 0.90, or the exit code is 1.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from bench._figures import report
from bench._models import write_random_onnx
from bench._options import run
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.timing import Stopwatch
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.timing import RunSummary

PRESET, REQUIRED = "ssd300-vgg16", 0.90


def draw_film(path: Path, frames: int, *, size: tuple[int, int] = (1280, 720)) -> None:
    """Write a video of discs that move over a textured ground."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (72, 128, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    for number in range(frames):
        picture = np.roll(ground, 3 * number, axis=1)
        cv2.circle(picture, (100 + 5 * number % 1100, 360), 80, (0, 0, 255), -1)
        writer.write(picture if size == (1280, 720) else cv2.resize(picture, size))
    writer.release()


def read_frames(film: Path, detector: Detector, limit: int) -> list[UInt8Array]:
    with open_source(str(film)) as source:
        return [detector.preprocess(frame.image)[None] for frame, _ in zip(source, range(limit), strict=False)]


def bare_fps(backend: OrtBackend, batches: list[UInt8Array], frames: int) -> float:
    """Frames a second of the backend alone, its workers kept busy."""
    share = frames // backend.workers

    def work(first: int) -> None:
        for number in range(share):
            backend.infer(batches[(first + number) % len(batches)])

    watch = Stopwatch()
    with ThreadPoolExecutor(backend.workers) as threads, watch:
        list(threads.map(work, range(backend.workers)))
    return share * backend.workers / watch.timing.total_s


def end_to_end(detector: Detector, film: Path, lines: Path, frames: int) -> RunSummary:
    with open_source(str(film), loop=True) as source, JsonLinesSink(lines) as sink:
        return Pipeline([Stream(source, [sink], max_frames=frames)], detector).run()


def main(
    model: Path | None = None,
    *,
    video: Path | None = None,
    frames: int = 60,
    rounds: int = 5,
    threshold: float = 0.5,
    threads: Literal["latency", "throughput"] = "latency",
    no_spin: bool = False,
) -> int:
    chosen = Threads.for_latency() if threads == "latency" else Threads.for_throughput()
    chosen = dataclasses.replace(chosen, spin=not no_spin)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = model or Path(folder) / f"{PRESET}.onnx"
        if model is None:
            write_random_onnx(PRESET, path)
        backend = stack.enter_context(OrtBackend(path, chosen))
        film = video or Path(folder) / "film.mp4"
        if video is None:
            draw_film(film, 150)
        detector = Detector(backend, threshold)
        batches = read_frames(film, detector, 16)
        detector.warm_up()
        pairs = []
        for _ in repeat(None, rounds):
            bare = bare_fps(backend, batches, frames)
            summary = end_to_end(detector, film, Path(folder) / "boxes.jsonl", frames)
            pairs.append((bare, summary.fps))
            print(f"bare {bare:7.2f} FPS   end to end {summary.fps:7.2f} FPS   ratio {summary.fps / bare:.3f}")
    bare, full = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(full / bare for bare, full in pairs)
    print(f"{path.name}, {chosen.workers} x {chosen.per_worker} threads, {frames} frames a round")
    print(f"median: bare {bare:.2f} FPS, end to end {full:.2f} FPS, ratio of a round {ratio:.3f}")
    report("stream.bare.fps", bare)
    report("stream.end-to-end.fps", full)
    report("stream.ratio", ratio)
    for times in summary.stages:
        print(
            f"  {times.stage:<11} p50 {times.p50_ms:8.2f} ms   p95 {times.p95_ms:8.2f} ms   p99 {times.p99_ms:8.2f} ms"
        )
    return 1 if model is None and ratio < REQUIRED else 0


if __name__ == "__main__":
    run(main)
