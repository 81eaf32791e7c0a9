"""Proves an engine on the machine it runs on: against the float model on the processor, over and over, with times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssd_edge.backends.detector import Detector
from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.progress import Progress, silent
from ssd_edge.doctor.stages import StageTable

LEAK_LIMIT_MIB = 16.0
GPU_LEAK_LIMIT_MIB = 64.0  # other programs may use the GPU meanwhile
_MIB = 1 << 20
_STATUS = Path("/proc/self/status")
_WARM_UP = 50


@dataclass(frozen=True)
class Tolerance:
    """How far a precision may be from float32: of the boxes as 1 - IoU, of the scores as they are."""

    box: float
    score: float


TOLERANCES = {
    "fp32": Tolerance(0.01, 0.005),  # from Ampere on, TensorRT multiplies float32 with ten bits of mantissa (TF32)
    "fp16": Tolerance(0.05, 0.02),
    "int8": Tolerance(0.35, 0.3),
    "int8-fp16": Tolerance(0.35, 0.3),
}


@dataclass(frozen=True)
class Verdict:
    """What one engine did.

    Attributes:
        compared: detections of the float model.
        lost: those that the engine has not, and those that it has beyond them.
        worst_box, worst_score: largest 1 - IoU and score difference of those that both have.
        grown_mib, gpu_grown_mib: memory gained from the 50th to the last frame, by this process and on the GPU.
        frames: that were run.
        median_ms, p95_ms, p99_ms: from picture to boxes.
        stages: of engines for a GPU: copies and inference apart, with plain enqueue and as a CUDA graph.
        graph_differs: the CUDA graph gave other outputs than plain enqueue.
        left: what was still held on the GPU when all was closed, by kind.
        emulated: the GPU was that of ssd-edge's own rehearsals, and no device.
        error: why it could not be built or run; all figures are 0 then.
    """

    precision: str
    runtime: str
    compared: int
    lost: int
    worst_box: float
    worst_score: float
    grown_mib: float
    frames: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    stages: tuple[StageTable, ...] = ()
    graph_differs: bool = False
    gpu_grown_mib: float = 0.0
    left: Mapping[str, int] = field(default_factory=dict)
    emulated: bool = False
    error: str = ""

    @classmethod
    def failed(cls, precision: str, runtime: str, error: str, *, emulated: bool) -> Verdict:
        """Return the verdict on an engine that could not be built or run."""
        return cls(precision, runtime, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, error=error, emulated=emulated)

    @property
    def where(self) -> str:
        """What the engine ran on, e.g. ``tensorrt (emulated)``."""
        return f"{self.runtime} (emulated)" if self.emulated else self.runtime

    @property
    def faults(self) -> list[str]:
        """What is not as it should be; empty where all is well."""
        if self.error:
            return [self.error]
        allowed = TOLERANCES[self.precision]
        rules = [
            (self.compared > 0, "nothing was detected, so nothing is proved"),
            (self.lost == 0, f"{self.lost} detections differ from float32"),
            (self.worst_box <= allowed.box, f"a box is {self.worst_box:.3f} off (1 - IoU; {allowed.box:g} allowed)"),
            (self.worst_score <= allowed.score, f"a score is {self.worst_score:.3f} off ({allowed.score:g} allowed)"),
            (not self.graph_differs, "the CUDA graph gives other outputs than plain enqueue"),
            (self.grown_mib <= LEAK_LIMIT_MIB, f"memory grew by {self.grown_mib:.1f} MiB"),
            (self.gpu_grown_mib <= GPU_LEAK_LIMIT_MIB, f"memory of the GPU grew by {self.gpu_grown_mib:.1f} MiB"),
            (not self.left, f"left on the GPU after the end: {_counted(self.left)}"),
        ]
        return [fault for holds, fault in rules if not holds]


def prove(
    engine: Detector,
    reference: Detector,
    pictures: Sequence[UInt8Array],
    *,
    precision: str,
    runtime: str,
    frames: int = 1000,
    gpu_memory: Callable[[], int] = lambda: 0,
    progress: Progress = silent,
) -> Verdict:
    """Run ``frames`` pictures through an engine and compare the first round with the float model.

    Args:
        engine: what is tested.
        reference: the float32 ONNX on the processor.
        pictures: run one after the other, again and again.
        precision: of the engine, for the tolerances.
        runtime: what it runs on, for the report.
        frames: how many, for the times and the memory.
        gpu_memory: tells the bytes in use on the GPU, where the engine runs there.
        progress: told after each.
    """
    pairs = [compare(reference.detect(picture), engine.detect(picture)) for picture in pictures]
    times, before, gpu_before = [], 0.0, 0
    for number in range(frames):
        start = time.perf_counter()
        engine.detect(pictures[number % len(pictures)])
        times.append((time.perf_counter() - start) * 1000)
        if number == min(_WARM_UP, frames - 1):
            before, gpu_before = resident_mib(), gpu_memory()
        progress(number + 1, frames, precision)
    median, p95, p99 = np.percentile(times, [50, 95, 99])
    return Verdict(
        precision=precision,
        runtime=runtime,
        compared=sum(pair.compared for pair in pairs),
        lost=sum(pair.lost for pair in pairs),
        worst_box=max(pair.worst_box for pair in pairs),
        worst_score=max(pair.worst_score for pair in pairs),
        grown_mib=resident_mib() - before,
        frames=frames,
        median_ms=float(median),
        p95_ms=float(p95),
        p99_ms=float(p99),
        gpu_grown_mib=(gpu_memory() - gpu_before) / _MIB,
    )


@dataclass(frozen=True)
class Difference:
    """Two sets of detections of one picture."""

    compared: int
    lost: int
    worst_box: float
    worst_score: float


def compare(wanted: Detections, found: Detections) -> Difference:
    """Pair detections of the same class by overlap, the best first; what overlaps by less than half is not the same."""
    overlaps = np.array(iou_matrix(wanted.boxes, found.boxes), np.float64)
    overlaps[wanted.class_ids[:, None] != found.class_ids[None]] = 0
    pairs: list[tuple[int, int, float]] = []
    while overlaps.size and overlaps.max() >= 0.5:
        row, column = (int(entry) for entry in np.unravel_index(overlaps.argmax(), overlaps.shape))
        pairs.append((row, column, float(overlaps[row, column])))
        overlaps[row], overlaps[:, column] = 0, 0
    scores = [abs(float(wanted.scores[row] - found.scores[column])) for row, column, _ in pairs]
    return Difference(
        compared=len(wanted.scores),
        lost=len(wanted.scores) + len(found.scores) - 2 * len(pairs),
        worst_box=max((1 - overlap for _, _, overlap in pairs), default=0.0),
        worst_score=max(scores, default=0.0),
    )


def _counted(left: Mapping[str, int]) -> str:
    """Return e.g. ``device memory, 2 x execution context``."""
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in left.items())


def resident_mib() -> float:
    """Return the memory that this process has in use; 0 where the system does not tell."""
    try:
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0.0
    return int(line.split()[1]) / 1024
