"""Interface of all runtimes: pixels in, the four arrays of the graph contract out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.spec import ModelSpec


class RawOutputs(NamedTuple):
    """The graph's outputs in the order of the contract; K is the spec's ``nms.keep_top_k``.

    Attributes:
        num_detections: (B, 1) int32, valid rows of each image; the rest is padding.
        boxes: (B, K, 4) float32, x1 y1 x2 y2 in 0..1 of the image.
        scores: (B, K) float32, best first.
        classes: (B, K) float32, 0 is the first real class, -1 is padding.
    """

    num_detections: npt.NDArray[np.int32]
    boxes: FloatArray
    scores: FloatArray
    classes: FloatArray


class Backend(Protocol):
    """One loaded model on one runtime; any thread may call it."""

    @property
    def path(self) -> Path:
        """The model's file."""

    @property
    def batch_limits(self) -> tuple[int, int | None]:
        """The fewest and the most images that :meth:`infer` takes at a time; None for no limit."""

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, as it came with the file."""

    @property
    def workers(self) -> int:
        """Number of threads that can use :meth:`infer` at once."""

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the graph on (B, H, W, 3) uint8 BGR images of the spec's input size."""

    def close(self) -> None:
        """Give back the runtime's memory; nothing may be called after it."""

    def __enter__(self) -> Backend:
        """Return the backend itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


def check_batch(batch: UInt8Array, spec: ModelSpec) -> None:
    """Refuse an array that the graph of ``spec`` would not take.

    Raises:
        InputError: not (B >= 1, H, W, 3) uint8 of the spec's input size.
    """
    wanted = (spec.input.height, spec.input.width, 3)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != wanted or len(batch) == 0:
        raise InputError(
            f"the batch does not match the input of {spec.name}",
            got=f"{batch.dtype} {batch.shape}",
            wanted=f"uint8 (B >= 1, {wanted[0]}, {wanted[1]}, 3)",
        )
