"""The stages of an inference in figures that trtexec's users know, and whether a CUDA graph pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_edge.backends.trt_stages import StageTimes

_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Spread:
    """Milliseconds over all frames."""

    minimum: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        median, p90, p95, p99 = (float(value) for value in np.percentile(values, _PERCENTILES))
        return cls(min(values), float(np.mean(values)), median, p90, p95, p99, max(values))


@dataclass(frozen=True)
class StageTable:
    """One way to run an engine.

    Attributes:
        mode: ``enqueue`` or ``graph``.
        rows: by the names that trtexec prints, and ``Host overhead``: what the host adds to the Latency.
        throughput: frames a second, one at a time.
    """

    mode: str
    rows: dict[str, Spread]
    throughput: float


def stage_table(times: StageTimes) -> StageTable:
    """Summarise the times of a mode; Latency is the sum of the three stages of a frame."""
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
    """Say what the CUDA graph does for the median from picture to outputs."""
    by_mode = {table.mode: table for table in tables}
    if "graph" not in by_mode:
        return "no CUDA graph: this engine cannot be captured"
    plain, graph = (_whole(by_mode[mode]) for mode in ("enqueue", "graph"))
    return f"CUDA graph: {graph:.3f} ms a frame, plain enqueue {plain:.3f} ms ({plain / graph:.2f} times as long)"


def _whole(table: StageTable) -> float:
    return table.rows["Latency"].median + table.rows["Host overhead"].median
