"""From pixels to boxes with PyTorch: the module that is exported, and the detector that others are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.images import as_bgr
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec, NmsSpec
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.box_coder import decode
from ssd_edge.model.ssd import SSD


def suppress(boxes: Tensor, scores: Tensor, spec: NmsSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Return (boxes, scores, class ids) of the detections of one image, best first.

    Each class keeps its ``top_k`` best boxes that score more than the threshold and suppresses those that overlap a
    better one by more than the IoU threshold; of what is left the image keeps the ``keep_top_k`` best. Equal scores
    keep the order of classes, then of anchors.

    Args:
        boxes: (A, 4) x1 y1 x2 y2.
        scores: (A, C) of the real classes.
        spec: the limits; ``max_candidates`` plays no part here.
    """
    kept = [_suppress_class(boxes, column, spec) for column in scores.unbind(dim=1)]
    anchors = torch.cat(kept)
    class_ids = torch.cat([torch.full_like(indices, class_id) for class_id, indices in enumerate(kept)])
    found = scores[anchors, class_ids]
    best = found.argsort(descending=True, stable=True)[: spec.keep_top_k]
    return boxes[anchors[best]], found[best], class_ids[best]


def _best_pairs(scores: Tensor, nms: NmsSpec) -> Tensor:
    """Return (A, C) scores in which all but the ``max_candidates`` best above the threshold are 0.

    Of equal ones the first stay.
    """
    flat = scores.flatten()
    places = torch.nonzero(flat > nms.score_threshold).squeeze(1)
    best = places[flat[places].argsort(descending=True, stable=True)[: nms.max_candidates]]
    kept = torch.zeros_like(flat)
    kept[best] = flat[best]
    return kept.view_as(scores)


def _suppress_class(boxes: Tensor, scores: Tensor, spec: NmsSpec) -> Tensor:
    """Return the indices of the anchors that one class keeps, best first."""
    candidates = torch.nonzero(scores > spec.score_threshold).squeeze(1)
    order = scores[candidates].argsort(descending=True, stable=True)[: spec.top_k]
    candidates = candidates[order]
    survivors: Tensor = nms(boxes[candidates], scores[candidates], spec.iou_threshold)
    return candidates[survivors]


class DecodedSSD(nn.Module):
    """The network between pixels and scored boxes; this is what is exported.

    Casting, color order, mean, std and layout happen here and nowhere else.

    Attributes:
        spec: the model's spec.
    """

    mean: Tensor
    std: Tensor
    anchors: Tensor
    bgr_to_rgb: Tensor

    def __init__(self, model: SSD) -> None:
        super().__init__()
        self.model = model
        self.spec = model.spec
        entry = model.spec.input
        device = next(model.parameters()).device
        self.register_buffer("mean", torch.tensor(entry.mean, device=device).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std, device=device).view(1, 3, 1, 1))
        # One Gather in the exported graph; indexing by a list becomes GatherND in PyTorch's newer exporter.
        self.register_buffer("bgr_to_rgb", torch.tensor([2, 1, 0], device=device))
        self.register_buffer("anchors", torch.from_numpy(anchor_boxes(model.spec.anchors)).to(device))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Score every anchor of every image.

        Args:
            images: (B, H, W, 3) uint8 BGR, of the spec's input size.

        Returns:
            boxes (B, A, 4) float32, x1 y1 x2 y2 in 0..1 of the image, and scores (B, A, C) float32 of the real
            classes, in 0..1; background is left out of the scores but counted in their softmax.
        """
        logits, offsets = self.model(self.normalized(images))
        boxes = decode(offsets, self.anchors, self.spec.box_coding)
        if self.spec.nms.clip_boxes:
            boxes = boxes.clamp(0, 1)
        return boxes, logits.softmax(dim=-1)[..., 1:]

    def normalized(self, images: Tensor) -> Tensor:
        """Turn (B, H, W, 3) uint8 BGR pixels into the network's (B, 3, H, W) float32 input."""
        # The cast comes first: it is the only thing that TensorRT does with uint8.
        pixels = images.to(self.mean.dtype).permute(0, 3, 1, 2)
        if self.spec.input.color_order == "rgb":
            pixels = pixels.index_select(1, self.bgr_to_rgb)
        return (pixels - self.mean) / self.std


def find_device(name: str) -> torch.device:
    """Return the device that ``auto`` or a name of PyTorch's means.

    Raises:
        InputError: PyTorch finds no such device here.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    kind, _, number = name.partition(":")
    found = {"cpu": True, "cuda": cuda, "mps": mps}
    in_range = not number or (kind == "cuda" and number.isdecimal() and int(number) < torch.cuda.device_count())
    if not (found.get(kind, False) and in_range):
        raise InputError(
            f"PyTorch finds no device {name!r} on this machine",
            got=f"PyTorch {torch.__version__}",
            wanted=", ".join(repr(entry) for entry, there in found.items() if there),
        )
    return torch.device(name)


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Keep a GPU from computing convolutions in TF32, whose scores differ in the third digit; then as before."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Compute on this many threads inside the block, and then on as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)


class TorchDetector:
    """Finds objects with PyTorch, with the meaning of torchvision's detectors: the reference for every runtime.

    The model is switched to evaluation mode; a training loop switches it back before it goes on.
    """

    def __init__(self, model: SSD) -> None:
        self._decoded = DecodedSSD(model).eval()

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        return self._decoded.spec

    def detect(self, image: UInt8Array) -> Detections:
        """Return the objects in an (H, W, 3) BGR image of any size, in its pixels.

        Raises:
            InputError: the array is not an image.
        """
        image = as_bgr(image, origin="the image")
        (found,) = self._found(preprocess(image, self.spec.input)[None])
        return self._in_pixels(image, *found)

    def detect_within(self, image: UInt8Array, limits: Sequence[NmsSpec]) -> list[Detections]:
        """Return the objects in an image as the exported graph would give them, once for each of several limits.

        Args:
            image: (H, W, 3) BGR of any size.
            limits: each takes the place of the spec's.

        Raises:
            InputError: the array is not an image.
        """
        image = as_bgr(image, origin="the image")
        with _without_tf32():
            boxes, scores = self._scored(preprocess(image, self.spec.input)[None])
        found = (suppress(boxes[0], _best_pairs(scores[0], nms), nms) for nms in limits)
        return [self._in_pixels(image, *(part.numpy() for part in parts)) for parts in found]

    def infer(self, batch: UInt8Array, *, threads: int | None = None) -> list[tuple[FloatArray, FloatArray, IntArray]]:
        """Return (boxes, scores, class ids) of each image, best first, as the exported graph gives them.

        It looks at the ``max_candidates`` best pairs of box and class, as the graph does, and a GPU computes in float32
        throughout.

        Args:
            batch: (B, H, W, 3) BGR of the spec's input size.
            threads: of the processor, for this call; None leaves PyTorch's number as it is.

        Returns:
            For each image (N, 4) float32 x1 y1 x2 y2 in 0..1, (N,) float32 and (N,) int64.
        """
        with torch_threads(threads), _without_tf32():
            return self._found(batch, limited=True)

    def _found(self, batch: UInt8Array, *, limited: bool = False) -> list[tuple[FloatArray, FloatArray, IntArray]]:
        boxes, scores = self._scored(batch)
        if limited:
            scores = torch.stack([_best_pairs(image, self.spec.nms) for image in scores])
        kept = [suppress(*image, self.spec.nms) for image in zip(boxes, scores, strict=True)]
        return [(boxes.numpy(), scores.numpy(), class_ids.numpy()) for boxes, scores, class_ids in kept]

    @torch.inference_mode()
    def _scored(self, batch: UInt8Array) -> tuple[Tensor, Tensor]:
        """Return every anchor's box (B, A, 4) and scores (B, A, C) in float32, in the memory of the processor."""
        boxes, scores = self._decoded(torch.from_numpy(np.array(batch, order="C")).to(self._decoded.mean.device))
        return boxes.float().cpu(), scores.float().cpu()

    def _in_pixels(self, image: UInt8Array, boxes: FloatArray, scores: FloatArray, class_ids: IntArray) -> Detections:
        height, width = image.shape[:2]
        return Detections.from_unit_boxes(
            boxes, scores, class_ids, width=width, height=height, class_names=self.spec.class_names
        )
