"""The multibox loss (SSD, section 2.2, equations 1 to 3) with hard negative mining."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ssd_edge.model.heads import HeadOutputs
from ssd_edge.training.targets import Targets

BACKGROUND = 0


class MultiboxLoss(NamedTuple):
    """The two parts of the loss, each already divided by the number of positive default boxes.

    Attributes:
        localisation: scalar, smooth L1 of the offsets of positive default boxes.
        confidence: scalar, cross-entropy of positives and of the hardest negatives.
    """

    localisation: Tensor
    confidence: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum: alpha is 1 in the paper."""
        return self.localisation + self.confidence


def multibox_loss(outputs: HeadOutputs, targets: Targets, *, negatives_per_positive: float = 3.0) -> MultiboxLoss:
    """Return the loss of a batch; zero, and differentiable, where it has no object.

    Both parts are sums over the batch, in float32, divided by its number of positive default boxes.

    Args:
        outputs: class_logits (B, A, C + 1) and box_offsets (B, A, 4), of any floating type.
        targets: labels (B, A) and offsets (B, A, 4).
        negatives_per_positive: how many negatives of a picture count, for each positive of the same picture.
    """
    logits, offsets = outputs.class_logits.float(), outputs.box_offsets.float()
    positive = targets.labels != BACKGROUND
    counted = positive | hard_negatives(logits, positive, negatives_per_positive=negatives_per_positive)
    normaliser = positive.sum().clamp(min=1)
    localisation = functional.smooth_l1_loss(offsets[positive], targets.offsets[positive], reduction="sum")
    confidence = functional.cross_entropy(logits[counted], targets.labels[counted], reduction="sum")
    return MultiboxLoss(localisation / normaliser, confidence / normaliser)


@torch.no_grad()
def hard_negatives(logits: Tensor, positive: Tensor, *, negatives_per_positive: float) -> Tensor:
    """Return a (B, A) bool mask of the background boxes that each picture gets most wrong.

    Args:
        logits: (B, A, C + 1) float32.
        positive: (B, A) bool; these are never chosen.
        negatives_per_positive: a picture with P positives gets this times P negatives, or all that it has.
    """
    loss_as_background = logits.logsumexp(dim=-1) - logits[..., BACKGROUND]
    loss_as_background = loss_as_background.masked_fill(positive, -torch.inf)
    wanted = (negatives_per_positive * positive.sum(dim=1, keepdim=True)).ceil().long()
    wanted = wanted.minimum((~positive).sum(dim=1, keepdim=True))
    hardest = loss_as_background.topk(int(wanted.max()), dim=1).indices
    chosen = torch.arange(hardest.shape[1], device=logits.device) < wanted
    return torch.zeros_like(positive).scatter_(1, hardest, chosen)
