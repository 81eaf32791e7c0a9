"""The page about one model in all its forms and a video that it was run on: the end of ``ssd-edge demo``."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from ssd_edge import __version__
from ssd_edge.backends.cpu import physical_cores
from ssd_edge.benchmarking.machine import read_machine
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import write_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.video_truth import read_video_truth, truth_path
from ssd_edge.evaluation.example_images import drawn, marked, spread
from ssd_edge.evaluation.report import write_report
from ssd_edge.evaluation.report_content import Report, StageLatency, StepTime, VideoSummary
from ssd_edge.evaluation.video import evaluate_video, read_lines
from ssd_edge.reporting.images import CaptionedImage
from ssd_edge.streaming.sinks.video import VideoSink
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.workflows.evaluate import EvaluateResult

__all__ = ["ChainReport", "StageLatency", "StepTime", "VideoRun", "write_chain_report", "write_preview"]

_STILL_SCORE = 0.5
_PREVIEW_STEP, _PREVIEW_FPS = 2, 15.0


@dataclass(frozen=True)
class VideoRun:
    """A run over a video whose truth is known.

    Attributes:
        video: what was read; its truth lies beside it.
        annotated: the video with boxes, in full.
        preview: the same, small, in a format that browsers play.
        lines: the detections as JSON lines.
        frames: number of frames.
        fps: frames a second from end to end.
        stages: how long each stage of the pipeline took.
        score_threshold: detections under it were not written.
    """

    video: Path
    annotated: Path
    preview: Path
    lines: Path
    frames: int
    fps: float
    stages: tuple[StageLatency, ...]
    score_threshold: float


@dataclass(frozen=True)
class ChainReport:
    """The page that was written.

    Attributes:
        path: the page.
        video_map: mAP on the video, 0 to 1.
        left_out: empty, as all that is given is shown.
    """

    path: Path
    video_map: float
    left_out: tuple[LeftOut, ...] = ()


def write_chain_report(
    path: AnyPath,
    evaluated: EvaluateResult,
    run: VideoRun,
    *,
    title: str,
    subtitle: str = "",
    steps: Sequence[StepTime] = (),
    stills: AnyPath,
    still_count: int = 6,
) -> ChainReport:
    """Evaluate the detections of a run against the truth of its video, and write the page.

    Args:
        path: the page.
        evaluated: the model in all its forms; the last is the one that the video was run with.
        run: over the video.
        title: of the page.
        subtitle: what the page is about; what it was made on is at its foot.
        steps: that led here.
        stills: folder for evaluated images with the last model's detections drawn in, from the worst to the best.
        still_count: number of these.

    Raises:
        InputError: a file of the run cannot be read or does not belong to its video, or the page cannot be written.
    """
    truth = read_video_truth(truth_path(run.video), evaluated.labelled.class_names)
    accuracy = evaluate_video(run.lines, truth)
    video = VideoSummary(
        annotated=run.annotated,
        preview=run.preview,
        poster=_poster(run, truth.class_names),
        lines=run.lines,
        frames=run.frames,
        fps=run.fps,
        stages=run.stages,
        accuracy=accuracy,
        score_threshold=run.score_threshold,
    )
    images = _stills(Path(stills), evaluated, evaluated.labelled, still_count)
    report = Report(title, subtitle, evaluated.models, _machine(), video, images, tuple(steps))
    write_report(Path(path), report)
    return ChainReport(Path(path), accuracy.mean_ap)


def _poster(run: VideoRun, class_names: Sequence[str]) -> UInt8Array:
    """Return the frame of the annotated video that has most detections."""
    found = read_lines(run.lines, class_names)
    busiest = max(found, key=lambda number: len(found[number]))
    with open_source(str(run.annotated)) as video:
        for frame in video:
            if frame.index == busiest:
                return frame.image
    raise ArtifactError(f"{run.annotated} is shorter than {run.lines}", wanted=f"{busiest + 1} frames")


def _stills(folder: Path, evaluated: EvaluateResult, labelled: LabelledSet, count: int) -> tuple[CaptionedImage, ...]:
    marks = marked(evaluated.models[-1].evaluation.detections, labelled, score=_STILL_SCORE)
    images = drawn(marks, labelled, spread(marks, count))
    for old in folder.glob("*.jpg"):
        old.unlink()
    for entry in images:
        write_image(folder / f"{entry.name}.jpg", entry.image)
    return images


def _machine() -> str:
    """Return what the page was made on."""
    day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return (
        f"ssd-edge {__version__}, ONNX Runtime {metadata.version('onnxruntime')}, Python {platform.python_version()}, "
        f"{read_machine().processor}, {physical_cores()} cores, {day}"
    )


def write_preview(video: AnyPath, preview: AnyPath, *, progress: ProgressCallback = no_progress) -> float:
    """Write every second frame at half the size, and return the frames a second of that.

    Browsers play VP8, and OpenCV takes too long to write it in full.

    Raises:
        InputError: the video cannot be read, or the preview cannot be written.
    """
    with open_source(str(video)) as source, stage(progress, "making the preview") as report:
        rate = (source.info.fps or _PREVIEW_FPS * _PREVIEW_STEP) / _PREVIEW_STEP
        with VideoSink(Path(preview), rate) as sink:
            for frame in source:
                if frame.index % _PREVIEW_STEP == 0:
                    small = replace(frame, image=_halved(frame.image))
                    sink.show(small, small.image)
                report(frame.index + 1, source.info.frames)
    return rate


def _halved(image: UInt8Array) -> UInt8Array:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
