"""The options of labelling, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import LabelEngine, LabelFormat
from ssd_edge.core.config import AnyPath, check_limits, check_number
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.stream_config import RunConfig


@dataclass(frozen=True)
class LabelConfig:
    """Options for labelling images.

    Attributes:
        output: folder of the job: new, empty, or one with this very job, which then goes on.
        score_threshold: keep detections that score more, 0 to 1; 0 for all that the model was exported to give.
        format: write the rows as a data set in this layout too, with links to the images; None for Parquet alone.
        shard: (i, n) labels every n-th part only, beginning with the i-th; i from 1.
        engine: ``local`` works on this machine; ``ray`` on the cluster that Ray is connected to or finds.
        threads: batches that are read and inferred at a time, a core each; by default one for each core, and on Ray
            4 cores an actor. More than cores help where reading is slow.
        batch: images of a batch; by default 8, or what the engine takes at most.
        every: label every N-th frame of a video.
        images_per_part: images of one Parquet file; a kill loses the work on those that are not written yet.
        retry_errors: first remove the parts in which an image could not be read, so that they are labelled again.
        device: that computes: of a checkpoint ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``, of an engine for
            OpenVINO ``cpu``, ``gpu`` or ``npu``; others have no choice. On Ray ``cuda`` for a checkpoint: Ray gives
            each actor its GPU.
    """

    output: Path = Path("labels")
    score_threshold: float = RunConfig.score_threshold
    format: LabelFormat | None = None
    shard: tuple[int, int] = (1, 1)
    engine: LabelEngine = LabelEngine.LOCAL
    threads: int | None = None
    batch: int | None = None
    every: int = 1
    images_per_part: int = 1024
    retry_errors: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        bounds = {"threads": (1, 1024), "batch": (1, 4096), "every": (1, math.inf), "images_per_part": (1, 1_000_000)}
        check_limits(self, {"score_threshold": (0.0, 0.9999), **bounds})
        for name in bounds:
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), whole=True)
        if self.engine is LabelEngine.RAY and ":" in self.device:
            raise InputError(
                "the number of a device cannot be chosen with Ray, which assigns the GPUs",
                got=f"device {self.device}",
                wanted=f"device {self.device.partition(':')[0]}",
            )
        number, count = self.shard
        if not 1 <= number <= count:
            raise InputError("the shard is out of range", got=f"{number} of {count}", wanted="i of n with 1 <= i <= n")


class LabelOptions(TypedDict, total=False):
    """The fields of :class:`LabelConfig`, as keywords."""

    output: AnyPath
    score_threshold: float
    format: LabelFormat | Literal["voc", "coco", "yolo"] | None
    shard: tuple[int, int]
    engine: LabelEngine | Literal["local", "ray"]
    threads: int | None
    batch: int | None
    every: int
    images_per_part: int
    retry_errors: bool
    device: str
