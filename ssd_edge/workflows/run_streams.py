"""The ``run`` command: boxes on a camera, a stream, a video or images, to files, browsers, a window or JSON lines."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import check_threshold, open_detector
from ssd_edge.core.choices import Goal
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.outputs import OutputOptions, open_outputs
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.sources.uri import file_of
from ssd_edge.streaming.timing import StageTimes
from ssd_edge.workflows.load import find_model
from ssd_edge.workflows.open_model import refuse_no_model
from ssd_edge.workflows.stream import Sources, only_source, open_with
from ssd_edge.workflows.stream_config import RunConfig, RunOptions


@dataclass(frozen=True)
class RunResult:
    """The figures of a run.

    Attributes:
        path: the video, image or folder that was written; None where none was, or no frame came.
        json_path: the file of JSON lines that was written; None as above.
        source: what was read, without any password.
        live: a camera or network stream, whose late frames are dropped.
        frames: results.
        dropped: frames of a live source that were replaced by newer ones before inference.
        seconds: from the start of capture to the last result.
        stages: times of capture, preprocess, infer, output, and end to end.
        stopped: someone ended the run before the source did.
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
    left_out: tuple[LeftOut, ...] = ()

    @property
    def fps(self) -> float:
        """Results a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


def run_streams(
    sources: Sources | None = None,
    model: AnyPath | None = None,
    *,
    config: RunConfig | None = None,
    stop: StopRequest | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[RunOptions],
) -> RunResult:
    """Detect on every frame of a source until it ends, and write the results.

    Args:
        sources: image, folder, video, camera number, ``csi://0``, RTSP or HTTP URL, or GStreamer pipeline; one for now.
            By default camera 0.
        model: an ``.engine`` or ``.onnx``; by default the workspace's current engine, or else its newest ONNX.
        config: options, in place of keywords.
        stop: ends the run in good order when it is requested: files are whole, and the result is returned.
        progress: told of each frame.
        workspace: folder with ``engines/``, for a model that is not named.
        options: fields of :class:`RunConfig`.

    Raises:
        InputError: the source or an output cannot be used; what was written before is kept and whole.
        ArtifactError: the model cannot be used.
        DeviceError: a camera, stream, display or GPU is absent or has stopped.
        MissingPackageError: the model's runtime is not installed.
    """
    chosen = config_from(RunConfig, config, options)
    check_threshold(chosen.score_threshold)
    if sources is None:
        log.info("using camera 0")
    uri = only_source(0 if sources is None else sources)
    stop = stop or StopRequest()
    with ExitStack() as stack:
        source = stack.enter_context(open_with(uri, chosen))
        path = find_model(workspace) if model is None else _named(model)
        detector = stack.enter_context(open_detector(path, _threads(chosen.threads), chosen.score_threshold))
        if chosen.score_threshold < detector.spec.nms.score_threshold:
            log.info(f"the model itself shows only what scores more than {detector.spec.nms.score_threshold:g}")
        stack.enter_context(stop.heeded())
        wanted = OutputOptions(chosen.output, chosen.json_path, chosen.serve, chosen.window)
        outputs = open_outputs(stack, source.info, [path, *file_of(uri)], wanted, stop)
        report = stack.enter_context(stage(progress, source.info.name))
        pipeline = Pipeline(source, detector, outputs.sinks, max_frames=chosen.max_frames, stop=stop, progress=report)
        summary = pipeline.run()
    for line in outputs.reports():
        log.info(line)
    return RunResult(
        path=outputs.written(chosen.output),
        json_path=outputs.written(chosen.json_path),
        source=source.info.name,
        live=source.info.live,
        frames=summary.frames,
        dropped=summary.dropped,
        seconds=summary.seconds,
        stages=summary.stages,
        stopped=summary.stopped,
    )


def _named(model: AnyPath) -> Path:
    path = Path(model)
    if path.suffix != ".pt":  # of which the backends say that it must be exported
        refuse_no_model(path)
    return path


def _threads(goal: Goal) -> Threads:
    return Threads.for_latency() if goal is Goal.LATENCY else Threads.for_throughput()
