"""One step of SGD over one batch or several: forward, loss, backward, clipping, update.

A loss or gradient that is not finite stops the run; the images whose own loss is not finite are named. Frozen layers
are taken out of training here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssd_edge.core.errors import InputError, TrainingError
from ssd_edge.model.heads import HeadOutputs
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.training.faster_layers import replace_layers_
from ssd_edge.training.loader import Batch
from ssd_edge.training.losses import MultiboxLoss
from ssd_edge.training.metrics import StepLoss
from ssd_edge.training.optimizer import make_sgd, set_learning_rate
from ssd_edge.training.recipe import Optimization
from ssd_edge.training.sync_batch_norm import synchronise_norms_
from ssd_edge.training.targets import BACKGROUND, Targets


class Criterion(Protocol):
    """Measures how far the network's outputs are from the wanted ones, over the number of positive anchors."""

    def __call__(self, outputs: HeadOutputs, targets: Targets) -> MultiboxLoss:
        """Return the loss of a batch."""


class Learner:
    """A network that trains on one batch, or a few, at a time; one of several where there are several processes.

    The loss of a step is that of one large batch: the sum over all its images, those of the other processes
    included, over the number of all their positive anchors.

    Args:
        model: moved to the device of ``fabric``; trained in place.
        fabric: launched.
        criterion: the loss.
        optimization: what is frozen, and the optimizer's settings.

    Attributes:
        model: as given.
        optimizer: of its parameters.

    Raises:
        InputError: the model has no such layer to freeze.
    """

    def __init__(self, model: SSD, fabric: Fabric, criterion: Criterion, optimisation: Optimization) -> None:
        self.model, self._fabric, self._criterion = model, fabric, criterion
        self._clip_norm = optimisation.clip_norm or math.inf
        model.train().to(memory_format=torch.channels_last)
        if fabric.world_size > 1:
            synchronise_norms_(model, fabric.device)
        if fabric.device.type == "cpu":
            replace_layers_(model)
        freeze_(model, optimisation.frozen)
        model.to(fabric.device)
        self.optimiser: torch.optim.Optimizer = make_sgd(
            model,
            learning_rate=optimisation.learning_rate,
            momentum=optimisation.momentum,
            weight_decay=optimisation.weight_decay,
            backbone_rate=optimisation.backbone_rate,
            layer_decay=optimisation.layer_decay,
        )
        self._network, self._stepper = fabric.setup(model, self.optimiser)
        self._normalise = DecodedSSD(model).normalized

    def scaler_state(self) -> dict[str, Any]:
        """Return the state of float16's loss scale; empty in other precisions."""
        return self._fabric.strategy.precision.state_dict()

    def load_scaler(self, state: dict[str, Any]) -> None:
        """Go on with a loss scale."""
        if state:
            self._fabric.strategy.precision.load_state_dict(state)

    def step(self, batches: Sequence[Batch], *, learning_rate: float) -> StepLoss:
        """Update the weights once and return the loss that they had before.

        In float16 the gradient does not fit its scale at the beginning, and now and then later. The scale is halved
        then, and the step is made again: left out, it would be images that nothing is trained on.

        Args:
            batches: of this process; trained on one after the other, stepped on together.
            learning_rate: of the head.

        Raises:
            TrainingError: the loss or the gradient is not finite, or the GPU's memory is full; the weights are as they
                were before.
        """
        set_learning_rate(self.optimiser, learning_rate)
        positives = self._positives_of_all(batches)
        with _full_memory_named(batches):
            while True:
                parts, norm = self._gradient(batches, positives)
                scale = 0.0 if math.isfinite(norm) else self._scale
                if not math.isfinite(parts.total) or not (math.isfinite(norm) or scale > 1):
                    raise _not_finite(parts, norm, self._guilty(batches), self._of_all(_paths(batches)))
                self._stepper.step()  # with a scale it does nothing where the gradient is not finite
                if not scale or self._scale == scale:
                    return parts

    @property
    def _scale(self) -> float:
        """Of float16's loss; 0 in other precisions."""
        return float(self.scaler_state().get("scale", 0.0))

    def _gradient(self, batches: Sequence[Batch], positives: Tensor) -> tuple[StepLoss, float]:
        """Give each weight its gradient, and return the loss and the gradient's norm before it was clipped."""
        self._stepper.zero_grad()
        losses = torch.zeros(2, device=self._fabric.device)
        for number, batch in enumerate(batches, start=1):
            waiting = self._fabric.world_size > 1 and number < len(batches)
            with self._fabric.no_backward_sync(self._network, enabled=waiting):
                losses += self._backward(batch, positives)
        norm = self._fabric.clip_gradients(
            self._network, self._stepper, max_norm=self._clip_norm, error_if_nonfinite=False
        )
        return StepLoss(*self._over_all(losses, "mean").tolist()), 0.0 if norm is None else norm.item()

    def _backward(self, batch: Batch, positives: Tensor) -> Tensor:
        """Add a batch's gradient and return the (2,) parts of its loss, as this process' share of the mean."""
        loss = self._loss(self._network, batch)
        own = self._fabric.to_device((batch.targets.labels > BACKGROUND).sum().clamp(min=1))
        share = own * self._fabric.world_size / positives  # DDP takes the mean of the processes' gradients
        self._fabric.backward(loss.total * share)
        return (torch.stack([loss.localisation, loss.confidence]) * share).detach()

    def _loss(self, network: nn.Module, batch: Batch) -> MultiboxLoss:
        images = self._fabric.to_device(batch.images)
        targets = Targets(*self._fabric.to_device(tuple(batch.targets)))
        outputs = network(self._normalise(images).contiguous(memory_format=torch.channels_last))
        return self._criterion(HeadOutputs(*outputs), targets)

    def _positives_of_all(self, batches: Sequence[Batch]) -> Tensor:
        """Count the positive anchors of all batches of all processes; at least one."""
        own = sum(((batch.targets.labels > BACKGROUND).sum() for batch in batches), torch.zeros((), dtype=torch.int64))
        return self._over_all(self._fabric.to_device(own.float()), "sum").clamp(min=1)

    def _over_all(self, values: Tensor, operation: Literal["sum", "mean"]) -> Tensor:
        if self._fabric.world_size == 1:
            return values
        return cast("Tensor", self._fabric.all_reduce(values, reduce_op=operation))

    def _guilty(self, batches: Sequence[Batch]) -> list[str]:
        """Return the images of all processes whose own loss is not finite."""
        with self._fabric.autocast():
            own = not_finite_alone(self.model, lambda batch: self._loss(self.model, batch).total, batches)
        return self._of_all(own)

    def _of_all(self, paths: list[str]) -> list[str]:
        """Return the paths of all processes, the first one's first."""
        if self._fabric.world_size == 1:
            return paths
        return [path for rank in range(self._fabric.world_size) for path in self._fabric.broadcast(paths, src=rank)]


@contextmanager
def _full_memory_named(batches: Sequence[Batch]) -> Iterator[None]:
    """Turn what PyTorch raises when the GPU's memory is full into a TrainingError."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        size = len(batches[0].paths)
        fewer = f"--batch-size {size // 2} --accumulate {2 * len(batches)}" if size >= 4 else "a smaller --input-size"
        raise TrainingError(
            f"the GPU's memory is full with {size} images per batch",
            got=". ".join(str(error).split(". ")[:3]),
            do=f"Close other programs on the GPU, or use {fewer}.",
        ) from error


def _paths(batches: Sequence[Batch]) -> list[str]:
    return [path for batch in batches for path in batch.paths]


def _not_finite(loss: StepLoss, gradient_norm: float, guilty: list[str], everyone: list[str]) -> TrainingError:
    """Name the images that are guilty; where it is none or all of them, the weights are."""
    what = "the gradient" if math.isfinite(loss.total) else "the loss"
    whose = "on" if guilty else "though the loss of each single image is; the batch was"
    do = "Check these images and their labels; if they are correct, use a smaller --lr."
    if len(guilty) in (0, len(everyone)):
        do = "No single image is the cause: use a smaller --lr."
    return TrainingError(
        f"{what} is no longer finite, {whose} {', '.join(guilty or everyone)}",
        got=f"localization {loss.localisation:.4g}, confidence {loss.confidence:.4g}, gradient {gradient_norm:.4g}",
        wanted="finite numbers",
        do=do,
    )


def not_finite_alone(model: nn.Module, loss_of: Callable[[Batch], Tensor], batches: Sequence[Batch]) -> list[str]:
    """Return the files of the images whose loss is not finite without the others; the model stays as it is.

    Args:
        model: that has just trained on the batches; a bad image may have spoilt its batch norms' statistics.
        loss_of: gives the loss of a batch as a scalar, with this model.
        batches: of this process.
    """
    with torch.no_grad(), _no_memory(model):
        return [batch.paths[0] for batch in _alone(batches) if not torch.isfinite(loss_of(batch))]


def _alone(batches: Sequence[Batch]) -> Iterator[Batch]:
    """Yield each image as a batch of two of it: batch norm refuses a single value, which a 1 x 1 map of one is."""
    for batch in batches:
        for number, path in enumerate(batch.paths):
            twice = [number, number]
            targets = Targets(batch.targets.labels[twice], batch.targets.offsets[twice])
            yield Batch(batch.images[twice], targets, [path, path])


@contextmanager
def _no_memory(model: nn.Module) -> Iterator[None]:
    """Let each batch norm that learns normalize a batch by the batch alone: no statistics, no other process."""
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
        raise InputError("every layer is frozen", got=", ".join(prefixes), wanted="at least one layer to train")


def _unknown(model: nn.Module, prefix: str) -> InputError:
    parent = prefix
    names = {name for name, _ in model.named_modules() if name}
    while parent and parent not in names:
        parent = parent.rpartition(".")[0]
    below = [name for name in names if name.rpartition(".")[0] == parent]
    return InputError(f"there is no layer {prefix!r} to freeze", wanted=f"one of {', '.join(sorted(below)[:12])}")
