"""The ``run`` command: boxes on cameras, streams, videos or images, to files, browsers, a window or JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import Unpack

from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.core.choices import Goal
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.shutdown import ReloadRequest, StopRequest
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.layout import Layout, measure_batches, open_fastest, threads_for
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.uri import parse_uri
from ssd_edge.streaming.states import StreamStatus
from ssd_edge.streaming.timing import RunSummary, StageTimes
from ssd_edge.streaming.tracking.tracker import LOW_SCORE
from ssd_edge.workflows.load import find_model
from ssd_edge.workflows.open_model import refuse_no_model
from ssd_edge.workflows.open_streams import OpenStream, StreamSet
from ssd_edge.workflows.reload import Reloader
from ssd_edge.workflows.stream_config import RunConfig, RunOptions
from ssd_edge.workflows.stream_plan import (
    Sources,
    StreamPlan,
    check_classes,
    labels_of,
    lowest_score,
    means_folder,
    plans_of,
)
from ssd_edge.workflows.streams_file import StreamsFile, read_streams_file

if TYPE_CHECKING:
    from ssd_edge.streaming.mqtt.publisher import MqttPublisher

StatusCallback = Callable[[dict[str, StreamStatus]], None]
"""Receives each stream's status by its name, several times per second."""


@dataclass(frozen=True)
class StreamFigures:
    """The figures of one stream.

    Attributes:
        name: of the stream.
        source: what was read, without any password.
        path, json_path: what was written; None where nothing was.
        live: a camera or network stream, whose late frames are dropped.
        frames: results.
        seconds: from the start to the last result.
        stages: times of capture, preprocess, infer, output, and end to end.
        status: state, reason and counts at the end.
        error: what ended it for good; empty where nothing did.
        objects: tracked objects by label, each counted once; None where they were not tracked.
    """

    name: str
    source: str
    path: Path | None
    json_path: Path | None
    live: bool
    frames: int
    seconds: float
    stages: tuple[StageTimes, ...]
    status: StreamStatus
    error: str = ""
    objects: Mapping[str, int] | None = None

    @property
    def fps(self) -> float:
        """Results a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class RunResult:
    """The figures of a run.

    Attributes:
        path: the video, image or folder that was written, of the first stream; None where none was, or no frame came.
        json_path: the file of JSON lines that was written, of the first stream; None as above.
        source: what was read, without any password; of several the names, with commas.
        live: cameras or network streams, whose late frames are dropped.
        frames: results of all streams.
        dropped: frames of live sources that were replaced by newer ones before inference, or were too old.
        seconds: from the start of capture to the last result.
        stages: times of capture, preprocess, infer, output, and end to end, of all streams.
        stopped: someone ended the run before the sources did.
        streams: each stream's own.
        left_out: what could not be used.
    """

    path: Path | None
    json_path: Path | None
    source: str
    live: bool
    frames: int
    dropped: int
    seconds: float
    stages: tuple[StageTimes, ...]
    stopped: bool
    streams: tuple[StreamFigures, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def fps(self) -> float:
        """Results a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def failed(self) -> tuple[StreamFigures, ...]:
        """The streams that stopped for good by an error."""
        return tuple(stream for stream in self.streams if stream.error)


@with_named_resources
def run_streams(
    sources: Sources | None = None,
    model: AnyPath | None = None,
    *,
    config: RunConfig | None = None,
    streams_file: AnyPath | None = None,
    stop: StopRequest | None = None,
    reload: ReloadRequest | None = None,
    status: StatusCallback = lambda _: None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[RunOptions],
) -> RunResult:
    """Detect on every frame of the sources until they end, and write the results.

    Several sources share one engine. One that stops for good, or whose output fails, ends alone: ``RunResult.failed``.

    Args:
        sources: image, folder, video, camera number, ``csi://0``, RTSP or HTTP URL, or GStreamer pipeline; or a list of
            these, of which several images are one source. By default camera 0.
        model: an ``.engine`` or ``.onnx``; by default the workspace's current engine, or another form of its model.
        config: options, in place of keywords.
        streams_file: a ``streams.toml`` with sources and their options, in place of ``sources`` and options.
        stop: ends the run in good order when it is requested: files are whole, and the result is returned.
        reload: when it is requested, ``streams_file`` is read again, and the workspace's current engine takes over.
        status: receives the streams' states, on the caller's thread.
        progress: receives each frame.
        workspace: folder with ``engines/``, for a model that is not named.
        options: fields of :class:`RunConfig`.

    Raises:
        InputError: a source or an output cannot be used; what was written before is kept and whole.
        ArtifactError: the model cannot be used.
        DeviceError: the only camera, a display or the GPU is absent or has stopped.
        InferenceHangError: an inference does not come back; what was written is whole.
        MissingPackageError: the model's runtime is not installed.
    """
    file = None if streams_file is None else read_streams_file(streams_file, sources, model, config, options)
    chosen = file.config if file is not None else config_from(RunConfig, config, options)
    if file is None and sources is None:
        log.info("using camera 0")
    if file is not None:
        plans = list(file.plans)
    else:
        written = options.get("json_path") if config is None else config.json_path
        plans = plans_of(0 if sources is None else sources, chosen, json_folder=means_folder(written))
    # Streams of a file may come to want less than those that it begins with.
    lowest = min(lowest_score(plan.config, plan.config.score_threshold) for plan in plans) if file is None else 0.0
    serve_metrics = _metrics_server(chosen.metrics)  # refused, if at all, before anything is opened or replaced
    mqtt = _mqtt_publisher(chosen.mqtt)
    stop, reload = stop or StopRequest(), reload or ReloadRequest()
    with ExitStack() as stack:
        streams = stack.enter_context(StreamSet(stop, shares=file is not None, mqtt=mqtt))
        scaled = any(plan.config.scale_in_decoder for plan in plans)
        opened = [] if scaled else [streams.open_source(plan, alone=len(plans) == 1) for plan in plans]
        if mqtt is not None:
            stack.enter_context(mqtt)  # connects while the engine is opened

        def find(now: StreamsFile | None) -> Path:
            named = model if model is not None or now is None else now.model
            return find_model(workspace) if named is None else _named(named)

        def reopen(path: Path) -> Detector:
            return open_detector(path, layout.threads, lowest, chosen.device)

        # Streams of a file may become others, which need no layout for those that it begins with.
        goal = _goal([entry.source for entry in opened]) if file is None else Goal.LATENCY
        layout = _layout(find(file), chosen, lowest, len(plans), goal)
        slot = EngineSlot(layout.detector, labels_of(plans), owns=True)
        stack.callback(slot.close)
        check_classes(plans, layout.detector.class_names)
        _say_least_threshold(layout.detector, plans)
        size = layout.detector.input_size
        opened += [streams.open_source(plan, alone=len(plans) == 1, input_size=size) for plan in plans if scaled]
        stack.enter_context(stop.active())
        stack.enter_context(reload.active())
        ready = [streams.open_outputs(entry, layout.detector.path) for entry in opened if entry.source is not None]
        report = stack.enter_context(stage(progress, _title(opened)))
        reloader = Reloader(reload, slot, streams, find, reopen, file)
        stack.callback(reloader.end)
        pipeline = Pipeline(
            ready,
            slot,
            max_batch=layout.batch,
            batch_wait_s=chosen.batch_wait_ms / 1000,
            hang_s=chosen.hang_timeout,
            stop=stop,
            progress=report,
            tick=lambda: reloader.tick(pipeline, status),
            dynamic=file is not None,
        )
        serve_metrics(stack, streams, pipeline, slot, chosen.hang_timeout)
        summary = pipeline.run()
    for line in streams.reports():
        log.info(line)
    for lost in streams.left_out():
        log.warning(str(lost))
    return _result(streams, pipeline, summary)


def _metrics_server(address: str | None) -> Callable[[ExitStack, StreamSet, Pipeline, EngineSlot, float], None]:
    """Return the function that serves the metrics at an address; without one it does nothing."""
    if address is None:
        return lambda *_: None
    from ssd_edge.streaming.web.access import Address
    from ssd_edge.workflows.run_metrics import serve_metrics

    return partial(serve_metrics, Address.parse(address, "--metrics"))


def _mqtt_publisher(address: str | None) -> MqttPublisher | None:
    """Return what publishes at the broker of an address; without one None."""
    if address is None:
        return None
    from ssd_edge.streaming.mqtt.broker import Broker
    from ssd_edge.streaming.mqtt.publisher import MqttPublisher

    return MqttPublisher(Broker.parse(address))


def _layout(path: Path, config: RunConfig, threshold: float, streams: int, goal: Goal) -> Layout:
    """Return the detector, and how the work is laid out: as asked for, or by measurement where several share it.

    Args:
        path: of the model.
        config: options.
        threshold: score threshold of the detector.
        streams: that share it.
        goal: of one stream, where none is asked for.
    """
    if config.optimize_for is None and streams > 1 and config.max_batch is None:
        return open_fastest(lambda threads: open_detector(path, threads, threshold, config.device), streams)
    threads = threads_for(config.optimize_for or goal)
    detector = open_detector(path, threads, threshold, config.device)
    if config.max_batch is not None or streams == 1:
        return Layout(detector, threads, config.max_batch or 1)
    return Layout(detector, threads, measure_batches(detector, streams).batch)


def _goal(sources: Sequence[Source | None]) -> Goal:
    """Return throughput for files of several frames: nobody waits for a single one of them, as for a camera's."""
    infos = [source.info for source in sources if source is not None]
    from_files = infos and all(not info.live and info.frames != 1 for info in infos)
    return Goal.THROUGHPUT if from_files else Goal.LATENCY


def _say_least_threshold(detector: Detector, plans: Sequence[StreamPlan]) -> None:
    """Log that a threshold, or the score of the weak detections that continue tracks, is below the model's own."""
    least = detector.spec.nms.score_threshold
    if any(plan.config.score_threshold < least for plan in plans):
        log.info(f"the model was exported with score threshold {least:g}")
    elif least > LOW_SCORE and any(plan.config.track for plan in plans):
        log.info(
            f"the model was exported with score threshold {least:g}: no detection between {LOW_SCORE:g} and {least:g} "
            "can continue a track"
        )


def _title(opened: Sequence[OpenStream]) -> str:
    sources = [entry.source for entry in opened if entry.source is not None]
    return sources[0].info.name if len(sources) == 1 else f"{len(sources)} streams"


def _result(streams: StreamSet, pipeline: Pipeline, summary: RunSummary) -> RunResult:
    everything = [*streams.closed, *streams.streams]
    each = tuple(_stream_result(streams, pipeline, opened) for opened in everything)
    return RunResult(
        path=each[0].path,
        json_path=each[0].json_path,
        source=", ".join(stream.source for stream in each),
        live=any(stream.live for stream in each),
        frames=summary.frames,
        dropped=summary.dropped,
        seconds=summary.seconds,
        stages=summary.stages,
        stopped=summary.stopped,
        streams=each,
        left_out=streams.left_out()
        + tuple(lost for opened in everything if opened.source for lost in opened.source.left_out),
    )


def _stream_result(streams: StreamSet, pipeline: Pipeline, opened: OpenStream) -> StreamFigures:
    path, json_path = streams.written(opened)
    error = opened.error or pipeline.error_of(opened.source)
    summary = pipeline.summary_of(opened.source)
    return StreamFigures(
        name=opened.plan.name,
        source=opened.source.info.name if opened.source is not None else parse_uri(opened.plan.uri).shown,
        path=path,
        json_path=json_path,
        live=opened.source is not None and opened.source.info.live,
        frames=summary.frames,
        seconds=summary.seconds,
        stages=summary.stages,
        status=opened.status,
        error="" if error is None else str(error),
        objects=None if opened.objects is None else dict(opened.objects.counts),
    )


def _named(model: AnyPath) -> Path:
    path = Path(model)
    if path.suffix != ".pt":  # of which the backends say that it must be exported
        refuse_no_model(path)
    return path
