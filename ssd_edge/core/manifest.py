"""EngineManifest: the JSON beside an engine that says what it is, where it came from and where it may run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import file_digest, is_file, written_beside
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.text_parsers import parse_json

MANIFEST_FORMAT = "ssd-edge/engine/3"
ENGINE_SUFFIX = ".engine"
_FORMAT = Format(MANIFEST_FORMAT, "manifest", "Build the engine again: ssd-edge build")


@dataclass(frozen=True)
class EngineOptions:
    """Build options that distinguish engines of one model; empty, None or False if not chosen.

    Attributes:
        scheme: how ONNX Runtime stores INT8, e.g. ``u8s8``.
        improved: steps of refinement that were kept: ``equalised``, ``corrected``.
        keep_float: names of the layers that stayed in float.
        workspace_gib, opt_level, dla, implicit, compute_capabilities, version_compatible, hardware_compatible: see
            :class:`~ssd_edge.engines.options.TrtOptions`.
        nms: what the builder made of the NMS node: ``plugin``, ``16 rounds``, ``loop``, ``efficient`` or
            ``NonMaxSuppression``; empty in engines of older versions, whose NMS is plain ONNX.
        int8_stem: how the first convolution reads the image, e.g. ``4 columns``.
        calibration_cache: ``sha256:…`` of TensorRT's text calibration cache.
    """

    scheme: str = ""
    improved: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()
    workspace_gib: float | None = None
    opt_level: int | None = None
    dla: int | None = None
    implicit: bool = False
    compute_capabilities: tuple[int, ...] = ()
    version_compatible: bool = False
    hardware_compatible: bool = False
    nms: str = ""
    int8_stem: str = ""
    calibration_cache: str = ""

    def listed(self) -> dict[str, str]:
        """Return what was chosen, by name, as text for a reader."""
        separators = {"compute_capabilities": ","}
        return {
            name: separators.get(name, " ").join(map(str, value)) if isinstance(value, tuple) else str(value)
            for name, value in vars(self).items()
            if value is not None and value is not False and value not in ("", ())
        }


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a precision, measured before the engine was built.

    Attributes:
        map_50_float: mean AP at IoU 0.5 of the exported model, 0 to 1.
        map_50: of the graph that the engine was built from.
        dataset_digest: ``sha256:…`` of the labelled images that both were measured on.
    """

    map_50_float: float
    map_50: float
    dataset_digest: str = ""

    @property
    def drop_points(self) -> float:
        """Lost mean AP in points (hundredths)."""
        return 100 * (self.map_50_float - self.map_50)


@dataclass(frozen=True)
class EngineManifest:
    """Facts about an engine; a runtime rejects the engine if one of them does not hold.

    Attributes:
        onnx: path of the ONNX relative to the engine's folder, for the command that rebuilds.
        onnx_digest, engine_digest: ``sha256:…`` of the files.
        runtime, runtime_version: the package that built it.
        device: what it was built for, e.g. ``x86_64+avx2+avx512_vnni`` or ``Orin sm_87``.
        batch: (min, opt, max) images at a time; a max of 0 is no limit.
        built_at: ISO 8601, UTC.
        table_digest: of the calibration table that INT8 was made with; empty without.
        options: what else was chosen.
        accuracy: of the engine's graph; None where it was not measured.
        times_ms: milliseconds an image of engines that were timed side by side, by precision, this one among them.
        fallback_cost_ms: milliseconds an image that the layers cost that stayed float for the accuracy's sake.
        graph_digest: of the lowered ONNX that the runtime was given.
        calibrated_on: ``sha256:…`` of the images that INT8 was made with: on these nothing is evaluated.
        cache_key: identifies the build before any work is done; empty where it was not asked for by its key.
        builder_version: ``BUILDER_VERSION`` of the builder that made the engine of that graph.
    """

    spec: ModelSpec
    target: Target
    precision: Precision
    onnx: str
    onnx_digest: str
    engine_digest: str
    runtime: str
    runtime_version: str
    device: str
    batch: tuple[int, int, int]
    built_at: str
    table_digest: str = ""
    options: EngineOptions = EngineOptions()
    accuracy: Accuracy | None = None
    times_ms: Mapping[Precision, float] = field(default_factory=dict)
    fallback_cost_ms: float | None = None
    graph_digest: str = ""
    calibrated_on: tuple[str, ...] = ()
    cache_key: str = ""
    builder_version: int = 0
    format: str = MANIFEST_FORMAT

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        fields = {**dataclasses.asdict(self), "spec": parse_json(self.spec.to_json())}
        return json.dumps(fields, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write the manifest, whole or not at all."""
        with written_beside(path) as partial:
            partial.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> EngineManifest:
        """Read a manifest.

        Raises:
            ArtifactError: it is missing, damaged or of another version of the format.
        """
        if not path.exists():
            raise ArtifactError(
                f"{path} does not exist",
                wanted="the manifest that was built with the engine",
                do="Copy it next to the engine, or build the engine again: ssd-edge build",
            )

        def spec(fields: object) -> ModelSpec:
            return ModelSpec.from_json(json.dumps(fields), origin=str(path))

        return read_artifact(path, cls, _FORMAT, parts={"spec": spec})

    def refuse_if_changed(self, engine: Path) -> None:
        """Raise ArtifactError where the engine file is not the one that this manifest was written for."""
        found = file_digest(engine)
        if found != self.engine_digest:
            raise ArtifactError(
                f"{engine} is not the file that its manifest describes",
                got=found,
                wanted=self.engine_digest,
                do=f"Build the engine again: {self.build_command(engine)}",
            )

    def refuse_if_stale(self, engine: Path) -> None:
        """Raise ArtifactError where the ONNX has changed since; where it was not copied along nothing can be said."""
        onnx = self.onnx_path(engine)
        if is_file(onnx) and file_digest(onnx) != self.onnx_digest:
            raise ArtifactError(
                f"{engine} was built from another version of {onnx}",
                got=f"an ONNX file with digest {file_digest(onnx)}",
                wanted=self.onnx_digest,
                do=f"Build the engine again: {self.build_command(engine)}",
            )

    def onnx_path(self, engine: Path) -> Path:
        """Path of the ONNX that the engine was built from."""
        return engine.parent / self.onnx

    def build_command(self, engine: Path) -> str:
        """The command that builds the engine again, in its precision and for its runtime."""
        return build_command(self.onnx_path(engine), self.precision, self.target)


def build_command(onnx: Path, precision: Precision, target: Target) -> str:
    """Return the command that builds an ONNX in a precision: for a target that ``auto`` might not choose, by name."""
    asked = (
        ("--int8", precision.is_int8),
        ("--fp16", precision.has_fp16),
        ("--bf16", precision is Precision.BF16),
        ("--fp32", precision is Precision.INT8 and target.is_tensorrt),
        ("--target openvino", target is Target.OPENVINO),
    )
    return " ".join(["ssd-edge build", quoted(onnx), *(flag for flag, is_on in asked if is_on)])


def manifest_path(engine: Path) -> Path:
    """Return the manifest's place: the engine's name with ``.json`` for ``.engine``."""
    return engine.with_suffix(".json")
