"""The job's model, as something that each node opens for itself, and what a job has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2

from ssd_edge.backends.detector import Detector
from ssd_edge.core.errors import InputError


class Opener(Protocol):
    """Opens the job's model on whatever node it is unpickled on."""

    @property
    def path(self) -> str:
        """The model's file."""

    def open(self, cores: int) -> Detector:
        """Load the model for so many cores."""

    def runtime(self) -> str:
        """Return what it runs on there, with the version."""

    def device(self) -> str:
        """Return the kind of processor or GPU there."""


@dataclass(frozen=True)
class ModelFacts:
    """Facts that a job takes over from its open model and the node that it is open on.

    Attributes:
        path: the model's file.
        name: of the model.
        class_names: its labels.
        runtime: what it runs on, with its version.
        opencv: the version that decodes and resizes.
        score_threshold: detections score more.
        most_in_batch: images at a time; None for no limit.
    """

    path: str
    name: str
    class_names: tuple[str, ...]
    runtime: str
    opencv: str
    score_threshold: float
    most_in_batch: int | None

    @classmethod
    def of(cls, detector: Detector, opener: Opener) -> ModelFacts:
        """Return those of a detector that is open here."""
        return cls(
            path=opener.path,
            name=detector.spec.name,
            class_names=detector.class_names,
            runtime=opener.runtime(),
            opencv=cv2.__version__,
            score_threshold=detector.score_threshold,
            most_in_batch=detector.most_in_batch,
        )

    def batch_size(self, wanted: int | None, default: int = 8) -> int:
        """Return the images of a batch: what is wanted, else the most that the runtime takes, or ``default``.

        Raises:
            InputError: the runtime takes no batch of the size that is wanted.
        """
        most = self.most_in_batch
        if wanted is not None and most is not None and wanted > most:
            raise InputError(f"{self.path} cannot take a batch of {wanted} images", wanted=f"at most {most} images")
        return wanted or most or default
