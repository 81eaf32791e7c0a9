"""Our own contestants, opened with a layout of threads."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.benchmarking.task import Task


def open_ours(task: Task) -> Detector:
    """Return the detector of a ``.pt``, ``.onnx`` or ``.engine``.

    Raises:
        SsdEdgeError: it cannot be run here.
    """
    path, score = Path(task.model), task.score_threshold or 0.0
    if path.suffix == ".pt":
        from ssd_edge.workflows.load import load

        return load(path, score_threshold=score, device="cpu", threads=task.threads)
    return open_detector(path, Threads(task.workers, task.threads), score)
