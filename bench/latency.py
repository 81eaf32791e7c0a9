"""From the capture of a frame to its result, of a source of 30 frames a second, against the bare inference.

    python -m bench.latency [MODEL ...] [--frames N] [--rounds N] [--fps F]

Frames of 640 x 480 that lie in memory are played at the rate of a camera through the pipeline to JSON lines; in between
the same engine infers frames of its own size at the same pace. Blocks of a second of the one and of the other take
turns, and the order changes with each, so that both meet the same caches and neighbors. Percentiles are exact, over all
frames of all blocks but the first three of each. Ends with 1 where the median is more than 1.15 times the bare one, or
the 99th percentile more than 1.5 times. Without MODEL it is SSDLite320 in INT8 with random weights.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

from bench._figures import report
from bench._memory_source import SIZE, MemorySource, drawn_frames, random_engines
from bench._options import run
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
from ssd_edge.streaming.sources.rate_limited import RateLimitedSource

PRESET = "ssdlite320-mobilenet-v3-large"
MIDDLE, TAIL = 1.15, 1.5
SETTLE = 3  # frames of a block: its threads have only just begun


class Arrivals(Sink):
    """Notes when each result was written; the last of a stream's sinks."""

    needs_image = False

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def write(self, frame: Frame, detections: Detections) -> None:  # noqa: ARG002 - a sink's
        self.seconds.append(time.monotonic() - frame.captured_at)

    def close(self) -> None:
        pass


def bare(detector: Detector, frames: list[UInt8Array], count: int, fps: float) -> list[float]:
    """Seconds of each inference of frames that lie ready, at a pace."""
    pixels = [detector.preprocess(frame) for frame in frames]
    found, due = [], time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic() - 1 / fps) + 1 / fps
        began = time.monotonic()
        detector.detect_preprocessed(pixels[number % len(pixels)], width=SIZE[0], height=SIZE[1])
        found.append(time.monotonic() - began)
    return found[SETTLE:]


def full(detector: Detector, frames: list[UInt8Array], count: int, fps: float, lines: Path) -> list[float]:
    """Seconds from the capture of each frame to its line."""
    arrivals = Arrivals()
    with RateLimitedSource(MemorySource(frames, count), fps) as source, JsonLinesSink(lines) as sink:
        Pipeline([Stream(source, [sink, arrivals])], detector).run()
    return arrivals.seconds[SETTLE:]


def percentile_ms(seconds: list[float], percent: float) -> float:
    return 1000 * sorted(seconds)[max(0, math.ceil(percent / 100 * len(seconds)) - 1)]


def measure(model: Path, folder: Path, frames: int, rounds: int, fps: float) -> bool:
    """Print what it takes; return whether the limits hold."""
    images = drawn_frames(folder)
    alone: list[float] = []
    whole: list[float] = []
    spent = {True: 0.0, False: 0.0}
    with open_detector(model, Threads.for_latency(), 0.5) as detector:
        detector.warm_up()
        for number in range(2 * rounds):
            is_bare = number % 4 in (0, 3)
            began = time.process_time()
            if is_bare:
                alone += bare(detector, images, frames, fps)
            else:
                whole += full(detector, images, frames, fps, folder / "boxes.jsonl")
            spent[is_bare] += time.process_time() - began
    middle = percentile_ms(whole, 50) / percentile_ms(alone, 50)
    tail = percentile_ms(whole, 99) / percentile_ms(alone, 99)
    for name, found, cpu in (("bare", alone, spent[True]), ("to the line", whole, spent[False])):
        shown = ", ".join(f"p{percent} {percentile_ms(found, percent):.2f} ms" for percent in (50, 90, 99))
        print(f"{name:12} {shown}, processor {1000 * cpu / rounds / frames:.2f} ms a frame, {len(found)} frames")
    if percentile_ms(alone, 90) > 1000 / fps:
        print("NOT ALONE, or too slow an engine: it does not keep the pace, and frames wait for those before them")
    holds = middle <= MIDDLE and tail <= TAIL
    print(
        f"{'holds ' if holds else 'MISSED'} {model.name}: ratio of p50 {middle:.3f} (at most {MIDDLE}), "
        f"of p99 {tail:.3f} (at most {TAIL})",
        flush=True,
    )
    name = model.name.split(".")[0]
    report(f"latency.{name}.p50-ratio", middle)
    report(f"latency.{name}.p99-ratio", tail)
    return holds


def main(models: tuple[Path, ...] = (), *, frames: int = 30, rounds: int = 30, fps: float = 30.0) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = models or [random_engines(PRESET, folder / "models")[1]]
        holds = [measure(model, folder, frames, rounds, fps) for model in chosen]
    return 0 if all(holds) else 1


if __name__ == "__main__":
    run(main)
