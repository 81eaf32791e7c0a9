"""From another project's tensor names to ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from ssd_edge.core.errors import ArtefactError
from ssd_edge.export.imports.family import StateDict

Rules = Sequence[tuple[str, str]]
"""Regular expressions of the beginning of a name, and what takes its place; the first that matches is applied."""


def renamed(tensors: StateDict, rules: Rules) -> StateDict:
    """Return the tensors under their new names; a name that no rule knows keeps its own, and is refused later."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    return {_renamed(name, compiled): tensor for name, tensor in tensors.items()}


def _renamed(name: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in rules:
        new, count = pattern.subn(replacement, name, count=1)
        if count:
            return new
    return name


def shifted(old: str, new: str, indices: range, offset: int) -> list[tuple[str, str]]:
    """Return the rules that turn ``<old>.<index>.`` into ``<new>.<index - offset>.`` for these indices."""
    return [(rf"^{re.escape(old)}\.{index}\.", f"{new}.{index - offset}.") for index in indices]


def with_counters(tensors: StateDict) -> StateDict:
    """Add the batch norms' ``num_batches_tracked``, which PyTorch before 0.4.1 did not save and inference ignores."""
    counters = {name.removesuffix("running_mean") + "num_batches_tracked" for name in tensors if "running_mean" in name}
    return {**{name: torch.zeros((), dtype=torch.long) for name in sorted(counters)}, **tensors}


def without_bias(tensors: StateDict, convolution: str, norm: str) -> StateDict:
    """Move a convolution's bias into the batch norm behind it: (x + b) - m = x - (m - b)."""
    kept = dict(tensors)
    bias = kept.pop(f"{convolution}.bias")
    kept[f"{norm}.running_mean"] = kept[f"{norm}.running_mean"] - bias
    return kept


def class_count(tensors: StateDict, *, logits: str, offsets: str, family: str) -> int:
    """Count the real classes by a level's last layers: A·(C + 1) logits and A·4 offsets per cell.

    Raises:
        ArtefactError: there are no such layers, or their sizes do not belong together.
    """
    missing = [name for name in (logits, offsets) if name not in tensors]
    if missing:
        raise ArtefactError(f"these weights look like {family}, but are not whole", got=f"no {missing[0]}")
    found, anchors = len(tensors[logits]), len(tensors[offsets]) // 4
    if anchors == 0 or found % anchors or found // anchors < 2:
        raise ArtefactError(
            f"the heads of this {family} do not belong together",
            got=f"{found} logits and {len(tensors[offsets])} offsets per cell",
            wanted="a multiple of boxes x 2 logits, and boxes x 4 offsets",
        )
    return found // anchors - 1
