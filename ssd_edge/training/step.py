"""One step of SGD: forward, loss, backward, and the check that all of it is finite."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ssd_edge.core.errors import TrainingError
from ssd_edge.model.ssd import SSD
from ssd_edge.training.loader import Batch
from ssd_edge.training.loss import multibox_loss

_NAMED_IMAGES = 8


class StepLoss(NamedTuple):
    """The parts of one step's loss."""

    localisation: float
    confidence: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.localisation + self.confidence


def training_step(
    model: SSD, images: Tensor, batch: Batch, optimiser: torch.optim.Optimizer, *, clip_norm: float, bfloat16: bool
) -> StepLoss:
    """Update the weights once and return the loss that they had before.

    Args:
        model: in training mode.
        images: (B, 3, H, W) float32, the batch's pictures as the network takes them.
        batch: the wanted outputs, and the pictures' paths.
        optimiser: of the model's parameters.
        clip_norm: the gradient is scaled down to this norm.
        bfloat16: run the convolutions in bfloat16.

    Raises:
        TrainingError: the loss or the gradient is not finite; the weights are as they were before.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        outputs = model(images.contiguous(memory_format=torch.channels_last))
    loss = multibox_loss(outputs, batch.targets)
    optimiser.zero_grad()
    torch.autograd.backward(loss.total)
    gradient_norm = clip_grad_norm_(model.parameters(), clip_norm).item()
    parts = StepLoss(loss.localisation.item(), loss.confidence.item())
    if not (math.isfinite(parts.total) and math.isfinite(gradient_norm)):
        raise _not_finite(parts, gradient_norm, batch.paths)
    optimiser.step()
    return parts


def _not_finite(loss: StepLoss, gradient_norm: float, paths: list[str]) -> TrainingError:
    more = f" and {len(paths) - _NAMED_IMAGES} more" if len(paths) > _NAMED_IMAGES else ""
    return TrainingError(
        f"the loss is not finite any more, on {', '.join(paths[:_NAMED_IMAGES])}{more}",
        got=f"localisation {loss.localisation:.4g}, confidence {loss.confidence:.4g}, gradient {gradient_norm:.4g}",
        wanted="finite numbers",
        do="Look at these pictures and their labels; if they are sound, take a smaller --lr.",
    )
