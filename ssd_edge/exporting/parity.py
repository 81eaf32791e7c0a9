"""Parity check: the exported graph and PyTorch must give the same detections on images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ssd_edge.backends.base import Backend, RawOutputs
from ssd_edge.core.errors import ParityError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.spec import NmsSpec
from ssd_edge.graph.nms_rounds import rounds_needed
from ssd_edge.model.predict import DecodedSSD, suppress
from ssd_edge.model.ssd import SSD

_IOU_MARGIN = 1e-4  # overlaps nearer to the threshold than this may fall on either side of it
_ROOM = 2  # times the candidates of the graph, for those that tie with its last one
TOLERANCE = 1e-3
_BATCH = 4  # so that more than one image at a time is looked at as well
_NEAR = 10  # tolerances within which a detection counts as the same one, moved


@dataclass(frozen=True)
class Reference:
    """Detections of full per-class NMS in one image.

    Attributes:
        rows: (N, 6) x1 y1 x2 y2 in 0..1, score, class of all detections that the graph may give.
        certain: (N,) those that it must give: no threshold or limit is near.
        last_score: of the last candidate that the graph looks at; 0 where it looks at all above the threshold.
        rounds: of suppression that it takes, see :func:`~ssd_edge.graph.nms_rounds.rounds_needed`.
    """

    rows: FloatArray
    certain: npt.NDArray[np.bool_]
    last_score: float
    rounds: int = 0


def reference_of(boxes: Tensor, scores: Tensor, nms: NmsSpec, tolerance: float) -> Reference:
    """Return the reference of one image: boxes (A, 4), scores (A, C).

    A detection is certain when full NMS gives it with the IoU threshold as it is, a little lower and a little higher,
    and when it scores by more than ``tolerance`` above the score threshold and the last place of both limits.
    """
    nth_best = _nth_best(scores, nms.max_candidates)
    floor = max(nms.score_threshold, nth_best)
    lowered = dataclasses.replace(
        nms,
        score_threshold=max(0.0, floor - tolerance),
        top_k=_ROOM * nms.max_candidates,
        keep_top_k=scores.numel(),
    )
    found = [_full_nms(boxes, scores, lowered, nms.iou_threshold + margin) for margin in (0, -_IOU_MARGIN, _IOU_MARGIN)]
    rows, times_found = np.unique(np.concatenate(found), axis=0, return_counts=True)
    last_place = max(floor, _nth_row(found[0], nms.keep_top_k))
    certain = (times_found == len(found)) & (rows[:, 4] > last_place + tolerance)
    rounds = rounds_needed(boxes.numpy(), scores.numpy(), nms)
    return Reference(rows, certain, nth_best if nth_best > nms.score_threshold else 0.0, rounds)


def _full_nms(boxes: Tensor, scores: Tensor, nms: NmsSpec, iou_threshold: float) -> FloatArray:
    found = suppress(boxes, scores, dataclasses.replace(nms, iou_threshold=iou_threshold))
    return np.asarray(torch.column_stack([part.float() for part in found]).numpy(), np.float32)


def _nth_best(scores: Tensor, count: int) -> float:
    """Return the score of the last candidate that the graph looks at; 0 where it looks at all."""
    return float(scores.flatten().topk(count).values[-1]) if scores.numel() > count else 0.0


def _nth_row(rows: FloatArray, count: int) -> float:
    """Return the score of the first detection that the graph has no row for; 0 where all fit."""
    return float(rows[count, 4]) if len(rows) > count else 0.0


@dataclass(frozen=True)
class ParityReport:
    """Result of comparing two forms of a model.

    Attributes:
        images: images looked at.
        detections: detections that have a partner of the same class on the other side.
        unmatched: detections that have none, though no threshold is near enough to explain it.
        box_difference: largest difference of a corner between partners, as a fraction of the image.
        score_difference: largest difference of scores between partners.
        last_scores: of the images in which more (box, class) pairs pass the threshold than the graph looks at, the
            score of the last that it looks at.
        tolerance: what both differences may be at most.
        nms_rounds: rounds of suppression after which nothing changes any more, of the image that needs the most.
    """

    images: int
    detections: int
    unmatched: int
    box_difference: float
    score_difference: float
    last_scores: tuple[float, ...] = ()
    tolerance: float = TOLERANCE
    nms_rounds: int = 0

    @property
    def holds(self) -> bool:
        """Whether both forms give the same detections."""
        return self.unmatched == 0 and max(self.box_difference, self.score_difference) <= self.tolerance

    def refuse_if_broken(self, checkpoint: Path, onnx: Path) -> None:
        """Raise ParityError where the detections differ, or where there were none to compare."""
        if self.detections == 0 and self.unmatched == 0:
            raise ParityError(
                f"{onnx} was not written: there were no detections to compare with those of {checkpoint}",
                got=f"no detections on {self.images} images",
                wanted="images with objects that the model detects",
                do="Give images with objects (--check-images), or lower --score-threshold.",
            )
        if not self.holds:
            raise ParityError(
                f"{onnx} was not written: its detections differ from those of {checkpoint}",
                got=f"{self.unmatched} unmatched detections, {self.detections} matched ones with box differences up "
                f"to {self.box_difference:.2g} and score differences up to {self.score_difference:.2g}",
                wanted=f"no difference above {self.tolerance:g}",
                do="Please report this with the versions of torch and onnxruntime.",
            )


def check_parity(
    model: SSD,
    backend: Backend,
    images: Sequence[UInt8Array],
    *,
    tolerance: float = TOLERANCE,
    progress: Progress = silent,
) -> ParityReport:
    """Compare the detections of ``backend`` with those of full per-class NMS in PyTorch, on the same pixels.

    Args:
        model: what the backend's graph was made from.
        backend: the exported graph.
        images: BGR images of any size.
        tolerance: how far partners may be apart, in box corners (fractions of the image) and in scores.
        progress: receives the images done.
    """
    decoded = DecodedSSD(model).eval()
    results: list[_ImageParity] = []
    last_scores: list[float] = []
    rounds = 0
    for start in range(0, len(images), _BATCH):
        pixels = np.stack([preprocess(image, model.spec.input) for image in images[start : start + _BATCH]])
        references = _references(decoded, pixels, tolerance)
        found = _found_rows(backend.infer(pixels))
        results += [_compare(*pair, near=_NEAR * tolerance) for pair in zip(found, references, strict=True)]
        last_scores += [reference.last_score for reference in references if reference.last_score]
        rounds = max(rounds, *(reference.rounds for reference in references))
        progress(len(results), len(images))
    return ParityReport(
        images=len(images),
        detections=sum(image.differences.shape[0] for image in results),
        unmatched=sum(image.unmatched for image in results),
        box_difference=max((float(image.differences[:, :4].max(initial=0)) for image in results), default=0.0),
        score_difference=max((float(image.differences[:, 4].max(initial=0)) for image in results), default=0.0),
        last_scores=tuple(last_scores),
        tolerance=tolerance,
        nms_rounds=rounds,
    )


@dataclass(frozen=True)
class _ImageParity:
    """Of one image: the (N, 5) differences of partners, corners and score, and how many have none."""

    differences: FloatArray
    unmatched: int


def _references(decoded: DecodedSSD, pixels: UInt8Array, tolerance: float) -> list[Reference]:
    with torch.inference_mode():
        boxes, scores = decoded(torch.from_numpy(pixels))
    return [reference_of(*pair, decoded.spec.nms, tolerance) for pair in zip(boxes, scores, strict=True)]


def _found_rows(raw: RawOutputs) -> list[FloatArray]:
    """Return for each image (N, 6) rows of x1 y1 x2 y2, score, class."""
    rows = np.concatenate([raw.boxes, raw.scores[..., None], raw.classes[..., None]], axis=2)
    return [image[: int(count)] for image, count in zip(rows, raw.num_detections[:, 0], strict=True)]


def _compare(found: FloatArray, reference: Reference, *, near: float) -> _ImageParity:
    """Give each detection the nearest free one of its class in the reference, best first."""
    apart = np.abs(found[:, None, :5] - reference.rows[None, :, :5])
    distance = np.where(found[:, None, 5] == reference.rows[None, :, 5], apart.max(axis=2), np.inf)
    partners = np.full(len(found), -1)
    for number, row in enumerate(distance):
        if row.min(initial=np.inf) <= near:
            partners[number] = row.argmin()
            distance[:, partners[number]] = np.inf
    paired = np.flatnonzero(partners >= 0)
    missing = np.setdiff1d(np.flatnonzero(reference.certain), partners)
    return _ImageParity(apart[paired, partners[paired]], len(found) - len(paired) + len(missing))
