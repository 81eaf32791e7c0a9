"""Tasks of workers, and the interface of what runs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.text_parsers import parse_json

OURS = "ssd-edge"
GEMM = "gemm"
"""A task that multiplies matrices instead of detecting: the measured peak of the processor."""


@dataclass(frozen=True)
class Task:
    """The task of one worker.

    Attributes:
        kind: ``ssd-edge``, a peer's name, or ``gemm``.
        model: its file.
        images: files that it is measured on; all workers of a run have the same.
        threads: of one inference.
        workers: inferences at once.
        score_threshold: below it nothing is reported; None for the model's own.
        settings: what a peer needs besides, by name.
    """

    kind: str
    model: str = ""
    images: tuple[str, ...] = ()
    threads: int = 1
    workers: int = 1
    score_threshold: float | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Task:
        """Read what :meth:`to_json` gave."""
        found = cls(**parse_json(line))
        return replace(found, images=tuple(found.images))


class Runner(Protocol):
    """A contestant inside its worker: an image in, detections out."""

    @property
    def parallel(self) -> bool:
        """Whether several threads may call it at once."""

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen in an (H, W, 3) BGR image, in its pixels."""

    def detect_batch(self, images: Sequence[UInt8Array]) -> Sequence[Detections]:
        """Return what is seen in several images that are run together."""

    def close(self) -> None:
        """Give back what it holds."""
