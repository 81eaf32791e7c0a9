"""Open any model file, whatever room it belongs to. PyTorch is imported for a checkpoint only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ssd_edge.backends.cpu import Threads, physical_cores
from ssd_edge.backends.detector import open_detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    from ssd_edge.model.predict import TorchDetector

MODEL_SUFFIXES = (".pt", ".onnx", ".engine")


class OpenModel(Protocol):
    """Common interface of an open checkpoint, ONNX or engine."""

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen in an (H, W, 3) BGR image."""


@contextmanager
def open_model(path: Path, cores: int | None = None, device: str | None = None) -> Iterator[OpenModel]:
    """Yield the model of a ``.pt``, ``.onnx`` or ``.engine`` file, set to answer one image as soon as it can.

    Args:
        path: the file.
        cores: processor cores to use, for every runtime alike; by default all that the process may use.
        device: what a checkpoint or an engine of OpenVINO computes on; by default the processor.

    Raises:
        InputError: another kind of file, or one that cannot be read, or a device that it has no choice of.
        ArtifactError: not ours, or not for this machine.
        DeviceError: the device is not here.
        MissingPackageError: what it runs on is not installed.
    """
    refuse_no_model(path)
    if path.suffix == ".pt":
        model = open_checkpoint(path, device or "cpu", instead="evaluate the exported .onnx")
        from ssd_edge.model.predict import torch_threads

        with torch_threads(cores or physical_cores()):
            yield model
    else:
        with open_detector(path, Threads.for_latency(cores), device=device) as detector:
            yield detector


def refuse_no_model(path: Path) -> None:
    """Refuse what is no model, before a runtime opens it.

    Raises:
        InputError: ``path`` is no file, or not one of a model by its suffix.
        ArtifactError: it is an ONNX that is damaged, or whose tensors are larger than any detector's.
    """
    if path.suffix not in MODEL_SUFFIXES:
        raise InputError(f"{path} is not a model", got=f"suffix {path.suffix!r}", wanted=", ".join(MODEL_SUFFIXES))
    if path_kind(path) != "file":
        raise InputError(f"{path} does not exist", wanted="a model file")
    if path.suffix == ".onnx":
        from ssd_edge.graph.sizes import check_file

        check_file(path)


def open_checkpoint(path: Path, device: str = "cpu", *, instead: str) -> TorchDetector:
    """Return the network of a checkpoint on a device: ``auto`` or one of PyTorch's.

    Args:
        path: the checkpoint.
        device: what computes.
        instead: what to do without PyTorch, for the error.

    Raises:
        InputError: there is no such file or device.
        ArtifactError: it is not a checkpoint of ssd-edge, or is damaged.
        MissingPackageError: PyTorch is not installed.
    """
    require_torch(f"{path} is a checkpoint, which needs PyTorch", instead=instead)
    from ssd_edge.model.checkpoint import load_checkpoint
    from ssd_edge.model.predict import TorchDetector, find_device

    chosen = find_device(device)  # before the file is read
    return TorchDetector(load_checkpoint(path).model.to(chosen))
