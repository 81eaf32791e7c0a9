"""The memory that a training step takes, estimated before it is taken, and the largest batch that fits."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from ssd_edge.core.log import log
from ssd_edge.core.ranks import world_size
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.architectures import network
from ssd_edge.training.config import Machine
from ssd_edge.training.winograd import is_suitable, workspace_bytes

_MEMINFO = Path("/proc/meminfo")
_GROUPS = (  # limit, use and statistics of the container, in version 2 and 1 of Linux's control groups
    tuple(Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current", "memory.stat")),
    tuple(
        Path("/sys/fs/cgroup/memory") / name
        for name in ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    ),
)
_FLOAT = 4
_BACKWARD = 2.4  # gradients and workspaces beside what is kept; measured 1.1 to 2.4 over the presets
_COPIES = 5  # weights, gradients, momentum, their average, and what is written
_OVERHEAD = 200 << 20  # of PyTorch's libraries once they work
_BATCHES_PREPARED = 2  # by each data worker
_SHARE = 0.7  # of what is free
_SMALLEST = 4


def batch_that_fits(spec: ModelSpec, batch_size: int, machine: Machine) -> tuple[int, int]:
    """Return the batch that fits into the memory, and how many of them make the images of one step.

    Half of the batch, or a quarter, and so on down to 4, takes its place where it is too large; a step then learns from
    as many images as before. With several processes it stays as it is.

    Args:
        spec: of the network.
        batch_size: that suits the network.
        machine: whose memory counts: the GPU's, or what the system has available, within a container's limit.
    """
    free = None if world_size(machine.devices) > 1 else _available(machine)
    if free is None:
        return batch_size, 1
    parts, needed = 1, training_bytes(spec, batch_size, machine.workers)
    while needed > _SHARE * free and batch_size // parts >= 2 * _SMALLEST:
        parts *= 2
        needed = training_bytes(spec, batch_size // parts, machine.workers)
    if parts > 1:
        log.info(
            f"batches of {batch_size // parts}, {parts} per step, as {free >> 20} MiB of memory are free; to choose "
            "other values: --batch-size, --accumulate"
        )
    if needed > _SHARE * free:
        log.warning(f"training may need {needed >> 20} MiB of memory, but only {free >> 20} MiB are free")
    return batch_size // parts, parts


def training_bytes(spec: ModelSpec, batch_size: int, workers: int = 0) -> int:
    """Return an estimate of the bytes that training takes at its peak: weights, activations, gradients, batches.

    It lies above what was measured with every preset on a processor, by up to a factor of two.
    """
    weights, activations, workspace = _sizes(spec)
    pixels = 3 * spec.input.height * spec.input.width
    batches = 1 + _BATCHES_PREPARED * workers
    floats = _COPIES * weights + batch_size * (_BACKWARD * activations + batches * pixels)
    return _OVERHEAD + workspace + int(_FLOAT * floats)


def _sizes(spec: ModelSpec) -> tuple[int, int, int]:
    """Return the numbers of a network's weights, of what is kept of one image for the way back, and workspace bytes."""
    model, kept = network(spec).eval(), 0

    def count(module: nn.Module, _: object, output: object) -> None:
        nonlocal kept
        if isinstance(output, Tensor) and not getattr(module, "inplace", False):
            kept += output.numel()

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, spec.input.height, spec.input.width, device="meta"))
    convolutions = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and is_suitable(layer))
    workspace = max((workspace_bytes(layer) for layer in convolutions), default=0)
    return sum(parameter.numel() for parameter in model.parameters()), kept, workspace


def _available(machine: Machine) -> int | None:
    """Return the bytes that training can have; None where that is unknown."""
    if machine.device in ("auto", "cuda") and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    if machine.device == "mps" or (machine.device == "auto" and torch.backends.mps.is_available()):
        return None
    found = [_of_the_system(), *(_of_a_group(*files) for files in _GROUPS)]
    return min((free for free in found if free is not None), default=None)


def _of_the_system() -> int | None:
    text = _read(_MEMINFO)
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) << 10 if found else None


def _of_a_group(limit: Path, used: Path, statistics: Path) -> int | None:
    """Return what a container has left, and what it has of files that were read: they give way."""
    most, taken = _read(limit).strip(), _read(used).strip()
    if not (most.isdecimal() and taken.isdecimal()):
        return None
    cached = re.search(r"^(?:total_)?inactive_file (\d+)", _read(statistics), re.MULTILINE)
    return max(int(most) - int(taken) + (int(cached[1]) if cached else 0), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
