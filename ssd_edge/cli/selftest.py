"""Builds and proves engines, or proves the user's: ``doctor --selftest``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.cli.selftest_builds import builds, sample_pictures, sample_source
from ssd_edge.core.scratch import scratch_folder

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.doctor.verdict import Tolerance, Verdict
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.source import SourceModel

_PICTURES = 16


def run_selftest(engine: Path | None, images: Path | None, frames: int) -> list[Verdict]:
    """Prove the given engine, or small ones built here in every precision that a runtime of this machine has.

    One of the small ones that cannot be built or run is a verdict too: the report says what the others did.

    Raises:
        SsdEdgeError: the given engine cannot be run, or TensorRT cannot be used at all.
    """
    if engine is not None:
        return [_prove_engine(engine, images, frames)]
    with scratch_folder() as folder:
        source = sample_source(folder)
        return [_built_and_proved(source, *build, frames) for build in builds(source, folder)]


def _built_and_proved(source: SourceModel, lowered: Lowered, builder: Builder, frames: int) -> Verdict:
    from ssd_edge.backends.cuda_driver import is_emulated
    from ssd_edge.core.errors import SsdEdgeError
    from ssd_edge.doctor.verdict import Verdict
    from ssd_edge.engines.build import build_lowered

    try:
        engine = build_lowered(source, lowered, builder).engine
        pictures = sample_pictures(_PICTURES, seed=7)
        return _proved(engine, source.path, pictures, lowered.precision, builder.runtime, frames=frames)
    except SsdEdgeError as error:
        emulated = builder.runtime.startswith("tensorrt") and is_emulated()
        return Verdict.failed(lowered.precision, builder.runtime, str(error), emulated=emulated)


def _prove_engine(engine: Path, images: Path | None, frames: int) -> Verdict:
    """Prove a user's engine on pictures of theirs, or on noise and squares.

    It is compared with the ONNX that it was built from, and with its own lowered graph where that was kept.
    """
    from ssd_edge.cli.selftest_prediction import with_prediction
    from ssd_edge.core.images import list_images, read_image
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.doctor.verdict import OWN_TOLERANCES

    manifest = EngineManifest.load(manifest_path(engine))
    if images is not None:
        pictures = [read_image(path) for path in list_images(images)[:_PICTURES]]
    else:
        pictures = sample_pictures(_PICTURES, seed=7)
    tolerance = OWN_TOLERANCES[manifest.precision]
    verdict = _proved(
        engine, manifest.onnx_path(engine), pictures, manifest.precision, manifest.runtime, tolerance, frames=frames
    )
    return with_prediction(verdict, engine, pictures)


def _proved(
    engine: Path,
    onnx: Path,
    pictures: list[UInt8Array],
    precision: str,
    runtime: str,
    tolerance: Tolerance | None = None,
    *,
    frames: int,
) -> Verdict:
    from ssd_edge.backends.cuda_driver import is_emulated, used_memory
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.backends.held import what_is_held
    from ssd_edge.doctor.selftest import prove

    on_gpu, before = runtime.startswith("tensorrt"), Counter(what_is_held())
    with (
        open_detector(engine) as tested,
        open_detector(onnx) as reference,
        bar(f"{precision} on {runtime}") as progress,
    ):
        verdict = prove(
            tested,
            reference,
            pictures,
            precision=precision,
            runtime=runtime,
            tolerance=tolerance,
            frames=frames,
            gpu_memory=used_memory if on_gpu else lambda: 0,
            progress=progress,
        )
    if not on_gpu:
        return verdict
    verdict = with_stages(verdict, engine, pictures[0], frames)
    return dataclasses.replace(verdict, left=dict(Counter(what_is_held()) - before), emulated=is_emulated())


def with_stages(verdict: Verdict, engine: Path, picture: UInt8Array, frames: int) -> Verdict:
    """Add the times of the stages on the GPU."""
    from ssd_edge.backends.trt_stages import measure_stages
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.doctor.stages import stage_table

    spec = EngineManifest.load(manifest_path(engine)).spec
    measured = measure_stages(engine, preprocess(picture, spec.input), frames=frames)
    return dataclasses.replace(
        verdict,
        stages=tuple(stage_table(times) for times in measured),
        graph_differs=any(times.outputs != measured[0].outputs for times in measured),
    )
