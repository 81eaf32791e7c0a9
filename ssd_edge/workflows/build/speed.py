"""Timing of an engine next to engines of other precisions on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ssd_edge.backends.detector import usable_here
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, build_command, manifest_path
from ssd_edge.core.shell import quoted
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.engines import benchmark
from ssd_edge.engines.benchmark import Alternatives, find_alternatives, verdict
from ssd_edge.engines.build import BuildReport, build_lowered, engine_path
from ssd_edge.engines.builder import Builder, Lowered
from ssd_edge.engines.processor import processor_builder
from ssd_edge.graph.source import SourceModel
from ssd_edge.workflows.build.config import BuildConfig


def with_fallback_cost(
    source: SourceModel, config: BuildConfig, builder: Builder, lowered: Lowered, report: BuildReport
) -> BuildReport:
    """Time an engine with layers in float beside the same without, where both can run here; keep the difference.

    TensorRT takes minutes for another engine: there it is built only where engines are to be compared.
    """
    is_asked = not config.runtime.is_tensorrt or config.compare
    if lowered.without_fallback is None or not is_asked or not usable_here(report.engine):
        return report
    plain = replace(lowered, model=lowered.without_fallback, without_fallback=None)
    try:
        with scratch_folder() as folder:
            other = build_lowered(source, plain, builder, folder / "int8.engine").engine
            without, ms = benchmark.median_times([other, report.engine], config.tensorrt.batch.least)
    except SsdEdgeError as error:
        log.info(f"the time that the FP32 or FP16 layers cost was not measured: {error}")
        return report
    made = replace(report.manifest, fallback_cost_ms=round(ms - without, 4))
    made.save(manifest_path(report.engine))
    kept = ", ".join(made.options.keep_float)
    log.info(
        f"in FP32 or FP16: {kept}{cost_line(made)}: {ms:.2f} ms, against {without:.2f} ms with every layer in INT8"
    )
    return replace(report, manifest=made)


def cost_line(made: EngineManifest) -> str:
    """Return in words what the layers in float cost; empty where that was not timed."""
    cost = made.fallback_cost_ms
    return "" if cost is None else f", which costs {cost:.2f} ms per image"


def with_times(source: SourceModel, config: BuildConfig, report: BuildReport) -> EngineManifest:
    """Say which precision is the fastest here, and keep the times in the manifest; once for the same engines.

    Raises:
        SsdEdgeError: engines are to be compared, and one cannot run.
    """
    made = report.manifest
    known = made.times_ms if report.reused else {}
    if known and not config.compare:
        log.info(f"times as measured earlier: {verdict(config.precision, known, _commands(source, config))}")
        return made
    if not usable_here(report.engine):
        return made
    found = find_alternatives(source, config.precision, config.runtime, config.tensorrt)
    if known and {config.precision, *found.there} <= known.keys():
        log.info(f"times as measured earlier: {verdict(config.precision, known, _commands(source, config))}")
        return made
    try:
        times = _times(source, config, report.engine, found)
    except SsdEdgeError as error:
        if config.compare:
            raise
        log.info(f"times not measured: {error}")
        return made
    if times:
        log.info(verdict(config.precision, times, _commands(source, config)))
        made = replace(made, times_ms={**made.times_ms, **{name: round(ms, 4) for name, ms in times.items()}})
        made.save(manifest_path(report.engine))
    elif config.precision is not Precision.FP32:
        log.info(f"to compare the speed of {config.precision} here: --compare")
    return made


def _times(source: SourceModel, config: BuildConfig, engine: Path, found: Alternatives) -> dict[Precision, float]:
    """Return the milliseconds an image of each engine; nothing where there is only one."""
    with _float_engine(source, config, found) as extra:
        files = {config.precision: engine, **found.there, **extra}
        if len(files) < 2:
            return {}
        times = benchmark.median_times(list(files.values()), config.tensorrt.batch.least)
        return dict(zip(files, times, strict=True))


@contextmanager
def _float_engine(source: SourceModel, config: BuildConfig, found: Alternatives) -> Iterator[Mapping[Precision, Path]]:
    """Yield the float32 engine for the processor where none lies there: it takes seconds, and is gone afterwards."""
    if config.runtime.is_tensorrt or Precision.FP32 not in found.missing:
        yield {}
        return
    builder = processor_builder(config.runtime, Precision.FP32)
    with scratch_folder() as folder:
        made = build_lowered(source, Lowered(source.model), builder, folder / "float32.engine")
        yield {Precision.FP32: made.engine}


def _commands(source: SourceModel, config: BuildConfig) -> dict[Precision, str]:
    """Return the command that runs each precision's engine, or that builds it where there is none."""
    files = {name: engine_path(source, name, config.runtime) for name in Precision}
    files[config.precision] = config.engine
    return {name: _command(source, name, path, config.runtime) for name, path in files.items()}


def _command(source: SourceModel, precision: Precision, engine: Path, target: Target) -> str:
    if engine.is_file():
        return f"ssd-edge run --model {quoted(engine)}"
    return build_command(source.path, precision, target)
