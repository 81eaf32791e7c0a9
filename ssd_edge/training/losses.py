"""The multibox loss of a batch: smooth L1 or an IoU loss of the boxes, cross-entropy or focal loss of the classes.

Hard negatives are chosen here too. :class:`ssd_edge.training.recipe.LossOptions` says which parts are used.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import distance_box_iou_loss, generalized_box_iou_loss

from ssd_edge.core.frame import FloatArray
from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.box_coder import decode
from ssd_edge.model.heads import HeadOutputs
from ssd_edge.training.recipe import LossOptions
from ssd_edge.training.targets import BACKGROUND, IGNORED, Targets

_LARGEST_LOG_SCALE = math.log(1000 / 16)  # torchvision's: beyond it the exponential would run away

_UNITS = 1000.0  # of an image's side: torchvision's IoU losses add 1e-7 to areas


class MultiboxLoss(NamedTuple):
    """The two parts of the loss, each already divided by the number of positive anchors.

    Attributes:
        localization: scalar, of the boxes or offsets of positive anchors, weighed by alpha.
        confidence: scalar, of the classes.
    """

    localisation: Tensor
    confidence: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.localisation + self.confidence


class MultiboxCriterion:
    """The multibox loss (SSD, section 2.2) with the parts that :class:`LossOptions` chooses.

    Each part is a sum over the batch in float32, over its number of positive anchors (at least one); a batch
    without objects has a loss of zero with cross-entropy (or that of ``negatives_of_empty`` boxes an image), and that
    of its background boxes with the focal loss.

    Args:
        options: which parts.
        anchors: (A, 4) anchors, cx cy w h, in 0..1 of the input.
        coding: how offsets become boxes.
    """

    def __init__(self, options: LossOptions, anchors: FloatArray, coding: BoxCoding) -> None:
        self._options = options
        self._anchors = torch.from_numpy(anchors).float()
        limit = min(coding.max_log_scale, _LARGEST_LOG_SCALE)
        self._coding = dataclasses.replace(coding, max_log_scale=limit)

    def __call__(self, outputs: HeadOutputs, targets: Targets) -> MultiboxLoss:
        """Return the loss of a batch; ``localisation`` holds its weight alpha already.

        Args:
            outputs: class_logits (B, A, C + 1) and box_offsets (B, A, 4), of any floating type.
            targets: labels (B, A) and offsets (B, A, 4).
        """
        positive = targets.labels > BACKGROUND
        normalizer = positive.sum().clamp(min=1)
        localisation = self._localisation(outputs.box_offsets.float(), targets.offsets, positive)
        confidence = self._confidence(outputs.class_logits.float(), targets.labels, positive)
        return MultiboxLoss(self._options.alpha * localisation / normalizer, confidence / normalizer)

    def _localisation(self, offsets: Tensor, wanted: Tensor, positive: Tensor) -> Tensor:
        if self._options.localisation == "smooth-l1":
            return functional.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")
        anchors = self._anchors.to(offsets.device).expand(*offsets.shape)[positive]
        boxes = decode(offsets[positive], anchors, self._coding) * _UNITS
        truth = decode(wanted[positive], anchors, self._coding) * _UNITS
        loss = generalized_box_iou_loss if self._options.localisation == "giou" else distance_box_iou_loss
        summed: Tensor = loss(boxes, truth, reduction="sum")
        return summed

    def _confidence(self, logits: Tensor, labels: Tensor, positive: Tensor) -> Tensor:
        options = self._options
        ignored = labels == IGNORED
        if options.classification == "focal":
            return focal_loss(logits[~ignored], labels[~ignored], gamma=options.focal_gamma, alpha=options.focal_alpha)
        counted = positive | hard_negatives(
            logits,
            positive,
            ignored=ignored,
            negatives_per_positive=options.negatives_per_positive,
            negatives_of_empty=options.negatives_of_empty,
        )
        return functional.cross_entropy(
            logits[counted], labels[counted], reduction="sum", label_smoothing=options.label_smoothing
        )


@torch.no_grad()
def hard_negatives(
    logits: Tensor,
    positive: Tensor,
    *,
    ignored: Tensor | None = None,
    negatives_per_positive: float,
    negatives_of_empty: int = 0,
) -> Tensor:
    """Return a (B, A) bool mask of the background boxes that each image gets most wrong.

    Args:
        logits: (B, A, C + 1) float32.
        positive: (B, A) bool; these are never chosen.
        ignored: (B, A) bool; nor are these.
        negatives_per_positive: an image with P positives gets this times P negatives, or all that it has.
        negatives_of_empty: an image without positives gets this many.
    """
    loss_as_background = logits.logsumexp(dim=-1) - logits[..., BACKGROUND]
    excluded = positive if ignored is None else positive | ignored
    loss_as_background = loss_as_background.masked_fill(excluded, -torch.inf)
    positives = positive.sum(dim=1, keepdim=True)
    wanted = (negatives_per_positive * positives).ceil().long().masked_fill(positives == 0, negatives_of_empty)
    wanted = wanted.minimum((~excluded).sum(dim=1, keepdim=True))
    hardest = loss_as_background.topk(int(wanted.max()), dim=1).indices
    chosen = torch.arange(hardest.shape[1], device=logits.device) < wanted
    return torch.zeros_like(positive).scatter_(1, hardest, chosen)


def focal_loss(logits: Tensor, labels: Tensor, *, gamma: float, alpha: float) -> Tensor:
    """Return the summed focal loss (arXiv 1708.02002, equation 5) of softmax classes: - a (1 - p)^gamma ln p.

    p is the probability of the wanted class, background included; the paper has a sigmoid for each class, while the
    SSD's scores are a softmax. a is ``alpha`` for real classes and 1 - ``alpha`` for background.

    Args:
        logits: (…, C + 1) float32.
        labels: (…,) int64; 0 is background.
        gamma: 0 is cross-entropy.
        alpha: weight of the real classes, 0..1.
    """
    log_p = functional.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    weight = torch.where(labels == BACKGROUND, 1 - alpha, alpha)
    # 1 - p of a sure prediction may round to 0, where the power of a small gamma has no finite slope.
    missing = (-torch.expm1(log_p)).clamp(min=1e-7)
    return -(weight * missing**gamma * log_p).sum()
