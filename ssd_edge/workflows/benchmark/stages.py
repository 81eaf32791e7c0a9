"""Measures where an image's time goes: decoding, resizing, the network, the NMS, and making detections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np

from ssd_edge.backends.base import Backend, RawOutputs
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_backend
from ssd_edge.backends.openvino.compiled import compile_bytes
from ssd_edge.backends.openvino.module import PROCESSOR, Settings
from ssd_edge.backends.ort_session import open_session
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.choices import Target
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.images import decode_image, image_bytes
from ssd_edge.core.manifest import ENGINE_SUFFIX, EngineManifest, manifest_path
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.timing import time_calls
from ssd_edge.workflows.benchmark.our_model import open_ours

STAGES = ("decode", "resize", "inference", "nms", "output")
"""Of an image's way from a file's bytes to detections, in order."""

HEADS = "heads"
"""Of a task's settings: the same network that ends in its boxes and scores, which shows the NMS's share."""

_ROUNDS = 400


class _Replay:
    """A backend that gives the same outputs again, at once: what remains of a call is ours."""

    workers = 1
    batch_limits: tuple[int, int | None] = (1, None)

    def __init__(self, spec: ModelSpec, path: Path, raw: RawOutputs) -> None:
        self.spec, self.path, self._raw = spec, path, raw

    def infer(self, batch: UInt8Array) -> RawOutputs:  # noqa: ARG002 - a backend's signature
        """Return the outputs."""
        return self._raw

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def measure_stages(task: Task, seconds: float) -> dict[str, float]:
    """Return the median milliseconds of each of :data:`STAGES` of a model of ours, of interleaved calls on one image.

    ``nms`` is what the whole graph takes more than the same graph without it, the median of pairs; it is left out where
    the two cannot be separated: then it is part of ``inference``.
    """
    path = Path(task.images[0])
    data = image_bytes(path)
    image = decode_image(path, data)
    if Path(task.model).suffix == ".pt":
        return _of_checkpoint(task, image, data, seconds)
    with open_backend(Path(task.model), Threads(1, task.threads)) as backend:
        pixels = preprocess(image, backend.spec.input)
        batch = np.stack([pixels] * max(1, backend.batch_limits[0]))
        replay = Detector(_Replay(backend.spec, backend.path, backend.infer(batch)))
        return _measured(task, backend, replay, image, batch, data, seconds)


def _of_checkpoint(task: Task, image: UInt8Array, data: bytes, seconds: float) -> dict[str, float]:
    """Return the stages that PyTorch's way has: its NMS and outputs are part of the inference."""
    path, (height, width) = Path(task.images[0]), image.shape[:2]
    with open_ours(task) as detector:
        pixels = detector.preprocess(image)
        calls: dict[str, Callable[[], object]] = {
            "decode": partial(decode_image, path, data),
            "resize": partial(detector.preprocess, image),
            "inference": partial(detector.detect_preprocessed, pixels, width=width, height=height),
        }
        found = time_calls(calls, rounds=_ROUNDS, at_least=3, budget_s=seconds)
    return {name: timing.median_ms for name, timing in found.items()}


def _without_nms(task: Task, heads: Path, batch: UInt8Array) -> Callable[[], object]:
    """Return a call of the network up to its boxes and scores, on the runtime of the whole."""
    engine = Path(task.model)
    if engine.suffix != ENGINE_SUFFIX:
        session = open_session(heads, threads=task.threads, optimize=True)
        return partial(session.run, None, {INPUT_NAME: batch})
    made = EngineManifest.load(manifest_path(engine))
    if made.target is Target.OPENVINO:
        settings = Settings(PROCESSOR, made.precision, Threads(1, task.threads))
        request = compile_bytes(heads.read_bytes(), settings, heads).create_infer_request()
        return partial(request.infer, {INPUT_NAME: batch}, share_inputs=True)
    session = open_session(heads, threads=task.threads, optimize=False)
    return partial(session.run, None, {INPUT_NAME: batch})


def _measured(
    task: Task,
    backend: Backend,
    replay: Detector,
    image: UInt8Array,
    batch: UInt8Array,
    data: bytes,
    seconds: float,
) -> dict[str, float]:
    path = Path(task.images[0])
    height, width = image.shape[:2]
    calls: dict[str, Callable[[], object]] = {
        "decode": partial(decode_image, path, data),
        "resize": partial(replay.preprocess, image),
        "whole": partial(backend.infer, batch),
        "output": partial(replay.detect_preprocessed, batch[0], width=width, height=height),
    }
    heads = task.settings.get(HEADS)
    if heads:
        calls["inference"] = _without_nms(task, Path(heads), batch)
    found = time_calls(calls, rounds=_ROUNDS, at_least=3, budget_s=seconds, warm_up=2, untimed=1)
    times = {name: timing.median_ms for name, timing in found.items()}
    whole = times.pop("whole")
    if heads:
        pairs = zip(found["whole"].times_ms, found["inference"].times_ms, strict=True)
        times["nms"] = max(0.0, float(np.median([full - part for full, part in pairs])))
        times["inference"] = whole - times["nms"]
    else:
        times["inference"] = whole
    return {name: times[name] for name in STAGES if name in times}
