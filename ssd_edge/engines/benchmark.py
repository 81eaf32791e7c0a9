"""Does the lower precision pay on this machine? The engine beside those of the other precisions, timed side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.engines.alternatives import FLAGS, Rivals, find_rivals

if TYPE_CHECKING:
    from ssd_edge.engines.build import BuildReport, Lowered
    from ssd_edge.workflows.build.build import BuildJob
    from ssd_edge.workflows.build.config import BuildPlan


_ROUNDS, _SECONDS = 25, 6.0


def median_times(models: Sequence[Path], batch: int = 1) -> list[float]:
    """Return the median milliseconds of each model from picture to boxes, of interleaved rounds (at most six seconds).

    The picture is noise of 640 x 480: what a network computes does not depend on what it sees. Where an engine takes no
    fewer than ``batch`` pictures, as many go in together, and the time is that of one of them.
    """
    import numpy as np

    from ssd_edge.backends.detector import open_detector

    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with ExitStack() as stack:
        detectors = [stack.enter_context(open_detector(path)) for path in models]
        times: list[list[float]] = [[] for _ in detectors]
        for detector in detectors:
            detector.detect_batch([picture] * batch)
        end = time.monotonic() + _SECONDS
        while len(times[0]) < _ROUNDS and (time.monotonic() < end or not times[0]):
            for kept, detector in zip(times, detectors, strict=True):
                start = time.perf_counter()
                detector.detect_batch([picture] * batch)
                kept.append((time.perf_counter() - start) * 1000 / batch)
    return [float(np.median(kept)) for kept in times]


_COST = "guard_cost"  # milliseconds a picture; no name that ends with _ms, which are whole times


def with_guard_cost(job: BuildJob, lowered: Lowered, report: BuildReport) -> BuildReport:
    """Time an engine that was guarded beside the same without, where both can run here; keep the difference.

    TensorRT takes minutes for another engine: there it is built with ``--compare`` only.
    """
    from ssd_edge.backends.detector import usable_here
    from ssd_edge.core.manifest import manifest_path

    is_asked = job.plan.target == ORT or job.plan.compare
    if lowered.unguarded is None or not is_asked or not usable_here(report.engine):
        return report
    try:
        plain, guarded = _guard_times(job, replace(lowered, model=lowered.unguarded, unguarded=None), report.engine)
    except SsdEdgeError as error:
        log.info(f"what the guard costs is not timed: {error}")
        return report
    measured = {**report.manifest.measured, _COST: round(guarded - plain, 4)}
    made = replace(report.manifest, measured=measured)
    made.save(manifest_path(report.engine))
    kept = made.options["keep_float"].replace(" ", ", ")
    log.info(f"in float: {kept}{cost_line(measured)}: {guarded:.2f} ms, and {plain:.2f} ms with every layer in INT8")
    return replace(report, manifest=made)


def cost_line(measured: Mapping[str, float]) -> str:
    """Return in words what the guard costs, from what a manifest keeps of it; empty where it was not timed."""
    return f", which costs {measured[_COST]:.2f} ms a picture" if _COST in measured else ""


def _guard_times(job: BuildJob, plain: Lowered, engine: Path) -> tuple[float, float]:
    """Return the milliseconds a picture without the guard and with it."""
    from ssd_edge.engines.build import build_lowered

    with scratch_folder() as folder:
        other = build_lowered(job.plan.source, plain, job.builder, folder / "int8.engine").engine
        first, second = median_times([other, engine], job.plan.options.batch.least)
    return first, second


_BITS = {"fp32": 32, "fp16": 16, "int8-fp16": 8, "int8": 8}
_SUFFIX = "_ms"


def refuse_to_compare(plan: BuildPlan) -> None:
    """Raise InputError where ``--compare`` is given and nothing here could run the engines."""
    from ssd_edge.backends.cuda_driver import describe_gpu

    if not plan.compare or plan.target == ORT:
        return
    gpu = describe_gpu()
    if not isinstance(gpu, dict):
        raise InputError(
            "--compare times engines, and these run on a GPU",
            got=gpu or "no CUDA driver on this machine",
            do="Build on the device that shall run them, or leave out --compare.",
        )


def tell_speed(plan: BuildPlan, report: BuildReport) -> None:
    """Say which precision is the fastest here, and keep the times in the manifest; once for the same engines.

    Raises:
        SsdEdgeError: ``--compare`` is given, and an engine cannot run.
    """
    from ssd_edge.backends.detector import usable_here

    kept = kept_times(report.manifest.measured)
    if report.reused and kept and not plan.compare:
        log.info(f"as timed before: {verdict(plan.precision, kept, _commands(plan))}")
    elif usable_here(report.engine):
        _time(plan, report, kept)


def kept_times(measured: Mapping[str, float]) -> dict[str, float]:
    """Return the milliseconds a picture of each precision that a manifest keeps."""
    return {name.removesuffix(_SUFFIX): ms for name, ms in measured.items() if name.endswith(_SUFFIX)}


def verdict(mine: str, times: Mapping[str, float], commands: Mapping[str, str]) -> str:
    """Return in words which precision is the fastest, and what to type where it is not the one that was built.

    Args:
        mine: the precision that was built.
        times: milliseconds a picture of each precision.
        commands: that run or build each.
    """
    fastest = min(times, key=lambda name: times[name])
    others = "; ".join(
        f"{name} {ms:.2f} ms, {ms / times[mine]:.2f} times as long"
        for name, ms in sorted(times.items(), key=lambda pair: pair[1])
        if name != mine
    )
    measured = f"{times[mine]:.2f} ms a picture; {others}"
    if fastest == mine:
        return f"{mine} is the fastest here: {measured}"
    place = "SLOWER here" if _BITS[fastest] > _BITS[mine] else "not the fastest here"
    return f"{mine} is {place}: {measured}. Use {fastest}: {commands[fastest]}"


def _commands(plan: BuildPlan) -> dict[str, str]:
    """Return the command that runs each precision's engine, or that builds it where there is none."""
    from ssd_edge.engines.build import engine_path

    files = {name: engine_path(plan.source, name, plan.target) for name in FLAGS} | {plan.precision: plan.engine}
    return {
        name: f"ssd-edge run --model {quoted(files[name])}"
        if files[name].is_file()
        else " ".join(["ssd-edge build", quoted(plan.source.path), *flags])
        for name, flags in FLAGS.items()
    }


def _time(plan: BuildPlan, report: BuildReport, kept: Mapping[str, float]) -> None:
    found = find_rivals(plan)
    names = {plan.precision, *found.there}
    if report.reused and kept and names <= set(kept):
        log.info(f"as timed before: {verdict(plan.precision, kept, _commands(plan))}")
        return
    try:
        with _float_engine(plan, found) as extra:
            times = _times(plan, {plan.precision: report.engine, **found.there, **extra})
    except SsdEdgeError as error:
        if plan.compare:
            raise
        log.info(f"not timed: {error}")
        return
    if len(times) > 1:
        log.info(verdict(plan.precision, times, _commands(plan)))
        _keep(report, times)
    elif plan.precision != "fp32":
        log.info(f"whether {plan.precision} pays here is measured with --compare")


@contextmanager
def _float_engine(plan: BuildPlan, found: Rivals) -> Iterator[dict[str, Path]]:
    """Yield the float32 engine for ONNX Runtime where none lies there: it takes seconds, and is gone afterwards."""
    from ssd_edge.engines.build import build_engine

    if plan.target != ORT or "fp32" not in found.missing:
        yield {}
        return
    with scratch_folder() as folder:
        yield {"fp32": build_engine(plan.source.path, folder / "float32.engine").engine}


def _times(plan: BuildPlan, files: Mapping[str, Path]) -> dict[str, float]:
    """Return the milliseconds a picture of each engine; nothing where there is only one."""
    if len(files) < 2:
        return {}
    return dict(zip(files, median_times(list(files.values()), plan.options.batch.least), strict=True))


def _keep(report: BuildReport, times: Mapping[str, float]) -> None:
    from ssd_edge.core.manifest import manifest_path

    kept = {f"{name}{_SUFFIX}": round(ms, 4) for name, ms in times.items()}
    made = report.manifest
    replace(made, measured={**made.measured, **kept}).save(manifest_path(report.engine))
