"""A moving average of the weights: what is validated, saved and deployed."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)
Pairs = tuple[list[Tensor], list[Tensor]]


class WeightAverage(Generic[Model]):
    """Keeps ``average = decay * average + (1 - decay) * weights`` of all weights; buffers are copied.

    Buffers are the statistics of batch norms, which are moving averages already: averaged once more they would lag
    behind the averaged weights.

    The decay grows with the number of updates n as min(decay, (1 + n) / (10 + n)), so that the first, random weights
    are soon forgotten.

    Args:
        model: copied; :meth:`update` reads it.
        decay: limit of the decay, 0 <= decay < 1; 0 follows the model.

    Attributes:
        model: the averaged copy, in evaluation mode.
    """

    def __init__(self, model: Model, *, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        self._updates = 0
        self._weights: Pairs = (list(self.model.parameters()), list(model.parameters()))
        self._buffers = _by_type(list(self.model.buffers()), list(model.buffers()))

    @property
    def updates(self) -> int:
        """Number of calls of :meth:`update`."""
        return self._updates

    def restore(self, weights: Mapping[str, Tensor], updates: int) -> None:
        """Go on from the state dict of an average's model, after so many updates."""
        self.model.load_state_dict(weights)
        self._updates = updates

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's weights as they are now; all in few calls, for a GPU waits on each of them."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(*self._weights, 1 - decay)
        for kept, current in self._buffers:
            torch._foreach_copy_(kept, current)


def _by_type(kept: list[Tensor], current: list[Tensor]) -> list[Pairs]:
    """Return the pairs in lists of one type each: PyTorch copies mixed ones one by one."""
    groups: defaultdict[torch.dtype, Pairs] = defaultdict(lambda: ([], []))
    for pair in zip(kept, current, strict=True):
        for group, tensor in zip(groups[pair[0].dtype], pair, strict=True):
            group.append(tensor)
    return list(groups.values())
