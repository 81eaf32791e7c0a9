"""EngineManifest: the JSON beside an engine that says what it is, where it came from and where it may run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.field_types import refuse_other_types
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.spec import ModelSpec

MANIFEST_FORMAT = "ssd-edge/engine/2"


@dataclass(frozen=True)
class EngineManifest:
    """What the builder knew; the runtime refuses the engine where any of it does not hold.

    Attributes:
        target: ``onnxruntime``, ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8-fp16``.
        onnx: path of the ONNX relative to the engine's folder, for the command that rebuilds.
        onnx_digest, engine_digest: ``sha256:…`` of the files.
        runtime, runtime_version: the package that built it.
        device: what it was built for, e.g. ``x86_64+avx2+avx512_vnni`` or ``Orin sm_87``.
        batch: (min, opt, max) pictures at a time; a max of 0 is no limit.
        built_at: ISO 8601, UTC.
        table_digest: of the ranges that INT8 was made with; empty without.
        options: what else was chosen, e.g. ``{"scheme": "u8s8"}``.
        measured: what was measured of the engine or of its very graph, e.g. ``{"map_50": 0.71, "int8_ms": 1.9}``.
        judged_digest: of the labelled pictures that its mean AP was measured on; empty where it was not.
        graph_digest: of the lowered ONNX that the runtime was given.
        calibrated_on: ``sha256:…`` of the pictures that INT8 was made with: on these nothing is judged.
        asked: all that identifies the build before any work is done; empty where it was not the command line's.
    """

    spec: ModelSpec
    target: str
    precision: str
    onnx: str
    onnx_digest: str
    engine_digest: str
    runtime: str
    runtime_version: str
    device: str
    batch: tuple[int, int, int]
    built_at: str
    table_digest: str = ""
    options: dict[str, str] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    judged_digest: str = ""
    graph_digest: str = ""
    calibrated_on: tuple[str, ...] = ()
    asked: dict[str, str] = field(default_factory=dict)
    format: str = MANIFEST_FORMAT

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        fields = {**dataclasses.asdict(self), "spec": json.loads(self.spec.to_json())}
        return json.dumps(fields, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write the manifest, whole or not at all."""
        with written_beside(path) as partial:
            partial.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> EngineManifest:
        """Read a manifest.

        Raises:
            ArtefactError: it is missing, damaged or of another version of the format.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            found = fields.get("format")
            if found != MANIFEST_FORMAT:
                raise ArtefactError(
                    f"{path} is not a manifest that this version reads",
                    got=repr(found),
                    wanted=MANIFEST_FORMAT,
                    do="Build the engine again: ssd-edge build",
                )
            fields["spec"] = ModelSpec.from_json(json.dumps(fields["spec"]), origin=str(path))
            fields["batch"] = tuple(fields["batch"])
            fields["calibrated_on"] = tuple(fields.get("calibrated_on", ()))
            made = cls(**fields)
            refuse_other_types(made)
            return made
        except OSError as error:
            raise ArtefactError(
                f"{path} cannot be read",
                got=error.strerror or str(error),
                wanted="the manifest that was built with the engine",
                do="Copy it beside the engine, or build again: ssd-edge build",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ArtefactError(
                f"{path} is a damaged manifest",
                got=f"{type(error).__name__}: {error}",
                do="Build the engine again: ssd-edge build",
            ) from error

    def refuse_if_changed(self, engine: Path) -> None:
        """Raise ArtefactError where the engine file is not the one that this manifest was written for."""
        found = file_digest(engine)
        if found != self.engine_digest:
            raise ArtefactError(
                f"{engine} is not the file that its manifest describes",
                got=found,
                wanted=self.engine_digest,
                do=f"Build it again: ssd-edge build {self.onnx_path(engine)}",
            )

    def refuse_if_stale(self, engine: Path) -> None:
        """Raise ArtefactError where the ONNX has changed since; where it was not copied along nothing can be said."""
        onnx = self.onnx_path(engine)
        if onnx.is_file() and file_digest(onnx) != self.onnx_digest:
            raise ArtefactError(
                f"{engine} was built from an older {onnx}",
                got=f"an ONNX with {file_digest(onnx)}",
                wanted=self.onnx_digest,
                do=f"Build it again: ssd-edge build {onnx}",
            )

    def onnx_path(self, engine: Path) -> Path:
        """Where the ONNX lies that this engine was built from."""
        return engine.parent / self.onnx


def manifest_path(engine: Path) -> Path:
    """Return the manifest's place: the engine's name with ``.json`` for ``.engine``."""
    return engine.with_suffix(".json")
