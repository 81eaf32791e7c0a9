"""Contents of an evaluation report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.frame import UInt8Array
from ssd_edge.evaluation.evaluate import EvaluatedModel
from ssd_edge.evaluation.mean_ap import MeanAp
from ssd_edge.reporting.images import CaptionedImage


@dataclass(frozen=True)
class StageLatency:
    """Milliseconds of one stage of the pipeline: half, 95 and 99 of 100 frames need at most this."""

    stage: str
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class VideoSummary:
    """A run over a video.

    Attributes:
        annotated: the video with boxes, in full.
        preview: the video with boxes in a format that browsers play; it may be the same file.
        poster: a frame of it that is shown until it plays.
        lines: the JSON lines.
        accuracy: against the video's labels; None where it has none.
        score_threshold: detections under it were not written, which shortens the curves and lowers the AP.
        fps: frames in a second from end to end.
    """

    annotated: Path
    preview: Path
    poster: UInt8Array
    lines: Path
    frames: int
    fps: float
    stages: tuple[StageLatency, ...]
    accuracy: MeanAp | None
    score_threshold: float


@dataclass(frozen=True)
class StepTime:
    """A step that led here, e.g. ``train``, what it did, and how long it took."""

    name: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """Everything on the page; an empty tuple, or None, leaves its section out.

    Attributes:
        models: at least one; the last is the one that is deployed, and gives the big figures.
        footer: what it was measured on.
    """

    title: str
    subtitle: str
    models: tuple[EvaluatedModel, ...]
    footer: str
    video: VideoSummary | None = None
    stills: tuple[CaptionedImage, ...] = ()
    steps: tuple[StepTime, ...] = ()
