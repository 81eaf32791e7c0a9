"""SGD as the paper uses it, without weight decay where there is nothing to keep small."""

from __future__ import annotations

import torch
from torch import nn


def make_sgd(model: nn.Module, *, learning_rate: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Return SGD over the model's trainable parameters.

    Biases, batch norm and the scale of the L2 norm (all parameters of one dimension) are not decayed: decay would only
    pull the normalisation off.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trainable if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give all groups one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
