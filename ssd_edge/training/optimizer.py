"""SGD as the paper uses it: a rate for each layer, and no weight decay where there is nothing to keep small."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor, nn

_BLOCK = re.compile(r"backbone\.(?:(?:\w+\.)*?\d+|\w+)")  # backbone.features.3, backbone.features.blocks.2, …


class _Group(NamedTuple):
    """Parameters that are treated alike."""

    rate: float
    weight_decay: float


def make_sgd(
    model: nn.Module,
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    backbone_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> torch.optim.SGD:
    """Return SGD over the model's trainable parameters.

    Biases, batch norm and the scale of the L2 norm (all parameters of one dimension) are not decayed: decay would only
    pull the normalization off.

    Args:
        model: with its backbone as ``backbone``.
        learning_rate: of the head.
        momentum: of SGD.
        weight_decay: of SGD.
        backbone_rate: what the backbone's rate is multiplied by.
        layer_decay: what it is multiplied by once more for each block between a layer and the backbone's end.
    """
    rates = layer_rates(model, backbone_rate=backbone_rate, layer_decay=layer_decay)
    groups: defaultdict[_Group, list[Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[_Group(rates[name], weight_decay if parameter.ndim > 1 else 0.0)].append(parameter)
    return torch.optim.SGD(
        [{"params": found, "weight_decay": group.weight_decay, "rate": group.rate} for group, found in groups.items()],
        lr=learning_rate,
        momentum=momentum,
    )


def layer_rates(model: nn.Module, *, backbone_rate: float, layer_decay: float) -> dict[str, float]:
    """Return what each parameter's learning rate is multiplied by; 1 for all that is not of the backbone."""
    names = [name for name, _ in model.named_parameters()]
    blocks = {name: found.group() for name in names if (found := _BLOCK.match(name))}
    order = {block: number for number, block in enumerate(dict.fromkeys(blocks.values()))}
    last = len(order) - 1
    return {
        name: backbone_rate * layer_decay ** (last - order[blocks[name]]) if name in blocks else 1.0 for name in names
    }


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate; each group has its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["rate"]
