"""Options of streaming and of ``run``, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Goal, OnFailure
from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.errors import InputError, keyword

_LIMITS = {
    "width": (1, math.inf),
    "height": (1, math.inf),
    "max_frames": (1, math.inf),
    "rtsp_latency_ms": (0, math.inf),
    "max_retries": (0, math.inf),
    "stall_timeout": (0.1, 3600),
    "max_frame_age": (0.1, math.inf),
    "track_timeout": (0, 3600),
    "every": (1, math.inf),
    "max_batch": (1, 1024),
    "batch_wait_ms": (0, 10_000),
    "hang_timeout": (1, math.inf),
}
_RUN_LIMITS = {"keep_days": (0.001, math.inf), "keep_gb": (0.000001, math.inf), "fsync": (0, math.inf)}


@dataclass(frozen=True)
class StreamConfig:
    """Options of reading sources and of inference.

    Attributes:
        width, height: size that a camera is asked for, in pixels; None leaves it to the driver.
        fps: frames a second that a camera is asked for; None leaves it to the driver.
        pace: plays a file or folder at this many frames a second, as a camera would; None plays it without loss.
        loop: plays a file or folder without end.
        max_frames: ends after this many frames of each source; None for all.
        rtsp_latency_ms: milliseconds that a network stream may hold frames back to put them in order.
        max_retries: tries in a row to open a camera or stream that is absent or stopped; None for no limit.
        wait: waits also for a local camera that is absent at the beginning; network sources are waited for anyway.
        stall_timeout: seconds without a frame that are a stall, or two frame intervals where that is longer; after as
            long again the source is opened anew.
        max_frame_age: seconds; a live frame that is older when its turn comes is dropped.
        every: infers each N-th frame.
        detect_fps: infers at most so many frames a second; None for all.
        motion: infers only frames in which this share of the scene changed, from 0 to 1, and one in five seconds; None
            for all.
        classes: labels of the detections to keep; None for all.
        thresholds: score thresholds of some labels.
        track: gives each object an id that it keeps from frame to frame (``track_id``). A score threshold then decides
            which detections begin a track; weaker ones, with scores above 0.1, may continue it. ``ssd.stream`` takes
            the detector's threshold, or 0.5 where it has none above the model's own.
        track_timeout: seconds that a track lives without a detection, or three usual frame intervals where that is
            longer; at least 6 with ``motion``.
        masks: polygons that are black before inference and in all that is shown and kept: corners in fractions of the
            frame or in pixels, ``"0,0 0.5,0 0.5,0.3"``.
        scale_in_decoder: has the decoder's hardware deliver an RTSP stream at the network's size; nothing can show or
            keep its frames then, and ``frame.image`` is the small one.
        max_batch: frames that are inferred together at most; None for what is measured to be fastest.
        batch_wait_ms: milliseconds that a frame may wait for those of other streams, to be inferred with them.
        hang_timeout: seconds after which an inference has hung.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    pace: float | None = None
    loop: bool = False
    max_frames: int | None = None
    rtsp_latency_ms: int = 200
    max_retries: int | None = None
    wait: bool = False
    stall_timeout: float = 2.0
    max_frame_age: float = 2.0
    every: int = 1
    detect_fps: float | None = None
    motion: float | None = None
    classes: tuple[str, ...] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    track: bool = False
    track_timeout: float = 1.0
    masks: tuple[str, ...] = ()
    scale_in_decoder: bool = False
    max_batch: int | None = None
    batch_wait_ms: float = 5.0
    hang_timeout: float = 30.0

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)


class StreamOptions(TypedDict, total=False):
    """The fields of :class:`StreamConfig` as keywords."""

    width: int | None
    height: int | None
    fps: float | None
    pace: float | None
    loop: bool
    max_frames: int | None
    rtsp_latency_ms: int
    max_retries: int | None
    wait: bool
    stall_timeout: float
    max_frame_age: float
    every: int
    detect_fps: float | None
    motion: float | None
    classes: Sequence[str] | None
    thresholds: Mapping[str, float]
    track: bool
    track_timeout: float
    masks: Sequence[str]
    scale_in_decoder: bool
    max_batch: int | None
    batch_wait_ms: float
    hang_timeout: float


@dataclass(frozen=True)
class RunConfig(StreamConfig):
    """Options of ``run``: sources, inference and outputs; see also :class:`StreamConfig`.

    Attributes:
        output: video (.mp4, .avi, .webm, .mkv), image, or folder of images, with the boxes drawn in. Of several
            sources: a folder, with a video of each.
        json_path: file of JSON lines, one a frame; ``-`` for stdout. A folder that exists, or text that ends in a
            slash, gets a file for each source. Of several sources: one file for all, each line with its stream, or a
            folder (also a name without a suffix).
        serve: ``[HOST:]PORT`` to show the frames at in web browsers; without HOST only on this machine. Several
            sources are at this port and those that follow it.
        window: whether to show a window; None for one where nothing else is asked for and there is a display. With
            several sources there is none.
        score_threshold: shows what scores more, from 0 to 1.
        optimize_for: ``latency`` uses all cores for one frame, ``throughput`` one core per frame; None for latency with
            one camera or image, for throughput with one video or folder, and for the faster one, as measured, with
            several sources.
        metrics: ``[HOST:]PORT`` to serve Prometheus' metrics and the run's health at; without HOST only on this
            machine.
        mqtt: ``mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/[PREFIX]`` of a broker to publish detections and states at. The
            environment may have the password, in ``SSD_EDGE_MQTT_PASSWORD``. Parameters: ``password_file``, and of TLS
            ``ca``, ``cert`` and ``key``.
        device: what an engine of OpenVINO computes on: ``cpu``, ``gpu``, ``gpu:1``, ``npu``, or ``auto`` for what it
            chooses. None for the processor, and for what other engines were built for.
        cut: begins a new video and a new file of JSON lines so often (``10m``, ``1h``, ``1d``, by the clock in UTC)
            or at this size (``500MB``); each has its time in its name. None for one file.
        keep_days: removes pieces that began longer ago, in days.
        keep_gb: removes the oldest pieces of all streams' outputs while there are more gigabytes (10**9 bytes) of them.
        fsync: waits for the disk at most this often, in seconds; 0 after each line; None for never.
        on_failure: what becomes of the run when an output can no longer be written.
        blur: labels of objects that are made unrecognizable in what is shown and kept.
    """

    output: Path | None = None
    json_path: Path | None = None
    serve: str | None = None
    window: bool | None = None
    score_threshold: float = 0.5
    optimize_for: Goal | None = None
    metrics: str | None = None
    mqtt: str | None = field(default=None, repr=False)
    device: str | None = None
    cut: str | None = None
    keep_days: float | None = None
    keep_gb: float | None = None
    fsync: float | None = None
    on_failure: OnFailure = OnFailure.GO_ON
    blur: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_limits(self, _RUN_LIMITS)
        if self.cut is None and (self.keep_days is not None or self.keep_gb is not None):
            raise InputError(
                f"{keyword('keep_days')} and {keyword('keep_gb')} need {keyword('cut')}",
                do=f"Add {keyword('cut', '1h')}.",
            )
        sharp = sorted(set(self.blur) - set(self.blur if self.classes is None else self.classes))
        if sharp:
            raise InputError(
                f"{', '.join(sharp)} cannot be blurred",
                got=f"{keyword('classes')} without this class",
                wanted=f"every class to blur also in {keyword('classes')}",
            )


class RunOptions(StreamOptions, total=False):
    """The fields of :class:`RunConfig` as keywords."""

    output: AnyPath | None
    json_path: AnyPath | None
    serve: str | None
    window: bool | None
    score_threshold: float
    optimize_for: Goal | Literal["latency", "throughput"] | None
    metrics: str | None
    mqtt: str | None
    device: str | None
    cut: str | None
    keep_days: float | None
    keep_gb: float | None
    fsync: float | None
    on_failure: OnFailure | Literal["go-on", "stop"]
    blur: Sequence[str]
