"""Detector: a picture of any size in, detections in its pixels out, on whatever runtime the file needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from ssd_edge.backends.base import Backend, RawOutputs
from ssd_edge.backends.cpu import Threads
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import as_bgr
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec


class Detector:
    """Owns a backend and closes it.

    Args:
        backend: a loaded model.
        score_threshold: report only what scores more; the model's own threshold is the floor.
    """

    def __init__(self, backend: Backend, score_threshold: float = 0.0) -> None:
        self._backend = backend
        self._score_threshold = score_threshold

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        return self._backend.spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`detect` at once with profit."""
        return self._backend.workers

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen in an (H, W, 3) BGR picture.

        Raises:
            InputError: it is not a picture.
        """
        return self.detect_prepared(self.prepare(image), width=image.shape[1], height=image.shape[0])

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return the detections of each picture, all run as one batch; the pictures may differ in size."""
        if not images:
            return []
        raw = self._backend.infer(np.stack([self.prepare(image) for image in images]))
        return [self._picture(raw, row, image.shape[1], image.shape[0]) for row, image in enumerate(images)]

    def prepare(self, image: UInt8Array) -> UInt8Array:
        """Return the picture at the model's input size, (H, W, 3); a pipeline does this on another thread."""
        return preprocess(as_bgr(image, origin="the picture"), self.spec.input)

    def detect_prepared(self, prepared: UInt8Array, *, width: int, height: int) -> Detections:
        """Return the detections of a picture from :meth:`prepare`, in pixels of its original size."""
        return self._picture(self._backend.infer(prepared[None]), 0, width, height)

    def warm_up(self) -> None:
        """Run one black picture, so that the first real one does not wait for memory to be allocated."""
        entry = self.spec.input
        self._backend.infer(np.zeros((1, entry.height, entry.width, 3), np.uint8))

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _picture(self, raw: RawOutputs, row: int, width: int, height: int) -> Detections:
        count = int(raw.num_detections[row, 0])
        found = Detections.from_unit_boxes(
            np.clip(raw.boxes[row, :count], 0, 1),
            raw.scores[row, :count],
            raw.classes[row, :count],
            width=width,
            height=height,
        )
        return found.above(self._score_threshold)


def open_detector(path: Path, threads: Threads | None = None, score_threshold: float = 0.0) -> Detector:
    """Load an ``.onnx`` or ``.engine`` on the runtime that it needs.

    Raises:
        InputError: another kind of file, or a threshold that is not in 0..1.
        ArtefactError: not ours, or not for this machine.
        MissingPackageError: the runtime is not installed.
    """
    if not 0 <= score_threshold < 1:
        raise InputError("the score threshold is out of range", got=str(score_threshold), wanted="0 <= threshold < 1")
    if path.suffix not in (".onnx", ".engine"):
        do = f"Export it: ssd-edge export {path}" if path.suffix in (".pt", ".pth") else "Export one: ssd-edge export"
        raise InputError(f"{path} is not a model that can be run", wanted="an .onnx or .engine file", do=do)
    return Detector(_open_backend(path, threads), score_threshold)


def _open_backend(path: Path, threads: Threads | None) -> Backend:
    from ssd_edge.backends.ort import ENGINE_SUFFIX, OrtBackend
    from ssd_edge.backends.tensorrt.backend import TARGETS, TrtBackend

    if path.suffix == ENGINE_SUFFIX and EngineManifest.load(manifest_path(path)).target in TARGETS:
        return TrtBackend(path)
    return OrtBackend(path, threads)


def usable_here(engine: Path) -> bool:
    """Tell whether an engine's manifest allows it to run on this machine."""
    from ssd_edge.backends import ort
    from ssd_edge.backends.tensorrt import backend as trt

    try:
        on_gpu = EngineManifest.load(manifest_path(engine)).target in trt.TARGETS
        (trt if on_gpu else ort).check_engine(engine)
    except SsdEdgeError:
        return False
    return True
