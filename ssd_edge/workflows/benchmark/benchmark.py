"""Benchmark: engines, models, presets and peers side by side, fairly enough to compare with others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.backends.cpu import physical_cores
from ssd_edge.benchmarking.agreement import agreement
from ssd_edge.benchmarking.load import NeighborLoad
from ssd_edge.benchmarking.machine import Machine, read_machine
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.files import path_kind
from ssd_edge.core.intervals import median_interval, paired_ratio
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.graph.cost import count_macs
from ssd_edge.workflows.benchmark.config import BenchConfig, BenchOptions
from ssd_edge.workflows.benchmark.entries import (
    Entry,
    default_models,
    is_file_name,
    of_files,
    with_same_groups,
)
from ssd_edge.workflows.benchmark.markdown import write_markdown
from ssd_edge.workflows.benchmark.page import write_bench_page
from ssd_edge.workflows.benchmark.peers import peer_entries
from ssd_edge.workflows.benchmark.prepare import (
    check_precisions,
    find_images,
    of_preset,
    read_source,
    with_sources,
    write_heads,
)
from ssd_edge.workflows.benchmark.result import BenchResult, Contestant, Peak
from ssd_edge.workflows.benchmark.run import Measured, Run
from ssd_edge.workflows.benchmark.stages import HEADS
from ssd_edge.workflows.open_model import refuse_no_model

_TYPES = {"fp32": "f32", "int8": "int8", "bf16": "bf16"}  # of a precision: what its convolutions multiply in


@with_named_resources
def bench(
    models: AnyPath | Sequence[AnyPath] = (),
    *,
    config: BenchConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[BenchOptions],
) -> BenchResult:
    """Measure contestants side by side on this machine, each in a process of its own, in turns within one run.

    Latency is from an image in memory to boxes. A run beside a busy neighbor is marked.

    Args:
        models: ``.engine``, ``.onnx`` and ``.pt`` files, and names of presets, whose engines are built with random
            weights; by default the workspace's current engine and the other engines of the same model.
        config: how; or its fields as keywords.
        progress: called in each stage.
        workspace: the folder with ``engines/`` and ``runs/``.
        options: fields of the config.

    Raises:
        InputError: a file, an image or an option cannot be used, or there is no model.
        ArtifactError: a model is damaged.
        MissingPackageError: a preset needs PyTorch.
        SsdEdgeError: no contestant can be measured.
    """
    began = time.monotonic()
    config = config_from(BenchConfig, config, options)
    check_precisions(config.precisions)
    names = _named(models, Path(workspace))
    machine = read_machine()
    with scratch_folder() as folder:
        images, unreadable = find_images(config.images, folder / "images")
        entries, left_out = _entries(names, config, images, folder, Path(workspace), progress)
        run = Run(config, entries, config.cores or physical_cores(), progress)
        run.measure()
        contestants = _contestants(run)
    result = BenchResult(
        path=config.html or config.markdown,
        contestants=contestants,
        machine=machine,
        load=run.load or NeighborLoad((), 0.0, 0.0, (), is_known=False),
        peaks=run.peaks,
        busy=config.busy,
        images=_described(config, len(images)),
        confidence=config.confidence,
        rounds=run.rounds,
        launches=config.launches,
        threads=run.cores,
        seconds=time.monotonic() - began,
        throttled=_throttled_since(machine),
        at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        left_out=(*unreadable, *left_out, *run.left_out),
    )
    _write(result, config)
    return result


def _named(models: AnyPath | Sequence[AnyPath], root: Path) -> list[str]:
    """Return files and presets as text; the workspace's engines where none is named.

    Raises:
        InputError: a file is missing, or there is no engine.
        ArtifactError: an ONNX is damaged.
    """
    given = [models] if isinstance(models, (str, PathLike)) else list(models)
    for entry in given:
        if is_file_name(str(entry)) or path_kind(Path(entry)) == "file":
            refuse_no_model(Path(entry))
    return [str(entry) for entry in given] or [str(path) for path in default_models(root)]


def _entries(
    names: Sequence[str],
    config: BenchConfig,
    images: Sequence[Path],
    folder: Path,
    root: Path,
    progress: ProgressCallback,
) -> tuple[list[Entry], list[LeftOut]]:
    """Return all contestants, each group together, and the peers that cannot take part."""
    threads, paths = config.cores or physical_cores(), tuple(map(str, images))
    ours = of_files([Path(name) for name in names if is_file_name(name)], config, paths, threads)
    for number, name in enumerate(name for name in names if not is_file_name(name)):
        place = folder / f"preset{number}"
        place.mkdir()
        ours += of_preset(name, config, paths, threads, place, progress)
    if config.against:
        ours = with_sources(ours, root, folder)
    ours = with_same_groups(ours)
    ours = [_with_heads(entry, folder) for entry in ours] if not config.quick else ours
    peers, left_out = peer_entries(config.against, ours, folder)
    for missing in left_out:
        log.warning(f"left out: {missing}")
    groups = dict.fromkeys(entry.group for entry in ours)
    return [entry for group in groups for entry in (*ours, *peers) if entry.group == group], left_out


def _with_heads(entry: Entry, folder: Path) -> Entry:
    heads = write_heads(entry, folder)
    if heads is None:
        return entry
    task = entry.task
    settings = {**task.settings, HEADS: str(heads)}
    return Entry(**{**vars(entry), "task": type(task)(**{**vars(task), "settings": settings})})


def _contestants(run: Run) -> tuple[Contestant, ...]:
    firsts = {entry.group: entry.name for entry in reversed(run.entries)}
    macs = {group: _macs(run, group) for group in firsts}
    return tuple(_contestant(run, entry, firsts[entry.group], macs[entry.group]) for entry in run.entries)


def _macs(run: Run, group: str) -> int | None:
    """Return the multiply-adds of a group's network, from the first exported ONNX that is here."""
    for entry in run.entries:
        source = read_source(entry) if entry.group == group and entry.same_network else None
        if source is not None:
            return count_macs(source.model)
    return None


def _contestant(run: Run, entry: Entry, first: str, macs: int | None) -> Contestant:
    found, confidence = run.measured[entry.name], run.config.confidence
    latency = median_interval(found.blocks.medians, confidence)
    is_reference = entry.name == first
    reference = run.measured[first]
    macs = macs if entry.same_network else None
    return Contestant(
        name=entry.name,
        group=entry.group,
        runtime=entry.runtime,
        precision=entry.precision,
        note=entry.note,
        latency=latency,
        times=found.blocks.spread,
        calls=found.blocks.calls,
        block_medians_ms=found.blocks.medians,
        ratio=None if is_reference else paired_ratio(found.blocks.medians, reference.blocks.medians, confidence),
        agreement=None if is_reference or not entry.same_network else agreement(reference.found, found.found),
        detections=_mean_count(found),
        cold_start_s=tuple(found.cold_start_s),
        memory_mib=found.memory_mib,
        run_start_s=found.startup.seconds if found.startup else None,
        run_memory_mib=found.startup.memory_mib if found.startup else None,
        throughput=tuple(found.throughput),
        batches=tuple(found.batches),
        streams=tuple(found.streams),
        stages_ms=found.stages_ms,
        macs=macs,
        peak_share=_peak_share(entry, macs, latency.median, run.peaks),
        gpu=tuple(found.gpu),
        power=found.power,
    )


def _mean_count(found: Measured) -> float:
    return float(sum(image["count"] for image in found.found)) / max(1, len(found.found))


def _peak_share(entry: Entry, macs: int | None, ms: float, peaks: dict[str, Peak]) -> float | None:
    """Return the share of the whole way from image to boxes, which is known of peers too."""
    peak = peaks.get(_TYPES.get(entry.precision, ""))
    if macs is None or peak is None or entry.runtime.startswith("tensorrt"):
        return None
    return 2 * macs / (ms / 1000) / 1e9 / float(peak.gops)


def _described(config: BenchConfig, count: int) -> str:
    what = f"of {config.images}" if config.images is not None else "drawn scenes of 640×480"
    return f"{count} {'images ' if config.images is not None else ''}{what}"


def _throttled_since(machine: Machine) -> int | None:
    now = read_machine().throttled
    return None if now is None or machine.throttled is None else now - machine.throttled


def _write(result: BenchResult, config: BenchConfig) -> None:
    if config.html is not None:
        write_bench_page(config.html, result)
        log.info(f"wrote {config.html}")
    if config.markdown is not None:
        write_markdown(config.markdown, result)
        log.info(f"wrote {config.markdown}")
