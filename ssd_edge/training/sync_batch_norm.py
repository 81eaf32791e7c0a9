"""Batch norm over the batches of all processes, where PyTorch's own does it on GPUs only."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


class _SumOfAll(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_context: object, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: object, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of the images of all processes together.

    Two passes (mean, then squares of the differences), so that it agrees with one process that has all the images to
    rounding. In evaluation mode it is plain batch norm. Weights and statistics have the same names.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (B, C, H, W) features."""
        return self._fused(self._normalised(features) if self.training else super().forward(features))

    def _fused(self, features: Tensor) -> Tensor:
        for module in self.children():
            features = module(features)
        return features

    def _normalised(self, features: Tensor) -> Tensor:
        values = features.float()
        count = values.numel() // values.shape[1] * distributed.get_world_size()
        mean = _summed(values) / count
        centred = values - _per_channel(mean)
        variance = _summed(centred.square()) / count
        self._remember(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * _per_channel(scale) + _per_channel(self.bias)).to(features.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _SumOfAll.apply(values.sum(dim=(0, 2, 3)))
    return total


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)


def synchronise_norms_(model: nn.Module, device: torch.device) -> None:
    """Replace every batch norm of the model, in place, by one over all processes; weights are shared, not copied.

    PyTorch's own is taken where it works: on GPUs, for batch norms that nothing is fused with.
    """
    for name, child in list(model.named_children()):
        if type(child) is nn.BatchNorm2d and device.type == "cuda":
            setattr(model, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]
        elif isinstance(child, nn.BatchNorm2d):
            setattr(model, name, _synchronised(child))
        else:
            synchronise_norms_(child, device)


def _synchronised(norm: nn.BatchNorm2d) -> SynchronisedBatchNorm2d:
    with torch.device("meta"):
        twin = SynchronisedBatchNorm2d(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    for name, tensor in (*norm.named_parameters(recurse=False), *norm.named_buffers(recurse=False)):
        setattr(twin, name, tensor)
    for name, fused in norm.named_children():  # timm's hold their dropout and activation
        twin.add_module(name, fused)
    return twin.train(norm.training)
