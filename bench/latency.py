"""From the capture of a frame to its result, of a source of 30 frames a second, against the bare inference.

    python -m bench.latency MODEL [--frames N] [--rounds N] [--fps F]

A 640 x 480 video is played at its pace, like a camera, through the pipeline to JSON lines; in between the same engine
infers frames that lie ready, at the same pace, so that both meet the same caches and neighbors. Ends with 1 where the
median is more than 1.15 times the bare one, or the 99th percentile more than 1.5 times the bare one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench._options import run
from bench.stream import draw_film, read_frames
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_detector
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.timing import LatencyHistogram
from ssd_edge.streaming.track import Stream


def main(model: Path, *, frames: int = 150, rounds: int = 5, fps: float = 30.0) -> int:
    pairs = []
    with tempfile.TemporaryDirectory() as folder, open_detector(model, Threads.for_latency(), 0.5) as detector:
        film = Path(folder) / "film.mp4"
        draw_film(film, 90, size=(640, 480))
        batches = read_frames(film, detector, 16)
        for _ in range(rounds):
            bare = LatencyHistogram()
            due = time.monotonic()
            for number in range(frames):
                time.sleep(max(0.0, due - time.monotonic()))
                due += 1 / fps
                began = time.monotonic()
                detector.detect_preprocessed(batches[number % len(batches)][0], width=640, height=480)
                bare.add(time.monotonic() - began)
            with (
                open_source(str(film), loop=True, pace=fps) as source,
                JsonLinesSink(Path(folder) / "boxes.jsonl") as sink,
            ):
                full = Pipeline([Stream(source, [sink], max_frames=frames)], detector).run().stages[-1]
            alone = bare.times("bare")
            pairs.append((alone, full))
            print(
                f"bare p50 {alone.p50_ms:.2f} ms, p99 {alone.p99_ms:.2f} ms; to the result p50 {full.p50_ms:.2f} ms, "
                f"p99 {full.p99_ms:6.2f} ms; ratios {full.p50_ms / alone.p50_ms:.3f}, {full.p99_ms / alone.p99_ms:.3f}",
                flush=True,
            )
    middle = statistics.median(full.p50_ms / alone.p50_ms for alone, full in pairs)
    tail = statistics.median(full.p99_ms / alone.p99_ms for alone, full in pairs)
    print(f"{model.name}: median ratio of p50 {middle:.3f}, of p99 {tail:.3f}")
    return 0 if middle <= 1.15 and tail <= 1.5 else 1


if __name__ == "__main__":
    run(main)
