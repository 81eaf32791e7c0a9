"""Does the lower precision pay on this machine? The engine beside those of the other precisions, timed side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.cli.console import say
from ssd_edge.core.errors import InputError, SsdEdgeError

if TYPE_CHECKING:
    from ssd_edge.cli.build_plan import BuildPlan
    from ssd_edge.engines.build import BuildReport

_BITS = {"fp32": 32, "fp16": 16, "int8-fp16": 8, "int8": 8}
_FLAGS = {"fp32": (), "fp16": ("--fp16",), "int8-fp16": ("--int8", "--fp16"), "int8": ("--int8",)}
_SUFFIX = "_ms"


@dataclass(frozen=True)
class Rivals:
    """The other precisions of a model for a target.

    Attributes:
        there: the file of each that can be timed here.
        missing: the float precisions that are not there.
    """

    there: Mapping[str, Path]
    missing: tuple[str, ...]


def find_rivals(plan: BuildPlan) -> Rivals:
    """Return what an engine is to be timed against; ONNX Runtime runs the exported model as it is."""
    from ssd_edge.engines.build import engine_path

    others = [name for name in _FLAGS if name != plan.precision]
    valid = {name: path for name in others if _is_valid(path := engine_path(plan.source, name, plan.target), plan)}
    there = {name: path for name, path in valid.items() if _takes(path, plan.options.batch.least)}
    wanted = ("fp32",) if plan.target == ORT else ("fp32", "fp16")  # a processor computes FP16 in float32
    # An engine for other batches is left as it is: it was built for a purpose.
    missing = tuple(name for name in wanted if name in others and name not in valid)
    if plan.target == ORT and "fp32" in missing:
        there = {"fp32": plan.source.path, **there}
    return Rivals(there, missing)


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
    kept = kept_times(report.manifest.measured)
    if report.reused and kept and not plan.compare:
        say(f"as timed before: {verdict(plan.precision, kept, _commands(plan))}")
    elif _is_usable(report.engine):
        _time(plan, report, find_rivals(plan).there, kept)


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

    files = {name: engine_path(plan.source, name, plan.target) for name in _FLAGS} | {plan.precision: plan.engine}
    return {
        name: f"ssd-edge run --model {files[name]}"
        if files[name].is_file()
        else " ".join(["ssd-edge build", str(plan.source.path), *flags])
        for name, flags in _FLAGS.items()
    }


def _time(plan: BuildPlan, report: BuildReport, there: Mapping[str, Path], kept: Mapping[str, float]) -> None:
    from ssd_edge.cli.speed import median_times

    files = {plan.precision: report.engine, **there}
    if not there:
        if plan.precision != "fp32":
            say(f"whether {plan.precision} pays here is measured with --compare")
        return
    if report.reused and set(files) <= set(kept):
        say(f"as timed before: {verdict(plan.precision, kept, _commands(plan))}")
        return
    try:
        times = dict(zip(files, median_times(list(files.values()), plan.options.batch.least), strict=True))
    except SsdEdgeError as error:
        if plan.compare:
            raise
        say(f"not timed: {error}")
        return
    say(verdict(plan.precision, times, _commands(plan)))
    _keep(report, times)


def _keep(report: BuildReport, times: Mapping[str, float]) -> None:
    from ssd_edge.core.manifest import manifest_path

    kept = {f"{name}{_SUFFIX}": round(ms, 4) for name, ms in times.items()}
    made = report.manifest
    replace(made, measured={**made.measured, **kept}).save(manifest_path(report.engine))


def _is_valid(path: Path, plan: BuildPlan) -> bool:
    """Whether an engine of the same ONNX lies there and runs here."""
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    if not _is_usable(path):
        return False
    try:
        made = EngineManifest.load(manifest_path(path))
        made.refuse_if_changed(path)
    except SsdEdgeError:
        return False
    return made.onnx_digest == plan.source.digest


def _takes(engine: Path, batch: int) -> bool:
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    least, _, most = EngineManifest.load(manifest_path(engine)).batch
    return least <= batch and (batch <= most or most == 0)


def _is_usable(engine: Path) -> bool:
    from ssd_edge.backends.detector import usable_here

    return usable_here(engine)
