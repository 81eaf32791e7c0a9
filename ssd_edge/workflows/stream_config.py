"""Options of streaming and of ``run``, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Goal
from ssd_edge.core.config import AnyPath, check_limits

_LIMITS = {
    "width": (1, math.inf),
    "height": (1, math.inf),
    "max_frames": (1, math.inf),
    "rtsp_latency_ms": (0, math.inf),
    "reconnect": (0, math.inf),
}


@dataclass(frozen=True)
class StreamConfig:
    """How a source is read.

    Attributes:
        width, height: size that a camera is asked for, in pixels; None leaves it to the driver.
        fps: frames a second that a camera is asked for; None leaves it to the driver.
        pace: plays a file or folder at this many frames a second, as a camera would; None plays it without loss.
        loop: plays a file or folder for ever.
        max_frames: ends after this many frames; None for all.
        rtsp_latency_ms: milliseconds that a network stream may hold frames back to put them in order.
        reconnect: tries to open a camera or stream again that stopped.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    pace: float | None = None
    loop: bool = False
    max_frames: int | None = None
    rtsp_latency_ms: int = 200
    reconnect: int = 5

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
    reconnect: int


@dataclass(frozen=True)
class RunConfig(StreamConfig):
    """What is read, how, and where the results go; see :class:`~ssd_edge.workflows.stream.StreamConfig` too.

    Attributes:
        output: video (.mp4, .avi, .webm, .mkv), image, or folder of images, with the boxes drawn in.
        json_path: file of JSON lines, one a frame; ``-`` for stdout.
        serve: ``[HOST:]PORT`` to show the frames at in web browsers; without HOST only on this machine.
        window: whether to show a window; None for one where nothing else is asked for and there is a display.
        score_threshold: shows what scores more, from 0 to 1.
        threads: what the cores are spread for.
    """

    output: Path | None = None
    json_path: Path | None = None
    serve: str | None = None
    window: bool | None = None
    score_threshold: float = 0.5
    threads: Goal = Goal.LATENCY


class RunOptions(StreamOptions, total=False):
    """The fields of :class:`RunConfig` as keywords."""

    output: AnyPath | None
    json_path: AnyPath | None
    serve: str | None
    window: bool | None
    score_threshold: float
    threads: Goal | Literal["latency", "throughput"]
