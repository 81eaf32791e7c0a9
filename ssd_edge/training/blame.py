"""Which pictures of a step have a loss that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssd_edge.training.loader import Batch
from ssd_edge.training.targets import Targets


def not_finite_alone(model: nn.Module, loss_of: Callable[[Batch], Tensor], batches: Sequence[Batch]) -> list[str]:
    """Return the files of the pictures whose loss is not finite without the others; the model stays as it is.

    Args:
        model: that has just learnt from the batches; a bad picture may have spoilt its batch norms' statistics.
        loss_of: gives the loss of a batch as a scalar, with this model.
        batches: of this process.
    """
    with torch.no_grad(), _no_memory(model):
        return [batch.paths[0] for batch in _alone(batches) if not torch.isfinite(loss_of(batch))]


def _alone(batches: Sequence[Batch]) -> Iterator[Batch]:
    """Yield each picture as a batch of two of it: batch norm refuses a single value, which a 1 x 1 map of one is."""
    for batch in batches:
        for number, path in enumerate(batch.paths):
            twice = [number, number]
            targets = Targets(batch.targets.labels[twice], batch.targets.offsets[twice])
            yield Batch(batch.images[twice], targets, [path, path])


@contextmanager
def _no_memory(model: nn.Module) -> Iterator[None]:
    """Let each batch norm that learns normalise a batch by the batch alone: no statistics, no other process."""
    modes = {module: module.training for module in model.modules()}
    norms = [module for module in modes if isinstance(module, _BatchNorm) and module.training]
    statistics = [(norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:
            norm.running_mean = norm.running_var = None
        model.eval()
        yield
    finally:
        for norm, (mean, variance) in zip(norms, statistics, strict=True):
            norm.running_mean, norm.running_var = mean, variance
        for module, was_training in modes.items():
            module.training = was_training
