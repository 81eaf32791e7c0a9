"""What the tests of several streams run on the emulated GPU, each in a process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssd_edge.backends.detector import Detector
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.tensorrt.backend import TrtBackend
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sources.base import Source, SourceInfo
from tests.backends.trt_rehearsals import picture, write_tiny_engine
from tools.emulator.rehearse import inject

STREAMS, FRAMES = 8, 60


class Pictures(Source):
    """Frames of the tiny model's scene, others in each stream."""

    def __init__(self, number: int) -> None:
        super().__init__(SourceInfo(f"camera {number}", live=False, frames=FRAMES))
        self.number = number

    def __iter__(self) -> Iterator[Frame]:
        for index in range(FRAMES):
            if self._interrupted.is_set():
                return
            yield Frame(picture(31 * self.number + index), index, time.monotonic(), self.info.name)


class Keep(Sink):
    def __init__(self, on_write: Any = None) -> None:
        self.found: list[Any] = []
        self.on_write = on_write

    def write(self, frame: Frame, detections: Detections) -> None:
        self.found.append([frame.index, detections.boxes.tolist(), detections.scores.tolist()])
        if self.on_write is not None:
            self.on_write(frame)

    def close(self) -> None:
        pass


def _run(slot: Detector | EngineSlot, on_write: Any = None) -> list[list[Any]]:
    kept = [Keep(on_write if number == 0 else None) for number in range(STREAMS)]
    streams = [Stream(Pictures(number), [sink]) for number, sink in enumerate(kept)]
    Pipeline(streams, slot, max_batch=8, batch_wait_s=0.05).run()
    return [sink.found for sink in kept]


def eight_streams(folder: str, in_release: str) -> dict[str, Any]:
    """Eight streams in batches of up to four, and the same in ONNX Runtime; an engine swapped in their midst."""
    engine = write_tiny_engine(folder, in_release)
    other = write_tiny_engine(Path(folder) / "new", in_release)
    sizes: list[int] = []
    with Detector(OrtBackend(engine.with_name("bright.onnx"))) as truth:
        wanted = _run(truth)
    infer = TrtBackend.infer

    def noted(self: TrtBackend, batch: Any) -> Any:
        sizes.append(len(batch))
        return infer(self, batch)

    TrtBackend.infer = noted  # type: ignore[method-assign]
    swapped: list[bool] = []
    slot = EngineSlot(Detector(TrtBackend(engine)), owns=True)

    def swap(frame: Frame) -> None:
        if frame.index == FRAMES // 3:
            swapped.append(slot.replace(lambda: Detector(TrtBackend(other))))

    found = _run(slot, swap)
    after = str(slot.detector.path)
    slot.close()
    return {"same": found == wanted, "largest": max(sizes), "swapped": swapped, "after": after}


def lost_device(folder: str, in_release: str) -> dict[str, Any]:
    """Eight streams on a GPU that goes away; the results before it, and how the run ended."""
    engine = write_tiny_engine(folder, in_release)
    with Detector(OrtBackend(engine.with_name("bright.onnx"))) as truth:
        wanted = _run(truth)
    kept = [Keep() for _ in range(STREAMS)]
    streams = [Stream(Pictures(number), [sink]) for number, sink in enumerate(kept)]
    error = ""
    with Detector(TrtBackend(engine)) as detector:
        timer = threading.Thread(target=_lose_after, args=(kept[0],))
        timer.start()
        began = time.monotonic()
        try:
            Pipeline(streams, detector, max_batch=4).run()
        except SsdEdgeError as problem:
            error = f"{type(problem).__name__}: {problem}"
        took = time.monotonic() - began
        timer.join()
    counts = [len(sink.found) for sink in kept]
    same = all(sink.found == truth[: len(sink.found)] for sink, truth in zip(kept, wanted, strict=True))
    return {"error": error, "same": same, "counts": counts, "took": took}


def _lose_after(sink: Keep) -> None:
    while len(sink.found) < 5:
        time.sleep(0.001)
    inject("lose", 3)
