"""SGD as the paper uses it: a rate for each layer, and no weight decay where there is nothing to keep small."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
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
    optimizer = torch.optim.SGD(
        [{"params": found, "weight_decay": group.weight_decay, "rate": group.rate} for group, found in groups.items()],
        lr=learning_rate,
        momentum=momentum,
    )
    fused = _can_fuse(found[0].device for found in groups.values())
    _set_fused(optimizer, fused=fused)
    optimizer.register_load_state_dict_post_hook(partial(_set_fused, fused=fused))
    return optimizer


def _set_fused(optimizer: torch.optim.Optimizer, *, fused: bool) -> None:
    """Choose the form of the update; a state may come from another machine, whose choice must not stay."""
    for group in optimizer.param_groups:
        group["fused"] = fused or None  # None leaves the choice to PyTorch


def _can_fuse(devices: Iterable[torch.device]) -> bool:
    """Whether this PyTorch updates weights on a processor in one pass over each; on a GPU its own choice is best."""
    if {device.type for device in devices} != {"cpu"}:
        return False
    try:
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, fused=True)
    except (TypeError, RuntimeError):  # before 2.3; before processors were supported
        return False
    return True


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
