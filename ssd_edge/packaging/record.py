"""The record of a package, and its self-check: the two files of it that ssd-edge reads again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.choices import Host, VariantForm

RECORD_NAME = "package.json"
CHECKS = "selfcheck"
"""The folder of the self-check: the image, a JSON for each model, and the script that compares."""
_DO = "Package the model again: ssd-edge package"
_RECORD = Format("ssd-edge/package/1", "record of a package", _DO)
_CHECK = Format("ssd-edge/selfcheck/1", "self-check of a package", _DO)


@dataclass(frozen=True)
class PackageRecord:
    """The record of a package.

    Attributes:
        host: where it runs.
        model: its name.
        onnx_digest: ``sha256:…`` of the exported model that it was made of.
        version: of ssd-edge.
        checks: names of the self-checks, below ``selfcheck/``.
    """

    host: Host
    model: str
    onnx_digest: str
    version: str
    checks: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write it into a package."""
        _write(folder / RECORD_NAME, _RECORD, self)

    @classmethod
    def load(cls, folder: Path) -> PackageRecord:
        """Read that of a package.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        return read_artifact(folder / RECORD_NAME, cls, _RECORD)


@dataclass(frozen=True)
class SelfCheck:
    """Detections of a packaged model on the packaged image.

    Attributes:
        image: file of the image, relative to the check.
        model: file of the model, relative to the check.
        name: of the model on a server.
        form: of the model's input and outputs.
        input: name of the input.
        outputs: names of the outputs.
        labels: of the classes.
        floor: a score below those of all detections, far from the next one below.
        box_tolerance: how far a corner may be off, as a fraction of the image.
        score_tolerance: how far a score may be off.
        detections: class, score, x1, y1, x2, y2 of each; corners in 0..1 of the image.
    """

    image: str
    model: str
    name: str
    form: VariantForm
    input: str
    outputs: tuple[str, ...]
    labels: tuple[str, ...]
    floor: float
    box_tolerance: float
    score_tolerance: float
    detections: tuple[tuple[float, float, float, float, float, float], ...]

    def save(self, path: Path) -> None:
        """Write it."""
        _write(path, _CHECK, self)

    @classmethod
    def load(cls, path: Path) -> SelfCheck:
        """Read it.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        return read_artifact(path, cls, _CHECK)


def _write(path: Path, form: Format, record: PackageRecord | SelfCheck) -> None:
    text = json.dumps({"format": form.tag, **dataclasses.asdict(record)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
