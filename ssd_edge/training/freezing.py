"""Layers that keep the weights they came with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ssd_edge.core.errors import InputError


def freeze_(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Take the modules whose names begin with a prefix out of training; their batch norms keep their statistics.

    Args:
        model: in training mode.
        prefixes: whole names or the first parts of them: ``backbone`` or ``backbone.features.0``, not ``back``.

    Raises:
        InputError: no module has such a name, or nothing is left to train.
    """
    for prefix in prefixes:
        found = [module for name, module in model.named_modules() if name == prefix]
        if not found:
            raise _unknown(model, prefix)
        found[0].eval().requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("every layer is frozen", got=", ".join(prefixes), wanted="something to train")


def _unknown(model: nn.Module, prefix: str) -> InputError:
    parent = prefix
    names = {name for name, _ in model.named_modules() if name}
    while parent and parent not in names:
        parent = parent.rpartition(".")[0]
    below = [name for name in names if name.rpartition(".")[0] == parent]
    return InputError(
        "there is no such layer to freeze", got=repr(prefix), wanted=f"one of {', '.join(sorted(below)[:12])}"
    )
