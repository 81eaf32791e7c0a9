"""The options of a benchmark, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Peer, Precision, Target
from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.intervals import CONFIDENCE

_LIMITS = {
    "classes": (1, 10_000),
    "cores": (1, math.inf),
    "score_threshold": (0.0, 0.9999),
    "seconds": (0.1, math.inf),
    "rounds": (6, 10_000),
    "launches": (1, 100),
    "busy": (0, 1000),
    "confidence": (0.5, 0.9999),
}


@dataclass(frozen=True)
class BenchConfig:
    """Options for measuring contestants.

    Attributes:
        against: other detectors and runtimes to measure beside ours, on the same images and, where the network is the
            same, the same weights.
        images: an image or a folder of images to measure on; None for drawn scenes of 640×480.
        precisions: of the engines that are built of a preset.
        targets: runtimes of these; empty for the one that ``build`` chooses.
        classes: of a preset.
        cores: processor cores to use; None for all.
        score_threshold: below it nothing is reported, 0 to 1; None for the model's own.
        seconds: for the interleaved rounds, all contestants together.
        rounds: blocks of each contestant; fewer where ``seconds`` do not suffice, six at least.
        launches: how often each contestant's process is started; rounds are shared among the launches.
        confidence: of the intervals, 0 to 1.
        busy: processes that are kept busy beside the rounds, to see who stands a neighbor.
        quick: measure latency, start and memory only.
        scaling: measure batches of 1 to 8 and 1 to 8 streams too.
        roofline: measure the processor's peak, and say which share of it each model uses.
        html: the HTML page to write; None for none.
        markdown: the Markdown page to write; None for none.
    """

    against: tuple[Peer, ...] = ()
    images: Path | None = None
    precisions: tuple[Precision, ...] = (Precision.FP32, Precision.INT8)
    targets: tuple[Target, ...] = ()
    classes: int = 20
    cores: int | None = None
    score_threshold: float | None = None
    seconds: float = 8.0
    rounds: int = 21
    launches: int = 3
    confidence: float = CONFIDENCE
    busy: int = 0
    quick: bool = False
    scaling: bool = False
    roofline: bool = False
    html: Path | None = None
    markdown: Path | None = None

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)


class BenchOptions(TypedDict, total=False):
    """The fields of :class:`BenchConfig`, as keywords."""

    against: Sequence[Peer | Literal["torchvision", "onnxruntime", "openvino", "opencv-dnn", "ultralytics"]]
    images: AnyPath | None
    precisions: Sequence[Precision | Literal["fp32", "fp16", "bf16", "int8", "int8-fp16"]]
    targets: Sequence[Target | Literal["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"]]
    classes: int
    cores: int | None
    score_threshold: float | None
    seconds: float
    rounds: int
    launches: int
    confidence: float
    busy: int
    quick: bool
    scaling: bool
    roofline: bool
    html: AnyPath | None
    markdown: AnyPath | None
