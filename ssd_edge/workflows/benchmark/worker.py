"""The process of one contestant: ``python -m ssd_edge.workflows.benchmark.worker``, a task and questions on stdin.

Answers go to what was stdout when the process began; whatever a library prints goes to stderr.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssd_edge.benchmarking.task import GEMM, OURS, Runner, Task
from ssd_edge.core.choices import Peer
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import read_image
from ssd_edge.core.text_parsers import parse_json

MODULE = __name__ if __name__ != "__main__" else "ssd_edge.workflows.benchmark.worker"
COMPARED = 50  # detections of an image that contestants are compared by


class OurRunner:
    """The detector of :func:`ssd_edge.load`, with the layout of threads that is asked for."""

    parallel = True

    def __init__(self, task: Task) -> None:
        from ssd_edge.workflows.benchmark.our_model import open_ours

        self.detector = open_ours(task)
        self.detect = self.detector.detect

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return what is seen in each."""
        return self.detector.detect_batch(images)

    def close(self) -> None:
        """Close the detector."""
        self.detector.close()


def open_runner(task: Task) -> Runner:
    """Open what a task names, from the package that it needs."""
    if task.kind == OURS:
        return OurRunner(task)
    from ssd_edge.benchmarking.peers import detectors, graphs

    openers: dict[Peer, Callable[[Task], Runner]] = {
        Peer.TORCHVISION: detectors.TorchvisionRunner,
        Peer.ULTRALYTICS: detectors.UltralyticsRunner,
        Peer.ONNXRUNTIME: graphs.open_onnxruntime,
        Peer.OPENVINO: graphs.open_openvino,
        Peer.OPENCV_DNN: graphs.open_opencv,
    }
    return openers[Peer(task.kind)](task)


class Bench:
    """Answers the requests of the benchmark.

    Args:
        task: what is measured.
        clock: seconds.
    """

    def __init__(self, task: Task, clock: Callable[[], float] = time.perf_counter) -> None:
        self._task, self._clock = task, clock
        self._images = [read_image(Path(path)) for path in task.images]
        if not self._images:
            raise InputError("no image is given to measure on")
        self._runner = open_runner(task)
        self._runner.detect(self._images[0])

    def opened(self) -> dict[str, Any]:
        """Return what is said when the first detections are there."""
        return {"parallel": self._runner.parallel}

    def detections(self) -> list[dict[str, Any]]:
        """Return the best detections of each image."""
        found = [self._runner.detect(image) for image in self._images]
        return [
            {
                "count": len(entry),
                "boxes": entry.boxes[:COMPARED].tolist(),
                "scores": entry.scores[:COMPARED].tolist(),
                "class_ids": entry.class_ids[:COMPARED].tolist(),
            }
            for entry in found
        ]

    def time(self, first: int, calls: int, untimed: int) -> list[float]:
        """Return the milliseconds of each call."""
        for number in range(untimed):
            self._runner.detect(self._image(first + number))
        return [self._timed(self._image(first + number)) for number in range(calls)]

    def throughput(self, callers: int, batch: int, seconds: float) -> dict[str, Any]:
        """Return images a second and the latency of a call, with so many callers at once, each with batches."""
        callers = callers if self._runner.parallel else 1
        images = [self._image(number) for number in range(batch)]
        call = partial(self._runner.detect_batch, images) if batch > 1 else partial(self._runner.detect, images[0])
        call()
        ends = self._clock() + seconds

        def work(_: int) -> list[float]:
            times: list[float] = []
            while not times or self._clock() < ends:
                began = self._clock()
                call()
                times.append(self._clock() - began)
            return times

        began = self._clock()
        with ThreadPoolExecutor(callers) as pool:
            times = [1000 * value for found in pool.map(work, range(callers)) for value in found]
        took = self._clock() - began
        return {
            "fps": batch * len(times) / took,
            "p50_ms": float(np.median(times)),
            "p99_ms": float(np.percentile(times, 99)),
        }

    def reopen(self, threads: int, workers: int) -> None:
        """Open the contestant again with another layout."""
        self._runner.close()
        self._task = Task(**{**vars(self._task), "threads": threads, "workers": workers})
        self._runner = open_runner(self._task)
        self._runner.detect(self._images[0])

    def stages(self, seconds: float) -> dict[str, float]:
        """Return the milliseconds of each stage of an image's way; of ours only."""
        from ssd_edge.workflows.benchmark.stages import measure_stages

        if not isinstance(self._runner, OurRunner):
            return {}
        self._runner.close()  # the model need not be in memory twice
        try:
            return measure_stages(self._task, seconds)
        finally:
            self._runner = open_runner(self._task)

    def gpu_stages(self, frames: int) -> list[dict[str, Any]]:
        """Return trtexec's rows of an engine of TensorRT; the detector is closed meanwhile."""
        from ssd_edge.workflows.benchmark.gpu_stages import measure_gpu_stages

        self._runner.close()
        return measure_gpu_stages(Path(self._task.model), self._images[0], frames)

    def memory(self) -> float:
        """Return the most memory that the process has had so far, in MiB."""
        return peak_memory_mib()

    def _image(self, number: int) -> UInt8Array:
        return self._images[number % len(self._images)]

    def _timed(self, image: UInt8Array) -> float:
        began = self._clock()
        self._runner.detect(image)
        return 1000 * (self._clock() - began)


class Gemm:
    """The worker that multiplies matrices."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def opened(self) -> dict[str, Any]:
        """Return nothing of interest."""
        return {}

    def peaks(self, seconds: float) -> dict[str, tuple[float, str]]:
        """Return the peak of each type, and the library that gave it."""
        from ssd_edge.benchmarking.gemm import measure_peaks

        return measure_peaks(self._task.threads, seconds)


_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_ACTIONS = {"detections", "time", "throughput", "reopen", "stages", "gpu_stages", "memory", "peaks"}


def peak_memory_mib(status: Path = Path("/proc/self/status")) -> float:
    """Return the high-water mark of this process's resident memory; of the operating system's account elsewhere."""
    try:
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def die_with_parent() -> None:
    """Have Linux end this process when the one that started it is gone: stopped by a signal, it would not see that."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Answer until stdin ends."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    bench: Bench | Gemm | None = None
    for line in sys.stdin:
        try:
            if bench is None:
                task = Task.from_json(line)
                bench = Gemm(task) if task.kind == GEMM else Bench(task)
                answer: Any = bench.opened()
            else:
                request = parse_json(line)
                action = request.pop("do")
                answer = getattr(bench, action)(**request) if action in _ACTIONS else None
        except (SsdEdgeError, ImportError, RuntimeError, ValueError, TypeError, OSError, AttributeError) as error:
            answers.write(json.dumps({"error": f"{error}" or type(error).__name__}) + "\n")
        else:
            answers.write(json.dumps({"answer": answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
