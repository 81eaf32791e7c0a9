"""Result of the self-test of an engine, and its problems."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssd_edge.backends.tensorrt.profile import GpuStageTimes
from ssd_edge.core.timing import Spread

LEAK_LIMIT_MIB = 16.0
GPU_LEAK_LIMIT_MIB = 64.0  # other programs may use the GPU meanwhile


@dataclass(frozen=True)
class Tolerance:
    """Allowed difference of a precision from float32: boxes as 1 - IoU, scores as absolute values."""

    box: float
    score: float


TOLERANCES = {
    "fp32": Tolerance(0.01, 0.005),  # from Ampere on, TensorRT multiplies float32 with ten bits of mantissa (TF32)
    "fp16": Tolerance(0.05, 0.02),
    "bf16": Tolerance(0.1, 0.05),
    "int8": Tolerance(0.1, 0.1),
    "int8-fp16": Tolerance(0.1, 0.1),
}
"""Of the small detectors that are built here, whose answers are certain."""
_OTHER_BOX = 0.35  # of one object, two anchors often score alike, and rounding chooses
OWN_TOLERANCES = {
    "fp32": Tolerance(_OTHER_BOX, 0.02),
    "fp16": Tolerance(_OTHER_BOX, 0.05),
    "bf16": Tolerance(_OTHER_BOX, 0.1),
    "int8": Tolerance(_OTHER_BOX, 0.3),
    "int8-fp16": Tolerance(_OTHER_BOX, 0.3),
}
"""Of a user's engine, on images of any kind."""
PREDICTED_TOLERANCES = {
    "fp32": Tolerance(_OTHER_BOX, 0.02),
    "fp16": Tolerance(_OTHER_BOX, 0.02),
    "bf16": Tolerance(_OTHER_BOX, 0.1),
    "int8": Tolerance(_OTHER_BOX, 0.05),  # a value midway between two steps falls to either side, layer after layer
    "int8-fp16": Tolerance(_OTHER_BOX, 0.05),
}
"""Of a user's engine, from its own lowered graph on the processor: only the rounding is another."""


@dataclass(frozen=True)
class StageTable:
    """One way to run an engine.

    Attributes:
        mode: ``enqueue`` or ``graph``.
        rows: milliseconds, by the names that trtexec prints, and ``Host overhead``: what the host adds to the Latency.
        throughput: frames a second, one at a time.
    """

    mode: str
    rows: dict[str, Spread]
    throughput: float


def stage_table(times: GpuStageTimes) -> StageTable:
    """Summarize the times of a mode; Latency is the sum of the three stages of a frame."""
    latency = [sum(stages) for stages in zip(times.upload, times.compute, times.download, strict=True)]
    columns = {
        "Latency": latency,
        "Enqueue Time": times.enqueue,
        "H2D Latency": times.upload,
        "GPU Compute Time": times.compute,
        "D2H Latency": times.download,
        "Host overhead": [host - gpu for host, gpu in zip(times.host, latency, strict=True)],
    }
    rows = {name: Spread.of(values) for name, values in columns.items()}
    return StageTable(times.mode, rows, 1000 * len(times.host) / sum(times.host))


def graph_gain(tables: Sequence[StageTable]) -> str:
    """Return in words what the CUDA graph does for the median from image to outputs."""
    by_mode = {table.mode: table for table in tables}
    if "graph" not in by_mode:
        return "no CUDA graph: this engine cannot be captured"
    plain, graph = (_whole(by_mode[mode]) for mode in ("enqueue", "graph"))
    return f"CUDA graph: {graph:.3f} ms per frame, plain enqueue {plain:.3f} ms ({plain / graph:.2f} times as long)"


def _whole(table: StageTable) -> float:
    return table.rows["Latency"].median + table.rows["Host overhead"].median


@dataclass(frozen=True)
class Prediction:
    """Difference between an engine and its lowered graph.

    Attributes:
        graph: its file.
        allowed: how far it may be.
        lost: detections that only one of them has.
        worst_box, worst_score: largest 1 - IoU and score difference of those that both have.
    """

    graph: str
    allowed: Tolerance
    lost: int
    worst_box: float
    worst_score: float

    @property
    def faults(self) -> list[str]:
        """Differences beyond rounding; empty if there is none."""
        box, score, name = self.allowed.box, self.allowed.score, f"its own graph, {self.graph}"
        rules = [
            (self.lost == 0, f"{self.lost} detections differ from {name}"),
            (self.worst_box <= box, f"a box is {self.worst_box:.3f} off {name} ({box:g} allowed)"),
            (self.worst_score <= score, f"a score is {self.worst_score:.3f} off {name} ({score:g} allowed)"),
        ]
        return [fault for holds, fault in rules if not holds]


@dataclass(frozen=True)
class Verdict:
    """Result of one engine.

    Attributes:
        allowed: how far it may be from float32.
        compared: detections of the float model, without those that score hardly anything.
        lost: those that the engine has not, and those that it has beyond them.
        worst_box, worst_score: largest 1 - IoU and score difference of those that both have.
        grown_mib, gpu_grown_mib: memory gained from the 50th to the last frame, by this process and on the GPU.
        frames: that were run.
        median_ms, p95_ms, p99_ms: from image to boxes.
        stages: of engines for a GPU: copies and inference apart, with plain enqueue and as a CUDA graph.
        graph_differs: the CUDA graph gave other outputs than plain enqueue.
        left: what was still held on the GPU when all was closed, by kind.
        is_virtual: the GPU calls itself virtual, and is no device.
        prediction: how far it is from its own lowered graph, where that was kept.
        build_mib: memory that its build took from the machine, at most; 0 where it was not built here.
        error: why it could not be built or run; all figures are 0 then.
    """

    precision: str
    runtime: str
    allowed: Tolerance
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
    is_virtual: bool = False
    prediction: Prediction | None = None
    build_mib: float = 0.0
    error: str = ""

    @classmethod
    def failed(cls, precision: str, runtime: str, error: str, *, is_virtual: bool) -> Verdict:
        """Return the verdict on an engine that could not be built or run."""
        nothing = (0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0)
        return cls(precision, runtime, TOLERANCES[precision], *nothing, error=error, is_virtual=is_virtual)

    @property
    def graph_gain(self) -> str:
        """Gain of the CUDA graph, in words; for an engine that ran on a GPU."""
        return graph_gain(self.stages)

    @property
    def where(self) -> str:
        """Runtime that ran the engine, e.g. ``tensorrt (virtual)``."""
        return f"{self.runtime} (virtual)" if self.is_virtual else self.runtime

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON values, with the faults."""
        keys = {"is_virtual": "emulated"}  # as records have it
        fields = {keys.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        return {**fields, "faults": self.faults}

    @property
    def faults(self) -> list[str]:
        """Problems that were found; empty if there is none."""
        if self.error:
            return [self.error]
        allowed = self.allowed
        rules = [
            (
                self.compared > 0,
                (
                    "nothing was detected, so nothing was tested; use --images with images of objects that the engine "
                    "detects"
                ),
            ),
            (self.lost == 0, f"{self.lost} detections differ from FP32"),
            (self.worst_box <= allowed.box, f"a box is {self.worst_box:.3f} off (1 - IoU; {allowed.box:g} allowed)"),
            (self.worst_score <= allowed.score, f"a score is {self.worst_score:.3f} off ({allowed.score:g} allowed)"),
            (not self.graph_differs, "the CUDA graph gives other outputs than plain enqueue"),
            (self.grown_mib <= LEAK_LIMIT_MIB, f"memory grew by {self.grown_mib:.1f} MiB"),
            (self.gpu_grown_mib <= GPU_LEAK_LIMIT_MIB, f"memory of the GPU grew by {self.gpu_grown_mib:.1f} MiB"),
            (not self.left, f"left on the GPU after the end: {_counted(self.left)}"),
        ]
        predicted = self.prediction.faults if self.prediction else []
        return [fault for holds, fault in rules if not holds] + predicted


def _counted(left: Mapping[str, int]) -> str:
    """Return e.g. ``device memory, 2 x execution context``."""
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in left.items())
