"""What is left of the bare engine's speed from frames of 640 x 480 to JSON lines.

    python -m bench.end_to_end [PRESET ...] [--seconds S] [--rounds N] [--threads latency|throughput] [--video]

Bare is the runtime alone on frames of the network's size; end to end is the pipeline of ``ssd-edge run`` on frames that
lie in memory; with ``--video`` also on an MPEG-4 video, which the same processor decodes. Blocks take turns, and the
ratio of two of one round is one value; medians with their intervals, of time on the clock and of processor time. By
default both have the layout of threads that ``run`` takes for files. Ends with 1 where a network keeps less than its
share: 0.97 for SSD300-VGG16 in INT8, 0.95 for SSDLite320. Weights are random, which changes no time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from bench._figures import report
from bench._memory_source import MemorySource, drawn_frames, random_engines
from bench._options import run
from bench.stream import draw_film
from ssd_edge.backends.base import Backend
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_backend
from ssd_edge.core.choices import Goal
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.intervals import Interval, paired_ratio
from ssd_edge.core.timing import Stopwatch
from ssd_edge.streaming.layout import threads_for
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.factory import open_source

LEAST = {  # of the bare engine's speed; others are not asked for
    ("ssd300-vgg16", "int8"): 0.97,
    ("ssdlite320-mobilenet-v3-large", "fp32"): 0.95,
    ("ssdlite320-mobilenet-v3-large", "int8"): 0.95,
}
LEAST_FRAMES = 8  # of a block

Block = Callable[[int], None]


def bare(detector: Detector, backend: Backend, batches: list[UInt8Array], count: int) -> None:
    """Infer so many frames, all workers busy; before them a black one, as the pipeline does."""
    detector.warm_up()

    def work(worker: int) -> None:
        for number in range(worker, count, backend.workers):
            backend.infer(batches[number % len(batches)])

    with ThreadPoolExecutor(backend.workers) as threads:
        list(threads.map(work, range(backend.workers)))


def streamed(detector: Detector, lines: Path, opener: Callable[[int], Source], count: int) -> None:
    """Take so many frames of a source to JSON lines."""
    with opener(count) as source, JsonLinesSink(lines) as sink:
        Pipeline([Stream(source, [sink], max_frames=count)], detector).run()


def blocks_of(backend: Backend, folder: Path, *, video: bool) -> dict[str, Block]:
    """What takes turns; each is called with a number of frames."""
    detector, images = Detector(backend, 0.5), drawn_frames(folder)
    batches = [detector.preprocess(image)[None] for image in images]
    stream = partial(streamed, detector, folder / "boxes.jsonl")
    found: dict[str, Block] = {
        "bare": partial(bare, detector, backend, batches),
        "frames": partial(stream, lambda count: MemorySource(images, count)),
    }
    if video:
        film = folder / "film.mp4"
        if not film.exists():
            draw_film(film, 90, size=(640, 480))
        found["video"] = partial(stream, lambda _: open_source(str(film), loop=True))
    return found


def ratios(blocks: Mapping[str, Block], seconds: float, rounds: int) -> dict[str, tuple[Interval, Interval]]:
    """Time of bare over that of each other block, on the clock and of the processor."""
    clocks = {name: (Stopwatch(), Stopwatch(time.process_time)) for name in blocks}
    watch = Stopwatch()
    with watch:
        blocks["bare"](LEAST_FRAMES)
    count = max(LEAST_FRAMES, round(seconds / watch.timing.total_s * LEAST_FRAMES))
    names = list(blocks)
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            with clocks[name][0], clocks[name][1]:
                blocks[name](count)
    for name, (clock, processor) in clocks.items():
        spent = processor.timing.median_ms / count
        print(f"  {name:7} {1000 * count / clock.timing.median_ms:7.2f} FPS, processor {spent:6.2f} ms a frame")
    alone = [watch.timing.times_ms for watch in clocks.pop("bare")]
    return {
        name: (
            paired_ratio(alone[0], clock.timing.times_ms),
            paired_ratio(alone[1], processor.timing.times_ms),
        )
        for name, (clock, processor) in clocks.items()
    }


def measure(preset: str, engine: Path, threads: Threads, folder: Path, options: Mapping[str, float | bool]) -> bool:
    """Print the ratios of an engine; return whether it keeps its share."""
    precision = "int8" if ".int8." in engine.name else "fp32"
    least, holds = LEAST.get((preset, precision)), True
    if least is None:
        return True
    print(f"{preset} {precision}, {threads.workers} x {threads.per_worker} threads")
    with open_backend(engine, threads) as backend:
        blocks = blocks_of(backend, folder, video=bool(options["video"]))
        found = ratios(blocks, float(options["seconds"]), int(options["rounds"]))
    for name, (clock, processor) in found.items():
        asked = least if name == "frames" else 0.0
        verdict = "      " if not asked else "holds " if clock.median >= asked else "MISSED"
        holds = holds and verdict != "MISSED"
        print(
            f"{verdict} from {name}: {clock.median:.3f} of bare ({clock.low:.3f} to {clock.high:.3f})"
            f"{f', at least {asked}' if asked else ''}; by processor time {processor.median:.3f}",
            flush=True,
        )
        report(f"end-to-end.{preset}.{precision}.{name}", clock.median)
    return holds


def main(
    presets: tuple[str, ...] = ("ssd300-vgg16", "ssdlite320-mobilenet-v3-large"),
    *,
    seconds: float = 3.0,
    rounds: int = 9,
    threads: Literal["latency", "throughput"] = "throughput",
    video: bool = False,
) -> int:
    layout = threads_for(Goal(threads))
    options = {"seconds": seconds, "rounds": rounds, "video": video}
    holds = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for preset in presets:
            for engine in random_engines(preset, folder / "models"):
                holds &= measure(preset, engine, layout, folder, options)
    return 0 if holds else 1


if __name__ == "__main__":
    run(main)
