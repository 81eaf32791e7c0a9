"""The file that carries fitted anchors from ``data priors`` to ``train``."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.artifact import Format, parse_artifact
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.log import log
from ssd_edge.core.spec import AnchorSpec, ModelSpec
from ssd_edge.data.label_files import read_label_text

PRIORS_FORMAT = "ssd-edge/priors/1"
_MAKE = "To fit anchors: ssd-edge data priors DATASET --preset PRESET"
_FORM = Format(PRIORS_FORMAT, "file of anchors", _MAKE)


@dataclass(frozen=True)
class PriorsFile:
    """Anchors for one network at one input size.

    Attributes:
        preset: the network that they were fitted for.
        height, width: of its input, in pixels.
        anchors: the anchors.
        fitted_to: what data they were fitted to, and what they gained; for the reader.
    """

    preset: str
    height: int
    width: int
    anchors: AnchorSpec
    fitted_to: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the file as indented JSON, whole or not at all."""
        fields = {"format": PRIORS_FORMAT, **dataclasses.asdict(self)}
        with written_beside(path) as partial:
            partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PriorsFile:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file cannot be read.
            ArtifactError: it is damaged, or something else.
        """
        return parse_artifact(read_label_text(path, kind=_FORM.what), cls, _FORM, origin=str(path))

    def applied_to(self, spec: ModelSpec, *, preset: str, origin: Path) -> ModelSpec:
        """Return the spec with these anchors.

        Raises:
            InputError: they were fitted for another network or another input size; ``origin`` names the file.
        """
        got = f"{self.preset} at {self.width} x {self.height}"
        wanted = f"{preset} at {spec.input.width} x {spec.input.height}"
        maps = [(level.rows, level.cols) for level in self.anchors.levels]
        if got != wanted or maps != [(level.rows, level.cols) for level in spec.anchors.levels]:
            raise InputError(
                f"{origin} contains anchors for another network or input size", got=got, wanted=wanted, do=_MAKE
            )
        return dataclasses.replace(spec, anchors=self.anchors)


def with_priors(spec: ModelSpec, preset: str, priors: Path) -> ModelSpec:
    """Return the spec with the anchors of a file that ``data priors`` wrote, and log how many they are.

    Raises:
        SsdEdgeError: the file cannot be used for this network and input size.
    """
    fitted = PriorsFile.load(priors).applied_to(spec, preset=preset, origin=priors)
    log.info(f"using the {fitted.anchors.count} anchors of {priors}")
    return fitted
