"""Options of a TensorRT build."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ssd_edge.core.choices import NmsBody, Target
from ssd_edge.core.config import shown_number
from ssd_edge.core.errors import InputError
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.engines.boards import BoardProfile

_MOST_LEVEL = 5
_MOST_GIB = 1024.0


@dataclass(frozen=True)
class Batch:
    """Batch size: the smallest, the one that TensorRT optimizes for, and the largest."""

    least: int = 1
    best: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.best <= self.most:
            raise InputError(
                "--batch is not in ascending order",
                got=f"{self.least}:{self.best}:{self.most}",
                wanted="1 <= MIN <= OPT <= MAX, for example 1:4:8",
            )

    @classmethod
    def parse(cls, text: str) -> Batch:
        """Read ``4`` or ``1:4:8``.

        Raises:
            InputError: it is neither.
        """
        if not re.fullmatch(r"\d+(:\d+:\d+)?", text):
            raise InputError("--batch is invalid", got=repr(text), wanted="a number, or MIN:OPT:MAX such as 1:4:8")
        numbers = [int(part) for part in text.split(":")]
        return cls(*numbers) if len(numbers) == 3 else cls(*numbers * 3)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """All three."""
        return self.least, self.best, self.most


@dataclass(frozen=True)
class TrtOptions:
    """Options of TensorRT and TensorRT-RTX.

    Attributes:
        builder_memory_gib: workspace memory that a kernel may use, in GiB; None for TensorRT's default.
        opt_level: builder effort, from 0 (fast build) to 5; None for TensorRT's default (3).
        dla: core of the deep learning accelerator; what it cannot run falls back to the GPU. None: GPU only.
        implicit: TensorRT places INT8 itself, from a calibration cache, as a DLA needs it (up to 10.x).
        compute_capabilities: of the GPUs that a TensorRT-RTX engine is for, e.g. (86, 120).
        version_compatible: the engine runs on later releases too, more slowly.
        hardware_compatible: it runs on every GPU from Ampere on, more slowly.
        nms: what takes the place of the NMS node; None: the plugin where it is registered, else rounds written out.
    """

    batch: Batch = Batch()
    builder_memory_gib: float | None = None
    opt_level: int | None = None
    dla: int | None = None
    implicit: bool = False
    compute_capabilities: tuple[int, ...] = ()
    version_compatible: bool = False
    hardware_compatible: bool = False
    nms: NmsBody | None = None

    def __post_init__(self) -> None:
        if self.opt_level is not None and not 0 <= self.opt_level <= _MOST_LEVEL:
            raise InputError("--opt-level is out of range", got=str(self.opt_level), wanted=f"0 to {_MOST_LEVEL}")
        if self.builder_memory_gib is not None and not 0 < self.builder_memory_gib <= _MOST_GIB:
            raise InputError(
                "--builder-memory is out of range",
                got=shown_number(self.builder_memory_gib),
                wanted=f"more than 0 and at most {_MOST_GIB:g} GiB",
            )

    @property
    def takes_cache(self) -> bool:
        """Whether INT8 goes in as a calibration cache and not as Q/DQ."""
        return self.dla is not None or self.implicit

    @property
    def noted(self) -> EngineOptions:
        """The options as the manifest stores them; defaults of TensorRT are empty."""
        return EngineOptions(
            workspace_gib=self.builder_memory_gib,
            opt_level=self.opt_level,
            dla=self.dla,
            implicit=self.implicit,
            compute_capabilities=self.compute_capabilities,
            version_compatible=self.version_compatible,
            hardware_compatible=self.hardware_compatible,
        )

    def on_board(self, board: BoardProfile, target: Target | None) -> TrtOptions:
        """Return these options, completed by the values of a board's profile."""
        is_rtx = target is Target.TENSORRT_RTX  # TensorRT itself builds for the GPU that it runs on
        return replace(
            self,
            builder_memory_gib=board.builder_memory_gib if self.builder_memory_gib is None else self.builder_memory_gib,
            opt_level=board.opt_level if self.opt_level is None else self.opt_level,
            compute_capabilities=self.compute_capabilities or (board.compute_capabilities if is_rtx else ()),
        )
