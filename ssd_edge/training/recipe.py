"""How to train: the settings that belong together, and those that each network starts from."""

from __future__ import annotations

from dataclasses import dataclass

from ssd_edge.training.schedule import ScheduleName


@dataclass(frozen=True)
class Optimisation:
    """What the loop does with the loss.

    Attributes:
        learning_rate: its peak.
        momentum, weight_decay: of SGD; the paper's values (SSD, section 3).
        schedule, warmup_share: see :func:`ssd_edge.training.schedule.learning_rate_factor`.
        clip_norm: gradients are scaled down to this norm.
        average_decay: of the moving average of the weights.
        bfloat16: run the network's convolutions in bfloat16 (the loss and the weights stay float32).
    """

    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: ScheduleName = "cosine"
    warmup_share: float = 0.05
    clip_norm: float = 10.0
    average_decay: float = 0.999
    bfloat16: bool = False


@dataclass(frozen=True)
class Recipe:
    """All that a run needs besides network and pictures.

    Attributes:
        epochs: where no time is given.
        augmentation: name of a recipe of ``ssd_edge.data.augment``.
    """

    epochs: int
    batch_size: int
    augmentation: str
    optimisation: Optimisation
