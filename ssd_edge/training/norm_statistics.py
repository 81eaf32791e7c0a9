"""Batch-norm statistics that fit a network's weights, measured anew over views of the training set.

A running statistic is an average over weights of the past: in a short run, where the averaged weights change faster
than it follows, it normalizes by values that no layer has any more (arXiv 2105.07576, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.training.loader import BatchLoader

MOST_VIEWS = 160
"""Views that statistics are measured over: more gain 0.02 of mAP at most (docs/measured.md)."""

LEAST_VIEWS = 32
"""Views that are normalized together: a map of one cell has a value a view."""


class NormStatistics:
    """Measures the statistics of batch norms over views that a run trains on.

    Args:
        model: that learns; what is frozen in it keeps its statistics.
        loader: of its views. The same epoch gives the same ones, so that a run that goes on comes to the same bits.
    """

    def __init__(self, model: SSD, loader: BatchLoader) -> None:
        self._names, self._loader = learning_norms(model), loader

    def measure_(self, model: SSD, epoch: int) -> None:
        """Give a network with the layers of the one that learns, in place, the statistics of its own weights."""
        if not self._names:
            return
        device = next(model.parameters()).device
        batches = min(-(-MOST_VIEWS // self._loader.batch_size), len(self._loader))
        images = (batch.images.to(device) for batch in self._loader.epoch(epoch, end=batches))
        estimate_norms_(model, self._names, images, DecodedSSD(model).normalized)


def learning_norms(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the batch norms that learn; a frozen one keeps its statistics."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, _BatchNorm) and module.training)


@torch.no_grad()
def estimate_norms_(
    model: nn.Module, names: Iterable[str], batches: Iterable[Tensor], normalized: Callable[[Tensor], Tensor]
) -> int:
    """Give batch norms, in place, the mean and variance of what reaches them, and return over how many views.

    Each batch is normalized by itself, as in training, so that a layer sees what the layers before it will give once
    their statistics fit; the result is the mean over the batches. No other process is waited for.

    Args:
        model: in evaluation mode; its statistics are as they were where there are no batches.
        names: of the batch norms.
        batches: (B, H, W, 3) uint8 BGR, of the network's input size; joined to ``LEAST_VIEWS`` or more.
        normalized: turns them into the network's input.
    """
    modules = dict(model.named_modules())
    moments = [_Moments(norm) for name in names if isinstance(norm := modules[name], _BatchNorm)]
    views = 0
    if not moments:
        return views
    with _watching(moments):
        for batch in joined_batches(batches, LEAST_VIEWS):
            model(normalized(batch).contiguous(memory_format=torch.channels_last))
            views += len(batch)
    if views:
        for entry in moments:
            entry.keep_()
    return views


def joined_batches(batches: Iterable[Tensor], least: int) -> Iterator[Tensor]:
    """Yield the batches joined to at least ``least`` images; a rest goes to the last of them."""
    held: list[Tensor] = []
    whole: Tensor | None = None
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= least:
            if whole is not None:
                yield whole
            whole, held = torch.cat(held), []
    if held:
        whole = torch.cat([*([whole] if whole is not None else []), *held])
    if whole is not None:
        yield whole


@dataclass
class _Moments:
    """The sums of a batch norm's means and variances over the batches so far."""

    norm: _BatchNorm
    mean: Tensor | float = 0.0
    variance: Tensor | float = 0.0
    batches: int = 0

    def __post_init__(self) -> None:
        if self.norm.running_mean is None or self.norm.running_var is None:
            raise ValueError("this is a bug in the network: a batch norm has no running statistics")
        self._running = (self.norm.running_mean, self.norm.running_var)
        self._before = (self._running[0].clone(), self._running[1].clone())

    def look(self, _norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Take in what is about to be normalized, and have it normalized by its own moments."""
        features = inputs[0].float()
        axes = [axis for axis in range(features.ndim) if axis != 1]
        variance, mean = torch.var_mean(features, dim=axes, correction=0)
        count = features.numel() // features.shape[1]
        self.mean, self.variance = self.mean + mean, self.variance + variance * (count / max(count - 1, 1))
        self.batches += 1
        self._set(mean, variance)

    def keep_(self) -> None:
        """Give the norm the means over the batches."""
        if self.batches and isinstance(self.mean, Tensor) and isinstance(self.variance, Tensor):
            self._set(self.mean / self.batches, self.variance / self.batches)

    def restore_(self) -> None:
        """Give the norm what it had before."""
        self._set(*self._before)

    def _set(self, mean: Tensor, variance: Tensor) -> None:
        self._running[0].copy_(mean)
        self._running[1].copy_(variance)


@contextmanager
def _watching(moments: list[_Moments]) -> Iterator[None]:
    """Show each norm's inputs to its moments; afterwards the statistics are as before."""
    handles = [entry.norm.register_forward_pre_hook(entry.look) for entry in moments]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for entry in moments:
            entry.restore_()
