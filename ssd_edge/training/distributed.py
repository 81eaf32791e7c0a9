"""Devices and processes: which device a run trains on, in how many processes. Lightning Fabric does the work."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed

from ssd_edge.core.errors import InputError, TrainingError, one_line
from ssd_edge.core.log import quiet_logger
from ssd_edge.core.ranks import from_torchrun
from ssd_edge.training.recipe import Device, Precision

_FABRIC_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep back what Fabric says to its own users (precision, Tensor Cores, processes); its warnings stay."""
    with quiet_logger("lightning_fabric", logging.WARNING):
        yield


@quiet_lightning()
def make_fabric(*, device: Device = "cpu", devices: int = 1, precision: Precision = "float32") -> Fabric:
    """Return what places the network and joins the processes; its processes are not started yet.

    Args:
        device: ``auto`` takes the GPU where there is one.
        devices: processes on this machine, each with a device of its own; under torchrun its own number counts.
        precision: of the convolutions; the weights and the loss stay float32.

    Raises:
        InputError: there is no such device, or it cannot do this precision.
    """
    check_device(device)
    nodes = 1
    if from_torchrun():
        devices, nodes = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    several = devices * nodes > 1
    try:
        return Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if several else "auto",
            precision=_FABRIC_PRECISION[precision],
        )
    except (RuntimeError, ValueError, MisconfigurationException) as error:  # of Fabric, which looks at what there is
        raise InputError(
            "training cannot start on these devices",
            got=one_line(error),
            wanted=f"{devices} devices of type {device}",
            do="Choose another --device, or fewer --devices.",
        ) from error


def check_device(device: Device) -> None:
    """Check that PyTorch finds such a device.

    Raises:
        InputError: it does not.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not found.get(device, True):
        raise InputError(
            f"PyTorch finds no {device} device on this machine",
            got=f"PyTorch {torch.__version__}",
            wanted=f"a {device} device",
            do="Use --device cpu, or install PyTorch for your GPU: https://pytorch.org/get-started/locally",
        )


@contextmanager
def joined(fabric: Fabric) -> Iterator[None]:
    """Start the processes, and leave the group at the end.

    Raises:
        TrainingError: another process of the run ended.
    """
    try:
        fabric.launch()
        yield
    except RuntimeError as error:
        if fabric.world_size == 1 or not _is_broken_group(error):
            raise
        raise TrainingError(
            f"another one of the {fabric.world_size} training processes ended",
            got=str(error).partition(". ")[0].rpartition("] ")[2],
            do="If it reported an error, the error is shown above. To continue from the last saved state: --resume "
            "last",
        ) from error
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


def _is_broken_group(error: RuntimeError) -> bool:
    if isinstance(error, distributed.DistError):
        return True
    return any(sign in str(error) for sign in ("gloo", "Gloo", "Connection closed by peer", "Connection reset"))
