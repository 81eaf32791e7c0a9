"""CalibrationTable: the range of every tensor that INT8 needs, and what it was measured on."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import text_digest, written_beside
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import InputSpec

RANGES_FORMAT = "ssd-edge/ranges/2"
RANGES_SUFFIX = ".ranges.json"
_FORM = Format(RANGES_FORMAT, "calibration table", "Create it again: ssd-edge calibrate")
_LARGEST, _SMALLEST_NORMAL = 3.4028234663852886e38, 1.1754943508222875e-38  # of a float32


@dataclass(frozen=True)
class Histogram:
    """Histogram of values in equal bins from ``low`` to ``high``."""

    low: float
    high: float
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf or min(self.counts, default=0) < 0:
            raise ArtifactError(
                "a histogram is invalid",
                got=f"{self.low} to {self.high}",
                wanted="finite, low <= high, no count below 0",
            )


@dataclass(frozen=True)
class TensorRange:
    """The values of a tensor that INT8 must distinguish; those outside are cut off.

    Attributes:
        low, high: finite as float32, low <= high.
        histogram: of all values seen; None where a range was given by hand.
    """

    low: float
    high: float
    histogram: Histogram | None = None

    def __post_init__(self) -> None:
        if not -_LARGEST <= self.low <= self.high <= _LARGEST:  # no number is neither less nor more
            raise ArtifactError("a range is invalid", got=f"{self.low} to {self.high}", wanted="finite, low <= high")

    @property
    def amax(self) -> float:
        """The largest magnitude, of which a symmetric scale is a 127th."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges by tensor name of the *exported* ONNX.

    Attributes:
        model: name of the spec.
        onnx_digest: of the exported file.
        preprocessing_digest: see :func:`preprocessing_digest`.
        images: ``sha256:…`` of each calibration image, sorted: nothing is evaluated on these.
        method: ``minmax``, ``percentile``, ``entropy`` or ``mse``.
    """

    model: str
    onnx_digest: str
    preprocessing_digest: str
    images: tuple[str, ...]
    method: Literal["minmax", "percentile", "entropy", "mse"]
    ranges: Mapping[str, TensorRange]
    format: str = RANGES_FORMAT

    @property
    def image_count(self) -> int:
        """Number of images that the ranges were measured on."""
        return len(self.images)

    @property
    def images_digest(self) -> str:
        """``sha256:…`` of the contents of the images, in any order."""
        return text_digest("\n".join(self.images))

    @property
    def digest(self) -> str:
        """``sha256:…`` of the canonical text: what an engine built with it remembers."""
        return text_digest(self.to_json())

    def to_json(self) -> str:
        """Return canonical JSON; floats keep all digits."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=None, separators=(",", ":"), allow_nan=False)

    def save(self, path: Path) -> None:
        """Write the table, whole or not at all."""
        with written_beside(path) as partial:
            partial.write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CalibrationTable:
        """Read a table.

        Raises:
            ArtifactError: it is missing, damaged or of another version of the format.
        """
        table = read_artifact(path, cls, _FORM)
        wrong = [image for image in table.images if not image.startswith("sha256:")]
        if wrong or not table.ranges:
            got = f"the image digest {wrong[0][:40]!r}" if wrong else "no range"
            raise ArtifactError(f"{path} is a damaged {_FORM.what}", got=got, wanted=RANGES_FORMAT, do=_FORM.do)
        return table

    def refuse_if_foreign(self, table: Path, onnx: Path, onnx_digest: str, entry: InputSpec) -> None:
        """Raise ArtifactError where this table (read from ``table``) was not measured on ``onnx`` as it is now."""
        pairs = {
            f"the current {onnx}": (self.onnx_digest, onnx_digest),
            "the preprocessing of the model": (self.preprocessing_digest, preprocessing_digest(entry)),
        }
        for what, (measured, found) in pairs.items():
            if measured != found:
                raise ArtifactError(
                    f"{table} does not belong to {what}",
                    got=f"ranges of {self.model!r}, measured with {measured}",
                    wanted=found,
                    do=f"Calibrate again: ssd-edge calibrate {quoted(onnx)}",
                )


def symmetric_scale(amax: float, levels: int = 127) -> float:
    """Return the largest magnitude over ``levels``; 1 where that is no normal float32, and all values as good as 0."""
    return amax / levels if amax / levels >= _SMALLEST_NORMAL else 1.0


def preprocessing_digest(entry: InputSpec) -> str:
    """Return the digest of all that happens to an image before the network: its size, colors, mean and deviation."""
    return text_digest(json.dumps(dataclasses.asdict(entry), sort_keys=True))


def ranges_path(folder: Path, model: str) -> Path:
    """Return ``<folder>/<model>.ranges.json``."""
    return folder / f"{model}{RANGES_SUFFIX}"
