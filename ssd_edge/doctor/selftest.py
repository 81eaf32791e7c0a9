"""Proves an engine on the machine it runs on: against the float model on the processor, over and over, with times."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.backends.cuda import what_is_held
from ssd_edge.backends.cuda_driver import is_virtual, used_memory
from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.backends.tensorrt.profile import measure_stages
from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.timing import Stopwatch
from ssd_edge.doctor.verdict import PREDICTED_TOLERANCES, TOLERANCES, Prediction, Tolerance, Verdict, stage_table

_MIB = 1 << 20
_STATUS = Path("/proc/self/status")
_WARM_UP = 50
_SEEN = 0.3  # what scores less is noise to a detector, and each runtime's is another


def prove_engine(
    engine: Path,
    reference: Path,
    images: Sequence[UInt8Array],
    *,
    precision: str,
    runtime: str,
    tolerance: Tolerance | None = None,
    frames: int = 1000,
    progress: Progress = silent,
) -> Verdict:
    """Open an engine and its float32 ONNX and prove the one by the other; on a GPU time its stages, count what stays.

    See :func:`prove`.

    Raises:
        SsdEdgeError: one of the two cannot be run.
    """
    on_gpu, before = runtime.startswith("tensorrt"), Counter(what_is_held())
    with open_detector(engine) as tested, open_detector(reference) as expected:
        verdict = prove(
            tested,
            expected,
            images,
            precision=precision,
            runtime=runtime,
            tolerance=tolerance,
            frames=frames,
            gpu_memory=used_memory if on_gpu else lambda: 0,
            progress=progress,
        )
    if not on_gpu:
        return verdict
    verdict = with_stages(verdict, engine, images[0], frames)
    return dataclasses.replace(verdict, left=dict(Counter(what_is_held()) - before), is_virtual=is_virtual())


def with_stages(verdict: Verdict, engine: Path, image: UInt8Array, frames: int) -> Verdict:
    """Add the times of the stages on the GPU."""
    spec = EngineManifest.load(manifest_path(engine)).spec
    measured = measure_stages(engine, preprocess(image, spec.input), frames=frames)
    return dataclasses.replace(
        verdict,
        stages=tuple(stage_table(times) for times in measured),
        graph_differs=any(times.outputs != measured[0].outputs for times in measured),
    )


def with_prediction(verdict: Verdict, engine: Path, graph: Path, images: Sequence[UInt8Array]) -> Verdict:
    """Add how far the engine is from the lowered graph that it was built from."""
    allowed = PREDICTED_TOLERANCES[verdict.precision]
    with open_detector(engine) as tested, open_detector(graph) as predicted:
        found = differences(tested, predicted, images, allowed)
    prediction = Prediction(str(graph), allowed, found.lost, found.worst_box, found.worst_score)
    return dataclasses.replace(verdict, prediction=prediction)


def prove(
    engine: Detector,
    reference: Detector,
    images: Sequence[UInt8Array],
    *,
    precision: str,
    runtime: str,
    tolerance: Tolerance | None = None,
    frames: int = 1000,
    gpu_memory: Callable[[], int] = lambda: 0,
    progress: Progress = silent,
) -> Verdict:
    """Run ``frames`` images through an engine and compare the first round with the float model.

    Args:
        engine: what is tested.
        reference: the float32 ONNX on the processor.
        images: run one after the other, again and again.
        precision: of the engine.
        runtime: what it runs on, for the report.
        tolerance: how far it may be from float32; by default that of the precision.
        frames: how many, for the times and the memory.
        gpu_memory: returns the bytes in use on the GPU, where the engine runs there.
        progress: called after each.
    """
    allowed = tolerance or TOLERANCES[precision]
    found = differences(engine, reference, images, allowed)
    watch, before, gpu_before = Stopwatch(), 0.0, 0
    for number in range(frames):
        image = images[number % len(images)]
        with watch:
            engine.detect(image)
        if number == min(_WARM_UP, frames - 1):
            before, gpu_before = resident_mib(), gpu_memory()
        progress(number + 1, frames, precision)
    spread = watch.timing.spread
    return Verdict(
        precision=precision,
        runtime=runtime,
        allowed=allowed,
        compared=found.compared,
        lost=found.lost,
        worst_box=found.worst_box,
        worst_score=found.worst_score,
        grown_mib=resident_mib() - before,
        frames=frames,
        median_ms=spread.median,
        p95_ms=spread.p95,
        p99_ms=spread.p99,
        gpu_grown_mib=(gpu_memory() - gpu_before) / _MIB,
    )


@dataclass(frozen=True)
class Difference:
    """Two sets of detections, of one image or of several."""

    compared: int
    lost: int
    worst_box: float
    worst_score: float


def differences(engine: Detector, reference: Detector, images: Sequence[UInt8Array], allowed: Tolerance) -> Difference:
    """Return how far an engine is from the reference on all images together, without what scores hardly anything."""
    floor = max(_SEEN, engine.spec.nms.score_threshold + allowed.score)
    pairs = [compare(reference.detect(image), engine.detect(image), floor) for image in images]
    return Difference(
        compared=sum(pair.compared for pair in pairs),
        lost=sum(pair.lost for pair in pairs),
        worst_box=max(pair.worst_box for pair in pairs),
        worst_score=max(pair.worst_score for pair in pairs),
    )


def compare(wanted: Detections, found: Detections, floor: float = 0.0) -> Difference:
    """Pair detections of the same class by overlap, the best first; what overlaps by less than half is not the same.

    What scores less than ``floor`` on both sides counts nothing: the one may have it just above the model's threshold,
    and the other just below.
    """
    overlaps = np.array(iou_matrix(wanted.boxes, found.boxes), np.float64)
    overlaps[wanted.class_ids[:, None] != found.class_ids[None]] = 0
    pairs: list[tuple[int, int, float]] = []
    while overlaps.size and overlaps.max() >= 0.5:
        row, column = (int(entry) for entry in np.unravel_index(overlaps.argmax(), overlaps.shape))
        pairs.append((row, column, float(overlaps[row, column])))
        overlaps[row], overlaps[:, column] = 0, 0
    rows, columns = [row for row, _, _ in pairs], [column for _, column, _ in pairs]
    alone = [*np.delete(wanted.scores, rows), *np.delete(found.scores, columns)]
    scores = [(float(wanted.scores[row]), float(found.scores[column])) for row, column, _ in pairs]
    counted = [number for number, both in enumerate(scores) if max(both) >= floor]
    return Difference(
        compared=int((wanted.scores >= floor).sum()),
        lost=sum(bool(score >= floor) for score in alone),
        worst_box=max((1 - pairs[number][2] for number in counted), default=0.0),
        worst_score=max((abs(scores[number][0] - scores[number][1]) for number in counted), default=0.0),
    )


def resident_mib() -> float:
    """Return the memory that this process has in use; 0 where the system does not report it."""
    try:
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0.0
    return int(line.split()[1]) / 1024
