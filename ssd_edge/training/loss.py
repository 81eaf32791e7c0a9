"""The parts of the multibox loss (SSD, section 2.2, equations 1 to 3), and its hard negatives."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BACKGROUND = 0


class MultiboxLoss(NamedTuple):
    """The two parts of the loss, each already divided by the number of positive default boxes.

    Attributes:
        localisation: scalar, of the boxes or offsets of positive default boxes, weighed by alpha.
        confidence: scalar, of the classes.
    """

    localisation: Tensor
    confidence: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.localisation + self.confidence


@torch.no_grad()
def hard_negatives(
    logits: Tensor, positive: Tensor, *, negatives_per_positive: float, negatives_of_empty: int = 0
) -> Tensor:
    """Return a (B, A) bool mask of the background boxes that each picture gets most wrong.

    Args:
        logits: (B, A, C + 1) float32.
        positive: (B, A) bool; these are never chosen.
        negatives_per_positive: a picture with P positives gets this times P negatives, or all that it has.
        negatives_of_empty: a picture without positives gets this many.
    """
    loss_as_background = logits.logsumexp(dim=-1) - logits[..., BACKGROUND]
    loss_as_background = loss_as_background.masked_fill(positive, -torch.inf)
    positives = positive.sum(dim=1, keepdim=True)
    wanted = (negatives_per_positive * positives).ceil().long().masked_fill(positives == 0, negatives_of_empty)
    wanted = wanted.minimum((~positive).sum(dim=1, keepdim=True))
    hardest = loss_as_background.topk(int(wanted.max()), dim=1).indices
    chosen = torch.arange(hardest.shape[1], device=logits.device) < wanted
    return torch.zeros_like(positive).scatter_(1, hardest, chosen)
