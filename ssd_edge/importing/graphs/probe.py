"""Outputs of an imported graph on real images, from which their meaning is recognized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.ort_session import open_session, ort_errors
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.images import as_bgr
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import InputSpec


@dataclass(frozen=True)
class Probe:
    """Images and answers.

    Attributes:
        pixels: (P, H, W, 3) uint8 BGR, of the input size.
        answers: of each image, its outputs by name.
    """

    pixels: UInt8Array
    answers: tuple[dict[str, FloatArray], ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the first image's outputs."""
        return {name: array.shape for name, array in self.answers[0].items()}

    @property
    def sizes_change(self) -> bool:
        """Whether a shape follows the content of the image, as it does after NMS."""
        return any(array.shape != self.shapes[name] for answer in self.answers for name, array in answer.items())

    def stacked(self, name: str) -> FloatArray:
        """Return one output of all images, (P, …)."""
        return np.concatenate([answer[name] for answer in self.answers])


def run_probe(path: Path, input_name: str, entry: InputSpec, images: Sequence[UInt8Array]) -> Probe:
    """Run the file at ``path`` on images of any size, one by one, normalized by ``entry``.

    A single image is joined by itself upside down: a batch is no proof of anything with less than two.

    Raises:
        InputError: no images.
        ArtifactError: ONNX Runtime cannot run it, or an answer is not finite.
    """
    if not images:
        raise InputError(f"there are no images to test {path} on", wanted="at least one image")
    pixels = np.stack([preprocess(as_bgr(image, origin="the image"), entry) for image in images])
    if len(pixels) == 1:
        pixels = np.concatenate([pixels, pixels[:, ::-1]])
    try:
        session = open_session(path, threads=Threads.for_latency().per_worker, optimize=True)
        names = [output.name for output in session.get_outputs()]
        with ort_errors(path):
            runs = [session.run(names, {input_name: normalized(image, entry)}) for image in pixels]
    except ArtifactError as error:
        raise ArtifactError(
            error.what, got=error.got, do="Export the model again, and test it with onnxruntime."
        ) from error
    answers = tuple(
        {name: np.asarray(array) for name, array in zip(names, run, strict=True) if isinstance(array, np.ndarray)}
        for run in runs
    )
    _refuse_not_finite(path, answers)
    return Probe(pixels, answers)


def normalized(image: UInt8Array, entry: InputSpec) -> FloatArray:
    """Return (1, 3, H, W) float32 of an (H, W, 3) uint8 BGR image."""
    channels = image[..., ::-1] if entry.color_order == "rgb" else image
    mean, std = np.array([entry.mean, entry.std], np.float32)
    scaled = (channels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def _refuse_not_finite(path: Path, answers: tuple[dict[str, FloatArray], ...]) -> None:
    for name in answers[0]:
        if not all(np.isfinite(answer[name]).all() for answer in answers):
            raise ArtifactError(
                f"{path} gives outputs that are not finite",
                got=f"NaN or infinity in {name}",
                do="Check --mean and --std, or the training.",
            )
