"""ONNX to an engine for this machine, with the manifest that lets it be refused anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ssd_edge.backends.ort import ENGINE_SUFFIX
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.ort_build import OrtBuilder


@dataclass(frozen=True)
class BuildReport:
    """What a build gave.

    Attributes:
        reused: the engine was there already, built from the same ONNX by the same runtime for the same device.
    """

    engine: Path
    manifest: EngineManifest
    reused: bool


def build_engine(onnx: Path, output: Path | None = None, *, force: bool = False) -> BuildReport:
    """Build the engine of an exported ONNX for ONNX Runtime on this machine.

    Args:
        onnx: a file written by ``ssd-edge export``.
        output: the engine's path; by default ``<model>.fp32.onnxruntime.engine`` beside the ONNX.
        force: build even where the engine that lies there would be the same.

    Raises:
        InputError: the ONNX cannot be read, or the engine not be written.
        ArtefactError: the ONNX is not ours or the runtime refuses it.
    """
    builder = OrtBuilder(onnx)
    engine = output or onnx.with_name(f"{onnx.stem}.{builder.precision}.{builder.target}.engine")
    if engine.suffix != ENGINE_SUFFIX:
        raise InputError(f"{engine} is no name for an engine", wanted=f"a name that ends with {ENGINE_SUFFIX}")
    manifest = _manifest(builder, onnx, engine)
    if not force and _is_current(engine, manifest):
        return BuildReport(engine, EngineManifest.load(manifest_path(engine)), reused=True)
    with written_beside(engine) as partial:
        builder.build(partial)
        digest = file_digest(partial)
        manifest_path(engine).unlink(missing_ok=True)  # from here to the new manifest the engine is refused
    built = _manifest(builder, onnx, engine, digest)
    built.save(manifest_path(engine))
    return BuildReport(engine, built, reused=False)


def _manifest(builder: OrtBuilder, onnx: Path, engine: Path, engine_digest: str = "") -> EngineManifest:
    return EngineManifest(
        spec=builder.spec,
        target=builder.target,
        precision=builder.precision,
        onnx=_relative(onnx, engine.parent),
        onnx_digest=file_digest(onnx),
        engine_digest=engine_digest,
        runtime=builder.runtime,
        runtime_version=builder.runtime_version,
        device=builder.device,
        batch=builder.batch,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _relative(onnx: Path, folder: Path) -> str:
    """Path of the ONNX seen from the engine's folder, so that a copied folder still finds it."""
    try:
        return str(onnx.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(onnx.resolve())


def _is_current(engine: Path, wanted: EngineManifest) -> bool:
    """Whether the engine that lies there is the one that a build would give."""
    try:
        found = EngineManifest.load(manifest_path(engine))
        found.refuse_if_changed(engine)
    except SsdEdgeError:
        return False
    identity = ("spec", "target", "precision", "onnx_digest", "runtime", "runtime_version", "device", "batch")
    return all(getattr(found, name) == getattr(wanted, name) for name in identity)
