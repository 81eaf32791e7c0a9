"""Random networks that anyone can make again: weights and images are functions of a seed and of nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
Scaling = dict[str, np.ndarray]
"""By layer: ``<layer>.gain`` per output channel of the weight, and ``<layer>.bias``."""


def seeded_weights(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Return a tensor for every name, drawn by numpy's frozen legacy generator: the same on every machine.

    Convolutions keep the size of a signal that ReLU halves; batch norms lie near 1.
    """
    norms = {name.removesuffix("running_mean") for name in shapes if name.endswith("running_mean")}
    return {name: torch.from_numpy(_draw(name, shape, norms, seed)) for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...], norms: set[str], seed: int) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    random = np.random.RandomState(zlib.crc32(f"{seed}/{name}".encode()))
    values = random.random_sample(int(np.prod(shape))).reshape(shape) * 2 - 1  # uniform, variance 1/3
    if len(shape) == 4:
        values *= np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(".bias") or name.endswith("running_mean"):
        values *= 0.2
    elif any(name.startswith(norm) and name.removeprefix(norm) in ("weight", "running_var") for norm in norms):
        values = 1 + 0.3 * values
    else:  # the scale of an L2 norm
        values = 20 + 5 * values
    return values.astype(np.float32)


def seeded_picture(side: int, seed: int) -> np.ndarray:
    """Return a (side, side, 3) uint8 image: colored rectangles of all sizes over one another, and noise."""
    random = np.random.RandomState(seed)
    picture = np.zeros((side, side, 3), np.int64)
    for extent in np.linspace(side, side / 12, 60):
        top, left = random.randint(-side // 10, side, 2)
        rows, cols = (max(1, int(extent * share)) for share in random.uniform(0.3, 1, 2))
        picture[max(top, 0) : top + rows, max(left, 0) : left + cols] = random.randint(0, 256, 3)
    return (picture + random.randint(-20, 21, picture.shape)).clip(0, 255).astype(np.uint8)


def spread_heads(
    model: nn.Module, layers: Sequence[str], run: Callable[[], object], spread: float, shift: np.ndarray | float = 0.0
) -> Scaling:
    """Scale the last layers of the heads so that every output channel has deviation ``spread`` around ``shift``.

    Args:
        model: the project's network; its layers are changed.
        layers: names of the convolutions.
        run: sends some images, as one batch, through the network.
        spread: as above.
        shift: for each output channel, repeated as often as it takes.

    Returns:
        What :func:`apply_scaling` needs to do the same to weights from a seed.
    """
    scaling = {}
    for name, output in _outputs(model, layers, run).items():
        layer = model.get_submodule(name)
        mean, deviation = output.mean(dim=(0, 2, 3)), output.std(dim=(0, 2, 3))
        gain = spread / deviation
        shifts = torch.as_tensor(np.resize(shift, len(gain)), dtype=torch.float32)
        scaling[f"{name}.gain"] = gain.numpy()
        scaling[f"{name}.bias"] = (shifts + gain * (layer.bias.detach() - mean)).numpy()
    return scaling


def _outputs(model: nn.Module, layers: Sequence[str], run: Callable[[], object]) -> dict[str, Tensor]:
    caught: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: caught.__setitem__(name, output.detach())
        )
        for name in layers
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return caught


def apply_scaling(weights: Mapping[str, Tensor], scaling: Scaling) -> dict[str, Tensor]:
    """Return the weights with the heads' last layers scaled."""
    scaled = dict(weights)
    for key, values in scaling.items():
        layer, kind = key.rsplit(".", 1)
        if kind == "gain":
            scaled[f"{layer}.weight"] = scaled[f"{layer}.weight"] * torch.from_numpy(values).view(-1, 1, 1, 1)
        else:
            scaled[f"{layer}.bias"] = torch.from_numpy(values)
    return scaled
