"""A lowered model to an engine with the manifest that lets it be refused anywhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import bytes_digest, file_digest, path_kind, written_beside
from ssd_edge.core.manifest import ENGINE_SUFFIX, EngineManifest, manifest_path
from ssd_edge.core.progress import Progress, silent
from ssd_edge.engines.builder import Builder, Lowered
from ssd_edge.engines.cache import noted, same_engine
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.graph.source import SourceModel, read_onnx


@dataclass(frozen=True)
class BuildReport:
    """Result of a build.

    Attributes:
        reused: the engine was there already, built from the same graph by the same runtime for the same device.
    """

    engine: Path
    manifest: EngineManifest
    reused: bool


def build_engine(
    onnx_path: Path, output: Path | None = None, *, builder: Builder | None = None, force: bool = False
) -> BuildReport:
    """Build the FP32 engine of an exported ONNX on this machine, by default for ONNX Runtime.

    See :func:`build_lowered`.
    """
    source = read_onnx(onnx_path)
    return build_lowered(source, Lowered(source.model), builder or OrtBuilder(), output, force=force)


def build_lowered(
    source: SourceModel,
    lowered: Lowered,
    builder: Builder,
    output: Path | None = None,
    *,
    cache_key: str = "",
    force: bool = False,
    progress: Progress = silent,
) -> BuildReport:
    """Build an engine and write its manifest.

    However it ends, also by a signal that nothing can answer, there lies the old engine with its manifest, the new one
    with its own, or the new engine beside the old manifest, which every runtime refuses by the digest.

    Args:
        source: the exported ONNX.
        lowered: made of it.
        builder: for the runtime that must run it.
        output: the engine's path; by default :func:`engine_path`.
        cache_key: what identifies the build, see :func:`ssd_edge.engines.cache.cache_key`.
        force: build even where the engine that lies there would be the same.
        progress: receives the builder's steps, where its runtime reports them.

    Raises:
        InputError: the engine cannot be written.
        ArtifactError: the runtime refuses the graph.
    """
    engine = output or engine_path(source, lowered.precision, builder.target)
    refuse_name(engine)
    manifest = replace(_manifest(source, lowered, builder, engine), cache_key=cache_key)
    found = None if force else same_engine(engine, manifest)
    if found is not None:
        return BuildReport(engine, noted(engine, found, manifest), reused=True)
    # Both are whole before either takes its place: the engine first, as this block ends from the inside out.
    with written_beside(manifest_path(engine)) as paper, written_beside(engine) as partial:
        builder.build(lowered.model, partial, progress, calibration_cache=lowered.calibration_cache)
        built = replace(manifest, engine_digest=file_digest(partial))
        paper.write_text(built.to_json(), encoding="utf-8")
    return BuildReport(engine, built, reused=False)


def refuse_name(engine: Path) -> None:
    """Raise InputError where a path is no name for an engine."""
    if engine.suffix != ENGINE_SUFFIX:
        raise InputError(f"{engine} is not a valid name for an engine", wanted=f"a name that ends with {ENGINE_SUFFIX}")
    if path_kind(engine) == "folder":
        raise InputError(f"{engine} is a folder", wanted="a file name for the engine")


def engine_path(source: SourceModel, precision: Precision, target: Target) -> Path:
    """Return ``<model>.<precision>.<target>.engine`` beside the ONNX."""
    return source.path.with_name(f"{source.path.stem}.{precision}.{target}{ENGINE_SUFFIX}")


def graph_path(engine: Path, target: str) -> Path:
    """Return where the lowered ONNX of an engine is kept: beside it, with a name that no exported one has."""
    ending = f".{target}"
    return engine.with_name(f"{engine.stem if engine.stem.endswith(ending) else engine.stem + ending}.onnx")


def _manifest(source: SourceModel, lowered: Lowered, builder: Builder, engine: Path) -> EngineManifest:
    return EngineManifest(
        spec=source.spec,
        target=builder.target,
        precision=lowered.precision,
        onnx=_relative(source.path, engine.parent),
        onnx_digest=source.digest,
        engine_digest="",
        runtime=builder.runtime,
        runtime_version=builder.runtime_version,
        device=builder.device,
        batch=builder.batch,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        table_digest=lowered.table_digest,
        options=replace(
            builder.options,
            scheme=lowered.scheme,
            improved=lowered.improved,
            keep_float=lowered.keep_float,
            calibration_cache=bytes_digest(lowered.calibration_cache) if lowered.calibration_cache else "",
        ),
        accuracy=lowered.accuracy,
        graph_digest=bytes_digest(lowered.model.SerializeToString()),
        calibrated_on=lowered.calibrated_on,
        builder_version=builder.builder_version,
    )


def _relative(onnx_path: Path, folder: Path) -> str:
    """Path of the ONNX seen from the engine's folder, so that a copied folder still finds it."""
    try:
        return str(onnx_path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(onnx_path.resolve())
