"""What a run's epochs came to, as charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ssd_edge.evaluation.panel import Panel, Series


class Epoch(Protocol):
    """One epoch of training; ``training.EpochRecord`` is one."""

    @property
    def epoch(self) -> int:
        """From 1."""

    @property
    def images_per_s(self) -> float:
        """While training."""

    @property
    def learning_rate(self) -> float:
        """Of the last step."""

    @property
    def loss(self) -> float:
        """Mean of the steps."""

    @property
    def localisation_loss(self) -> float:
        """The part of the boxes."""

    @property
    def confidence_loss(self) -> float:
        """The part of the classes."""

    @property
    def mean_ap(self) -> float | None:
        """Of the validation, if there was one."""


AnyEpoch = TypeVar("AnyEpoch", bound=Epoch)


def best_record(epochs: Sequence[AnyEpoch]) -> AnyEpoch | None:
    """Return the epoch with the highest mean AP, the last of equals; None where none was validated."""
    judged = [epoch for epoch in epochs if epoch.mean_ap is not None]
    return max(reversed(judged), key=lambda epoch: epoch.mean_ap or 0.0, default=None)


def learning_curves(epochs: Sequence[Epoch]) -> list[Panel]:
    """Return charts of the loss and its parts, the mean AP, the learning rate and the speed; at least one epoch."""
    numbers = tuple(float(epoch.epoch) for epoch in epochs)
    panels = [
        Panel(
            "Loss, mean of the epoch",
            "epoch",
            (
                Series("total", numbers, tuple(epoch.loss for epoch in epochs)),
                Series("boxes", numbers, tuple(epoch.localisation_loss for epoch in epochs)),
                Series("classes", numbers, tuple(epoch.confidence_loss for epoch in epochs)),
            ),
        ),
        _accuracy(epochs),
        Panel(
            "Learning rate at the end of the epoch",
            "epoch",
            (Series("learning rate", numbers, tuple(epoch.learning_rate for epoch in epochs)),),
        ),
        Panel(
            "Speed of training, images/s",
            "epoch",
            (Series("images/s", numbers, tuple(epoch.images_per_s for epoch in epochs)),),
        ),
    ]
    return [panel for panel in panels if panel is not None]


def _accuracy(epochs: Sequence[Epoch]) -> Panel | None:
    points = [(float(epoch.epoch), epoch.mean_ap) for epoch in epochs if epoch.mean_ap is not None]
    best = best_record(epochs)
    if best is None or best.mean_ap is None:
        return None
    x, y = zip(*points, strict=True)
    return Panel(
        "mAP@0.5 of the validation images",
        "epoch",
        (Series("mAP@0.5", x, y),),
        top=1.0,
        mark=(float(best.epoch), best.mean_ap),
        remark=f"best {best.mean_ap:.3f}, epoch {best.epoch}",
    )
