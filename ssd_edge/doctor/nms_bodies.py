"""Measures the forms of the NMS on a device: whether a CUDA graph captures them, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd_edge.backends.tensorrt.profile import measure_stages
from ssd_edge.core.frame import UInt8Array
from ssd_edge.doctor.verdict import StageTable, stage_table


@dataclass(frozen=True)
class NmsTimes:
    """One form of the NMS in the small detector, whose network takes hardly any time.

    Attributes:
        body: ``plugin``, ``rounds``, ``loop`` or ``efficient``.
        runtime: what it ran on.
        captured: a CUDA graph captured it.
        enqueue_ms, graph_ms: median GPU Compute Time of plain enqueue and as a CUDA graph; 0 where there is none.
        error: why it could not be built or run.
    """

    body: str
    runtime: str
    captured: bool = False
    enqueue_ms: float = 0.0
    graph_ms: float = 0.0
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.body} on {self.runtime}: {self.error}"
        graph = f"captured, {self.graph_ms:.3f} ms as a CUDA graph" if self.captured else "not captured"
        return f"{self.body} on {self.runtime}: {graph}, {self.enqueue_ms:.3f} ms by plain enqueue"


def time_nms(engine: Path, body: str, runtime: str, image: UInt8Array, *, frames: int) -> NmsTimes:
    """Return the times of an engine's form of the NMS; ``image`` is of its input size.

    Raises:
        SsdEdgeError: it cannot be run here.
    """
    tables = {table.mode: table for table in map(stage_table, measure_stages(engine, image, frames=frames))}
    graph = tables.get("graph")
    return NmsTimes(body, runtime, graph is not None, _compute(tables["enqueue"]), _compute(graph) if graph else 0.0)


def _compute(table: StageTable) -> float:
    return round(table.rows["GPU Compute Time"].median, 4)
