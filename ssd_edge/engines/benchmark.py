"""Engines timed side by side on this machine, and the other precisions of a model that an engine is timed against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssd_edge.backends.detector import open_detector, usable_here
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.timing import time_calls
from ssd_edge.engines.build import engine_path
from ssd_edge.engines.options import TrtOptions
from ssd_edge.graph.source import SourceModel

_ROUNDS, _LEAST, _SECONDS = 100, 7, 2.0  # an untimed call goes before each, of its own caches and threads


def median_times(models: Sequence[Path], batch: int = 1) -> list[float]:
    """Return the median milliseconds of each model from image to boxes, of interleaved rounds.

    There are a hundred rounds, or as many as two seconds of timed calls have room for; seven at least. The image is
    noise of 640 x 480: what a network computes does not depend on what it sees. Where an engine takes no fewer than
    ``batch`` images, as many go in together, and the time is that of one of them.

    Raises:
        SsdEdgeError: an engine cannot run here.
    """
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with ExitStack() as stack:
        detectors = [stack.enter_context(open_detector(path)) for path in models]
        calls = {number: partial(entry.detect_batch, [image] * batch) for number, entry in enumerate(detectors)}
        timings = time_calls(calls, rounds=_ROUNDS, at_least=min(_LEAST, _ROUNDS), budget_s=_SECONDS, untimed=1)
    return [timing.median_ms / batch for timing in timings.values()]


@dataclass(frozen=True)
class Alternatives:
    """The other precisions of a model for a target.

    Attributes:
        there: the file of each that can be timed here.
        missing: the other precisions of the target that are not there.
    """

    there: Mapping[Precision, Path]
    missing: tuple[Precision, ...]


def find_alternatives(source: SourceModel, precision: Precision, target: Target, tensorrt: TrtOptions) -> Alternatives:
    """Return what an engine of a precision is to be timed against."""
    others = [other for other in Precision if other is not precision]
    paths = {other: engine_path(source, other, target) for other in others}
    valid = {other: made for other, path in paths.items() if (made := _made_of(path, source)) is not None}
    batch = tensorrt.batch.least
    there = {other: paths[other] for other, made in valid.items() if _takes(made, batch)}
    # An engine for other batches is left as it is: it was built for a purpose.
    wanted = _precisions(target, tensorrt)
    return Alternatives(there, tuple(other for other in wanted if other in others and other not in valid))


def _precisions(target: Target, tensorrt: TrtOptions) -> tuple[Precision, ...]:
    """Return every combination that a target has."""
    if not target.is_tensorrt:
        return (Precision.FP32, Precision.INT8)  # ONNX Runtime computes FP16 in float32; few processors have more
    if tensorrt.dla is not None:
        return (Precision.FP16, Precision.INT8)  # a DLA has no float32
    return tuple(precision for precision in Precision if precision is not Precision.BF16)


def _made_of(path: Path, source: SourceModel) -> EngineManifest | None:
    """Return the manifest where an engine of the same ONNX lies there and runs here."""
    if not usable_here(path):
        return None
    try:
        made = EngineManifest.load(manifest_path(path))
        made.refuse_if_changed(path)
    except SsdEdgeError:
        return None
    return made if made.onnx_digest == source.digest else None


def _takes(made: EngineManifest, batch: int) -> bool:
    least, _, most = made.batch
    return least <= batch and (batch <= most or most == 0)


def verdict(mine: Precision, times_ms: Mapping[Precision, float], commands: Mapping[Precision, str]) -> str:
    """Return in words which precision is the fastest, and what to type where it is not the one that was built.

    Args:
        mine: the precision that was built.
        times_ms: milliseconds an image of each precision.
        commands: that run or build each.
    """
    fastest = min(times_ms, key=lambda name: times_ms[name])
    others = "; ".join(
        f"{name} {ms:.2f} ms, {ms / times_ms[mine]:.2f} times as long"
        for name, ms in sorted(times_ms.items(), key=lambda pair: pair[1])
        if name != mine
    )
    measured = f"{times_ms[mine]:.2f} ms an image; {others}"
    if fastest is mine:
        return f"{mine} is the fastest here: {measured}"
    place = "SLOWER here" if fastest.bits > mine.bits else "not the fastest here"
    return f"{mine} is {place}: {measured}. Use {fastest}: {commands[fastest]}"
