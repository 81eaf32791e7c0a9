"""Parity check: the imported graph must give the detections of the original, decoded in Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_errors
from ssd_edge.core.boxes import corner_form, iou_matrix
from ssd_edge.core.errors import ParityError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.spec import BoxCoding, ModelSpec, NmsSpec
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.importing.graphs.layout import corners_by_hand
from ssd_edge.importing.graphs.probe import Probe
from ssd_edge.importing.graphs.surgery import Reading

if TYPE_CHECKING:
    import onnxruntime
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Agreement:
    """Agreement of the imported graph with the original.

    Attributes:
        images: images looked at.
        detections: detections that were compared.
        box_difference: largest difference of a corner of any box, as a fraction of the image.
        score_difference: largest difference of any score.
    """

    images: int
    detections: int
    box_difference: float
    score_difference: float


def verify(
    path: Path, scored: onnx.ModelProto, spec: ModelSpec, reading: Reading, probe: Probe, *, together: bool
) -> Agreement:
    """Compare the file at ``path`` with the foreign answers, in two steps that together leave no gap.

    The boxes and scores that enter the NMS must be those that the foreign answers give by hand; and the detections of
    the file must be those that greedy NMS by hand picks from these. So no overlap that lies on the threshold to the
    last digit can turn the verdict.

    Args:
        path: the imported file.
        scored: its graph up to the NMS.
        spec: of the imported model.
        reading: how the foreign answers are read.
        probe: images and foreign answers.
        together: also run all images as one batch, which must change nothing.

    Raises:
        ParityError: they differ.
        ArtifactError: ONNX Runtime cannot run the file.
    """
    wanted = [by_hand(answer, spec, reading) for answer in probe.answers]
    boxes, scores = (np.stack(parts) for parts in zip(*wanted, strict=True))
    batches = [slice(number, number + 1) for number in range(len(wanted))]
    if together:
        batches.append(slice(0, len(wanted)))
    session = _session(path, scored)
    with OrtBackend(path) as backend:
        found = [_compare(session, backend, probe.pixels[rows], boxes[rows], scores[rows]) for rows in batches]
    return Agreement(
        images=len(wanted),
        detections=sum(each.detections for each in found[: len(wanted)]),
        box_difference=max(each.box_difference for each in found),
        score_difference=max(each.score_difference for each in found),
    )


def by_hand(answer: dict[str, FloatArray], spec: ModelSpec, reading: Reading) -> tuple[FloatArray, FloatArray]:
    """Return (N, 4) boxes and (N, C) scores of one image from the foreign answer."""
    scores, boxes = answer[reading.outputs.scores][0], answer[reading.outputs.boxes][0]
    if reading.anchors is not None:
        boxes = decode(boxes, reading.anchors, spec.box_coding)
    else:
        boxes = corners_by_hand(boxes, reading.layout)
    if spec.nms.clip_boxes:
        boxes = boxes.clip(0, 1)
    return boxes, (scores if reading.softmaxed else softmax(scores))[:, 1:]


class Found(NamedTuple):
    """Detections of one image, best first: boxes (K, 4) in 0..1, scores (K,), class_ids (K,)."""

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray


def softmax(logits: FloatArray) -> FloatArray:
    """Return probabilities over the last axis, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def decode(offsets: FloatArray, anchors: FloatArray, coding: BoxCoding) -> FloatArray:
    """Return (N, 4) x1 y1 x2 y2 from offsets and anchors cx cy w h (SSD, equation 2), in float64."""
    steps = offsets.astype(np.float64) * coding.variances
    centers = anchors[:, :2] + steps[:, :2] * anchors[:, 2:]
    sides = anchors[:, 2:] * np.exp(np.minimum(steps[:, 2:], coding.max_log_scale))
    return corner_form(np.concatenate([centers, sides], axis=1))


def greedy_nms(boxes: FloatArray, scores: FloatArray, nms: NmsSpec) -> Found:
    """Return the detections among the ``max_candidates`` best pairs of boxes (N, 4) and scores (N, C), in float32.

    Equal scores rank by the lower box, then the lower class.
    """
    order = np.argsort(-scores.ravel(), kind="stable")[: nms.max_candidates]
    order = order[scores.ravel()[order] > np.float32(nms.score_threshold)]
    box_ids, class_ids = order // scores.shape[1], order % scores.shape[1]
    overlaps = iou_matrix(boxes[box_ids], boxes[box_ids]) > np.float32(nms.iou_threshold)
    rivals = overlaps & (class_ids[:, None] == class_ids)
    kept: list[int] = []
    for candidate in range(len(order)):
        if not rivals[candidate, kept].any():
            kept.append(candidate)
    best = np.array(kept[: nms.keep_top_k], np.int64)
    return Found(boxes[box_ids[best]], scores.ravel()[order[best]], class_ids[best])


def _session(path: Path, scored: onnx.ModelProto) -> onnxruntime.InferenceSession:
    with scratch_folder() as folder:
        before_nms = folder / path.name
        onnx.save(scored, before_nms)
        return open_session(before_nms, threads=Threads.for_latency().per_worker, optimize=True)


def _compare(
    session: onnxruntime.InferenceSession,
    backend: OrtBackend,
    pixels: UInt8Array,
    wanted_boxes: FloatArray,
    wanted_scores: FloatArray,
) -> Agreement:
    """Compare one batch of images (P, H, W, 3) with boxes (P, N, 4) and scores (P, N, C) worked out by hand."""
    name = backend.spec.name
    with ort_errors(Path(name)):
        unit_boxes, scores = session.run(["boxes", "scores"], {INPUT_NAME: pixels})
    boxes = unit_boxes[:, :, 0]
    differences = _largest_difference(boxes, wanted_boxes), _largest_difference(scores, wanted_scores)
    if not max(differences) <= TOLERANCE:
        raise ParityError(
            f"{name}: the imported graph does not give the same boxes and scores as the original graph",
            got=f"box differences up to {differences[0]:.2g} of the image and score differences up to "
            f"{differences[1]:.2g}",
            wanted=f"no difference above {TOLERANCE:g}",
            do="Nothing was written. Please report this with the version of onnxruntime.",
        )
    picked = [greedy_nms(*pair, backend.spec.nms) for pair in zip(boxes, scores, strict=True)]
    return Agreement(len(pixels), _compare_detections(backend, pixels, picked), *differences)


def _largest_difference(found: FloatArray, wanted: FloatArray) -> float:
    """Return the largest absolute difference; infinity where the shapes differ."""
    return float(np.abs(found - wanted).max()) if found.shape == wanted.shape else float("inf")


def _compare_detections(backend: OrtBackend, pixels: UInt8Array, wanted: list[Found]) -> int:
    """Return how many detections the file gives, which are all those of greedy NMS by hand."""
    raw = backend.infer(pixels)
    for row, reference in enumerate(wanted):
        found = _found(raw, row)
        if not _same(found, reference):
            raise ParityError(
                f"{backend.spec.name}: the NMS of the imported graph does not give the same detections as a "
                "reference NMS",
                got=f"{len(found.scores)} detections",
                wanted=f"the {len(reference.scores)} detections of the reference, within {TOLERANCE:g}",
                do="Nothing was written. Please report this with the version of onnxruntime.",
            )
    return int(raw.num_detections.sum())


def _found(raw: RawOutputs, row: int) -> Found:
    count = int(raw.num_detections[row, 0])
    return Found(raw.boxes[row, :count], raw.scores[row, :count], raw.classes[row, :count].astype(np.int64))


def _same(first: Found, second: Found) -> bool:
    return (
        len(first.scores) == len(second.scores)
        and np.array_equal(first.class_ids, second.class_ids)
        and np.allclose(first.boxes, second.boxes, rtol=0, atol=TOLERANCE)
        and np.allclose(first.scores, second.scores, rtol=0, atol=TOLERANCE)
    )
