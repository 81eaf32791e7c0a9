"""The errors that a user can meet. Each says what went wrong, what was found, what was wanted, and what to type."""

from __future__ import annotations

from typing import Any


class SsdEdgeError(Exception):
    """Base of every error that is the user's to mend; the command line prints it and exits 1.

    Args:
        what: the thing at fault and what is wrong with it, e.g. ``"photos/a.jpg cannot be read"``.
        got: what was found there; left out of the message when empty.
        wanted: what would have been right; left out when empty.
        do: the command or action that mends it; left out when empty.
    """

    def __init__(self, what: str, *, got: str = "", wanted: str = "", do: str = "") -> None:
        self.what, self.got, self.wanted, self.do = what, got, wanted, do
        super().__init__(what)

    def __str__(self) -> str:
        found = [f"got {self.got}" if self.got else "", f"wanted {self.wanted}" if self.wanted else ""]
        details = "; ".join(part for part in found if part)
        sentence = f"{self.what}: {details}" if details else self.what
        return f"{sentence.rstrip('.')}. {self.do}" if self.do else sentence


class InputError(SsdEdgeError):
    """An argument, image, video, folder or label file that cannot be used."""


class ArtefactError(SsdEdgeError):
    """A checkpoint, ONNX, engine, manifest or table that is damaged, foreign or stale."""


class DeviceError(SsdEdgeError):
    """A camera, display, processor or GPU that is absent or refuses."""


class MissingPackageError(SsdEdgeError):
    """A Python package that this command needs is not installed."""


class ParityError(SsdEdgeError):
    """Two forms of the same model do not give the same detections."""


class TrainingError(SsdEdgeError):
    """A training run that cannot go on: its loss is no number, or a data worker is gone."""


class AccuracyError(SsdEdgeError):
    """A model is less accurate than demanded.

    Attributes:
        result: what the workflow measured, as it would have returned it; None where a room below it raised the error.
    """

    result: Any = None
