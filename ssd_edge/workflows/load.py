"""Loads a model of any form as one callable detector. PyTorch is imported for a checkpoint only."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, check_threshold, open_backend, read_manifest_for_here
from ssd_edge.core.config import AnyPath, check_number
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.workspace import newest_model
from ssd_edge.workflows.open_model import open_checkpoint, refuse_no_model

if TYPE_CHECKING:
    from ssd_edge.model.predict import TorchDetector


@with_named_resources
def load(
    model: AnyPath | None = None,
    *,
    score_threshold: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    workspace: AnyPath = ".",
) -> Detector:
    """Load a checkpoint (``.pt``), an exported model (``.onnx``) or an engine (``.engine``).

    The three forms of one model give the same detections::

        with ssd.load("engines/m/m.onnx", score_threshold=0.5) as detect:
            for d in detect("photo.jpg"):
                print(d.label, d.score, d.box)

    Args:
        model: the file; by default the current engine of the workspace, or where it cannot be used another form of the
            same model, with a warning. Where no engine is current, the newest engine or else the newest ONNX.
        score_threshold: report only what scores more, from 0 to 1; by default what the model was exported with.
        device: what computes. A checkpoint runs on ``cpu``, ``cuda``, ``cuda:1`` or ``mps``, by default on a GPU where
            PyTorch finds one; an engine for OpenVINO on ``cpu``, the default, ``gpu``, ``gpu:1``, ``npu``, or with
            ``auto`` on what OpenVINO chooses. Others have no choice: an ONNX runs on the processor, an engine on what
            it was built for.
        threads: cores of the processor that compute one image; by default all that the process may use. PyTorch's own
            number of threads is as before outside of :meth:`Detector.detect`.
        workspace: folder with ``engines/``, for a model that is not named.

    Returns:
        A detector, to be closed or used as a context manager; any thread may call it.

    Raises:
        InputError: not such a file, or an option that it does not have.
        ArtifactError: not ours, damaged, stale, or not for this machine.
        MissingPackageError: what it runs on is not installed.
        DeviceError: the GPU is absent or refuses.
    """
    check_threshold(score_threshold or 0.0)
    if threads is not None:
        check_number("threads", threads, whole=True)
        if threads < 1:
            raise InputError("threads is out of range", got=str(threads), wanted="at least 1")
    path = find_model(workspace) if model is None else Path(model)
    refuse_no_model(path)
    if path.suffix == ".pt":
        return Detector(TorchBackend(path, device=device or "auto", threads=threads), score_threshold or 0.0)
    return Detector(open_backend(path, Threads.for_latency(threads), device), score_threshold or 0.0)


def find_model(workspace: AnyPath = ".") -> Path:
    """Return a workspace's current engine, if it runs here on one image at a time, or another form of the same model.

    Where no engine is current it is the newest that runs here, or else the newest ONNX.

    Raises:
        InputError: there is no model, or the current engine's can be used in no form.
        ArtifactError: ``engines/current.json`` is damaged.
    """
    choice = newest_model(Path(workspace), _check_for_single_images)
    choice.log()
    return choice.path


def _check_for_single_images(engine: Path) -> None:
    least = read_manifest_for_here(engine).batch[0]
    if least > 1:
        raise InputError(
            f"{engine} takes no fewer than {least} images at a time",
            wanted="an engine that takes one image",
            do="Build another: ssd-edge build --batch 1",
        )


class TorchBackend:
    """A checkpoint on PyTorch, one batch at a time: threads that call it wait for one another.

    Args:
        path: the checkpoint.
        device: ``auto`` for a GPU where PyTorch finds one, or a device of PyTorch.
        threads: of the processor; None leaves PyTorch's number as it is.

    Raises:
        InputError: there is no such file or device.
        ArtifactError: it is not a checkpoint of ssd-edge, or is damaged.
        MissingPackageError: PyTorch is not installed.
    """

    batch_limits = (1, None)
    workers = 1

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        self._path, self._threads = path, threads
        self._lock = threading.Lock()
        self._model: TorchDetector | None = open_checkpoint(path, device, instead="load the exported .onnx")
        self._spec = self._model.spec

    @property
    def path(self) -> Path:
        """The checkpoint's file."""
        return self._path

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        return self._spec

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the network on (B, H, W, 3) uint8 BGR images of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model.
            ArtifactError: the backend is closed.
        """
        check_batch(batch, self._spec)
        with self._lock:
            if self._model is None:
                raise ArtifactError(f"{self._path} is closed", do="Load the model again.")
            found = self._model.infer(batch, threads=self._threads)
        kept = self._spec.nms.keep_top_k
        raw = RawOutputs(
            np.array([[len(scores)] for _, scores, _ in found], np.int32),
            np.zeros((len(batch), kept, 4), np.float32),
            np.zeros((len(batch), kept), np.float32),
            np.full((len(batch), kept), -1, np.float32),
        )
        for row, (boxes, scores, class_ids) in enumerate(found):
            count = len(scores)
            raw.boxes[row, :count], raw.scores[row, :count], raw.classes[row, :count] = boxes, scores, class_ids
        return raw

    def close(self) -> None:
        """Drop the network, once the batch in flight is done."""
        with self._lock:
            self._model = None

    def __enter__(self) -> TorchBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
