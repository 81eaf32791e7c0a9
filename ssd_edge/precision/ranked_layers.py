"""The file of a model's layers, ranked by the error that each adds in INT8."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ssd_edge.core.errors import ArtefactError
from ssd_edge.precision.sensitivity import LayerError

SENSITIVITY_SUFFIX = ".sensitivity.json"
_FORMAT = "ssd-edge/sensitivity/1"


@dataclass(frozen=True)
class RankedLayers:
    """Layers, the worst first.

    Attributes:
        model: its name.
        onnx_digest: of the exported model that was measured.
        layers: with the error of each.
    """

    model: str
    onnx_digest: str
    layers: tuple[LayerError, ...]

    def to_json(self) -> str:
        """Return indented JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> RankedLayers:
        """Read a file of them.

        Raises:
            ArtefactError: it is missing, damaged or of another version of the format.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            if fields["format"] != _FORMAT:
                raise ValueError(f"format {fields['format']!r}")
            layers = tuple(LayerError(str(entry["name"]), float(entry["error"])) for entry in fields["layers"])
            if not all(math.isfinite(entry.error) for entry in layers):
                raise ValueError("an error that is no number")
            return cls(str(fields["model"]), str(fields["onnx_digest"]), layers)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ArtefactError(
                f"{path} is no ranking of layers",
                got=f"{type(error).__name__}: {error}",
                wanted=_FORMAT,
                do="Rank them anew: ssd-edge build --int8 --sensitivity",
            ) from error
