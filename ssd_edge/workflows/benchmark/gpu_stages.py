"""An engine of TensorRT in trtexec's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssd_edge.backends.tensorrt.backend import read_manifest_for_gpu
from ssd_edge.backends.tensorrt.profile import measure_stages
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.preprocess import preprocess
from ssd_edge.doctor.verdict import stage_table


def measure_gpu_stages(engine: Path, image: UInt8Array, frames: int) -> list[dict[str, Any]]:
    """Return for each mode (``enqueue``, ``graph``) the median and p99 milliseconds of trtexec's rows.

    Raises:
        SsdEdgeError: the engine cannot run here.
    """
    pixels = preprocess(image, read_manifest_for_gpu(engine).spec.input)
    tables = [stage_table(times) for times in measure_stages(engine, pixels, frames=frames)]
    return [
        {
            "mode": table.mode,
            "qps": table.throughput,
            "rows": {name: {"median_ms": spread.median, "p99_ms": spread.p99} for name, spread in table.rows.items()},
        }
        for table in tables
    ]
