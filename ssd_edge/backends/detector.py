"""Detector: images of any size in, detections in their pixels out, on whatever runtime the model's file needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import overload

import numpy as np

from ssd_edge.backends.base import Backend, RawOutputs
from ssd_edge.backends.cpu import Threads
from ssd_edge.core.choices import Target
from ssd_edge.core.config import check_number
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import ImageInput, check_bgr, load_image
from ssd_edge.core.manifest import ENGINE_SUFFIX, EngineManifest, manifest_path
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec

_BATCH = 32  # images, where the runtime has no limit: it bounds the memory that a long list takes


class Detector:
    """A loaded model that is called with images; it is a context manager, and any thread may call it.

    Args:
        backend: the model on its runtime, closed with the detector.
        score_threshold: report only what scores more, from 0 to 1; the model's own threshold is the floor.
    """

    def __init__(self, backend: Backend, score_threshold: float = 0.0) -> None:
        self._backend = backend
        self._score_threshold = score_threshold

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self._backend.path

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        return self._backend.spec

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels by class id; background is not counted."""
        return self._backend.spec.class_names

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels that images are stretched to before the network."""
        return self._backend.spec.input.width, self._backend.spec.input.height

    @property
    def score_threshold(self) -> float:
        """Score threshold of detections, 0 to 1 (exclusive)."""
        return max(self._score_threshold, self._backend.spec.nms.score_threshold)

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`detect` at once with profit; more of them wait for one another."""
        return self._backend.workers

    @overload
    def detect(self, image: ImageInput) -> Detections: ...  # type: ignore[overload-overlap]  # a str is one path

    @overload
    def detect(self, image: Sequence[ImageInput]) -> list[Detections]: ...

    def detect(self, image: ImageInput | Sequence[ImageInput]) -> Detections | list[Detections]:
        """Return what is seen in one image, or in each image of a list.

        A list is run in batches as large as the runtime takes, at most 32 where it has no limit. Its images may differ
        in size and kind.

        Args:
            image: an (H, W, 3) uint8 array in BGR, the path of an image file, a PIL image, or a list of these.

        Returns:
            Detections in pixels of the image as it was given, best first; a list of them for a list.

        Raises:
            InputError: it is not such an image, or a file that cannot be read.
            ArtifactError, DeviceError: the runtime fails, or the detector is closed.
        """
        if isinstance(image, (list, tuple)):
            return list(self._each(image))
        return next(self._each([image]))  # type: ignore[list-item]  # a sequence of another kind is refused there

    __call__ = detect

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return the detections of (H, W, 3) BGR images that are run as one batch, whatever the runtime thinks of it.

        Raises:
            InputError: the runtime takes no batch of this size.
        """
        if not images:
            return []
        raw = self._backend.infer(np.stack([self.preprocess(image) for image in images]))
        return [self._detections(raw, row, image.shape[1], image.shape[0]) for row, image in enumerate(images)]

    def preprocess(self, image: UInt8Array, out: UInt8Array | None = None) -> UInt8Array:
        """Return an (H, W, 3) BGR image at the model's input size; a pipeline does this on another thread.

        ``out``, where given, receives the pixels.
        """
        return preprocess(check_bgr(image, origin="the image"), self.spec.input, out)

    def detect_preprocessed(self, pixels: UInt8Array, *, width: int, height: int) -> Detections:
        """Return the detections of what :meth:`preprocess` gave, in pixels of its original size."""
        return self._detections(self._backend.infer(pixels[None]), 0, width, height)

    def detect_preprocessed_batch(
        self,
        pixels: Sequence[UInt8Array] | UInt8Array,
        sizes: Sequence[tuple[int, int]],
        score_threshold: float | None = None,
    ) -> list[Detections]:
        """Return the detections of several images in one batch, filled up with black where the runtime takes no fewer.

        Args:
            pixels: of each image, as :meth:`preprocess` gave them; or all as (B, H, W, 3), B of at least that number.
            sizes: width and height of each original, in whose pixels the boxes are.
            score_threshold: in place of the detector's own; the model's is the floor of both.

        Raises:
            InputError: the runtime takes no batch of this size.
        """
        missing = self._backend.batch_limits[0] - len(pixels)
        if isinstance(pixels, np.ndarray) and missing <= 0:
            batch = pixels
        elif len(pixels) == 1 and missing <= 0:
            batch = pixels[0][None]
        else:
            batch = np.stack([*pixels, *[np.zeros_like(pixels[0])] * max(missing, 0)])
        raw = self._backend.infer(batch)
        return [self._detections(raw, row, width, height, score_threshold) for row, (width, height) in enumerate(sizes)]

    @property
    def most_in_batch(self) -> int | None:
        """The most images that the runtime takes at a time; None for no limit."""
        return self._backend.batch_limits[1]

    def warm_up(self, images: int = 1) -> None:
        """Run black images as one batch, so that the first real ones do not wait for memory to be allocated."""
        entry, fewest = self.spec.input, self._backend.batch_limits[0]
        self._backend.infer(np.zeros((max(images, fewest), entry.height, entry.width, 3), np.uint8))

    def close(self) -> None:
        """Give back the runtime's memory; nothing can be detected after it."""
        self._backend.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.input_size
        return f"Detector({str(self.path)!r}: {len(self.class_names)} classes, {width} x {height})"

    def _each(self, images: Sequence[ImageInput]) -> Iterator[Detections]:
        """Yield the detections of each image, a batch at a time; files are read when their batch is due."""
        most = self._backend.batch_limits[1] or _BATCH
        waiting = iter(images)
        while batch := [load_image(image) for image in islice(waiting, most)]:
            raw = self._backend.infer(self._stacked(batch))
            for row, image in enumerate(batch):
                yield self._detections(raw, row, image.shape[1], image.shape[0])

    def _stacked(self, images: Sequence[UInt8Array]) -> UInt8Array:
        """Return (B, H, W, 3) of the model's input size, filled up with black where the runtime takes no fewer."""
        entry, fewest = self.spec.input, self._backend.batch_limits[0]
        batch = np.zeros((max(fewest, len(images)), entry.height, entry.width, 3), np.uint8)
        for image, out in zip(images, batch, strict=False):
            preprocess(image, entry, out)
        return batch

    def _detections(
        self, raw: RawOutputs, row: int, width: int, height: int, score_threshold: float | None = None
    ) -> Detections:
        scores = raw.scores[row, : int(raw.num_detections[row, 0])]
        least = self._score_threshold if score_threshold is None else score_threshold
        count = int(np.count_nonzero(scores > least))  # the best come first
        if not count:
            return Detections.empty(self.class_names)
        return Detections.from_unit_boxes(
            np.minimum(np.maximum(raw.boxes[row, :count], 0), 1),
            scores[:count],
            raw.classes[row, :count],
            width=width,
            height=height,
            class_names=self.class_names,
        )


def open_detector(
    path: Path, threads: Threads | None = None, score_threshold: float = 0.0, device: str | None = None
) -> Detector:
    """Load an ``.onnx`` or ``.engine`` on the runtime that it needs.

    Args:
        path: the file.
        threads: how to spread over the processor's cores; for latency where it is not given.
        score_threshold: report only what scores more.
        device: see :func:`open_backend`.

    Raises:
        InputError: another kind of file, a threshold that is not in 0..1, or a device that it has no choice of.
        ArtifactError: not ours, or not for this machine.
        DeviceError: the device is not here.
        MissingPackageError: the runtime is not installed.
    """
    check_threshold(score_threshold)
    if path.suffix not in (".onnx", ".engine"):
        do = (
            f"Export it: ssd-edge export {quoted(path)}"
            if path.suffix in (".pt", ".pth")
            else "Export one: ssd-edge export"
        )
        raise InputError(f"{path} is not a model that can be run", wanted="an .onnx or .engine file", do=do)
    return Detector(open_backend(path, threads, device), score_threshold)


def check_threshold(score: float) -> None:
    """Raise InputError where a score threshold is not in 0..1."""
    check_number("the score threshold", score)
    if not 0 <= score < 1:
        raise InputError("the score threshold is out of range", got=str(score), wanted="0 <= threshold < 1")


def open_backend(path: Path, threads: Threads | None = None, device: str | None = None) -> Backend:
    """Load an ``.onnx`` or ``.engine``; see :func:`open_detector`.

    Args:
        path: the file.
        threads: how to spread over the processor's cores.
        device: ``cpu``, ``gpu``, ``gpu:1``, ``npu`` or ``auto`` for an engine of OpenVINO. Others have no choice:
            ``auto`` and the only one that they run on (``cpu``; ``cuda``) are taken.
    """
    target = target_of(path)
    if target is Target.OPENVINO:
        from ssd_edge.backends.openvino.backend import OpenVinoBackend

        return OpenVinoBackend(path, threads, device)
    _check_device(path, device, on_gpu=target.is_tensorrt)
    if target.is_tensorrt:
        from ssd_edge.backends.tensorrt.backend import TrtBackend

        return TrtBackend(path)
    from ssd_edge.backends.ort import OrtBackend

    return OrtBackend(path, threads)


def _check_device(path: Path, device: str | None, *, on_gpu: bool) -> None:
    """Refuse a device that the file has no choice of."""
    allowed = ("auto", "cuda", "cuda:0") if on_gpu else ("auto", "cpu")
    if device is not None and device not in allowed:
        raise InputError(
            f"{path} runs on {'the first NVIDIA GPU' if on_gpu else 'the CPU'} only",
            got=f"device {device!r}",
            wanted=" or ".join(map(repr, allowed[:2])),
            do="" if on_gpu else "Build an engine for the device: ssd-edge build --target tensorrt or openvino",
        )


def target_of(path: Path) -> Target:
    """Return the runtime that a model's file needs: an engine says so in its manifest, an ONNX runs on ONNX Runtime.

    Raises:
        ArtifactError: it is an engine without a readable manifest.
    """
    return EngineManifest.load(manifest_path(path)).target if path.suffix == ENGINE_SUFFIX else Target.ONNXRUNTIME


def is_for_gpu(path: Path) -> bool:
    """Return whether a model's file is an engine that runs on an NVIDIA GPU.

    Raises:
        ArtifactError: it is an engine without a readable manifest.
    """
    return target_of(path).is_tensorrt


def usable_here(engine: Path) -> bool:
    """Return whether an engine's manifest allows it to run on this machine."""
    try:
        read_manifest_for_here(engine)
    except SsdEdgeError:
        return False
    return True


def read_manifest_for_here(engine: Path) -> EngineManifest:
    """Return the manifest of an engine that may run on this machine; the engine's bytes are not looked at.

    Raises:
        ArtifactError: no readable manifest, or the engine was built for another machine.
        MissingPackageError: its runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
    target = EngineManifest.load(manifest_path(engine)).target
    if target.is_tensorrt:
        from ssd_edge.backends.tensorrt.backend import read_manifest_for_gpu

        return read_manifest_for_gpu(engine)
    if target is Target.OPENVINO:
        from ssd_edge.backends.openvino.backend import read_manifest_for_openvino

        return read_manifest_for_openvino(engine)
    from ssd_edge.backends.ort import read_manifest_for_cpu

    return read_manifest_for_cpu(engine)
