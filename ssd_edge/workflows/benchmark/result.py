"""Result of a benchmark: figures of every contestant, the machine, and what others did meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ssd_edge.benchmarking.load import NeighborLoad
from ssd_edge.benchmarking.machine import Machine
from ssd_edge.benchmarking.power import Reading
from ssd_edge.core.intervals import Interval, verdict
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.timing import Spread

BENCH_FORMAT = "ssd-edge/bench/1"


@dataclass(frozen=True)
class Throughput:
    """Images a second, without a pause between two.

    Attributes:
        workers: inferences at once.
        threads: of each; 0 on a GPU.
        batch: images that are inferred together.
        callers: streams that ask at once.
        fps: images a second of all together.
        p50_ms, p99_ms: what a call of one of them takes.
    """

    workers: int
    threads: int
    batch: int
    callers: int
    fps: float
    p50_ms: float
    p99_ms: float

    @property
    def layout(self) -> str:
        """The layout in words, e.g. ``2 × 1 thread``."""
        if self.threads == 0:
            return "GPU" + (f", batch {self.batch}" if self.batch > 1 else "")
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.workers} × {threads}" + (f", batch {self.batch}" if self.batch > 1 else "")


@dataclass(frozen=True)
class GpuMode:
    """An engine of TensorRT in trtexec's terms, one image after the other.

    Attributes:
        mode: ``enqueue`` or ``graph``.
        qps: images a second.
        median_ms, p99_ms: by the names that trtexec prints.
    """

    mode: str
    qps: float
    median_ms: Mapping[str, float]
    p99_ms: Mapping[str, float]


@dataclass(frozen=True)
class Contestant:
    """Figures of one contestant.

    Attributes:
        name: what it is called; unique in a run.
        group: the network; ratios are to the first contestant of the group.
        runtime: what computes.
        precision: what it computes in.
        note: what a reader must know of it.
        latency: median of the blocks' medians, image to boxes, in milliseconds.
        times: percentiles over all calls, in milliseconds.
        calls: that were timed.
        block_medians_ms: the median of each block, in the order of the rounds.
        ratio: how many times as long as the reference, the median over pairs of blocks; None of the reference itself.
        agreement: share of the reference's detections that it has too, 0 to 1; None where nothing was compared.
        detections: in the mean of an image.
        cold_start_s: from starting its process to its first detections, once for each launch.
        memory_mib: the most resident memory of its process before throughput was measured.
        run_start_s: of ``ssd-edge run`` from the start of the process to the first line; None for peers.
        run_memory_mib: the most memory up to there.
        throughput: of each layout of threads that was tried; the best first.
        batches: of several batch sizes, with the best layout.
        streams: of several streams at once, with the best layout.
        stages_ms: of each stage of an image's way: ``decode``, ``resize``, ``inference``, ``nms``, ``output``; without
            ``nms`` where it cannot be separated from ``inference``.
        macs: multiply-adds of an image; None where the exported ONNX is not here.
        peak_share: share of the processor's measured peak in this type, 0 to 1.
        gpu: of an engine of TensorRT.
        power: clocks and power meanwhile, by name with the unit.
    """

    name: str
    group: str
    runtime: str
    precision: str
    note: str
    latency: Interval
    times: Spread
    calls: int
    block_medians_ms: tuple[float, ...]
    ratio: Interval | None = None
    agreement: float | None = None
    detections: float = 0.0
    cold_start_s: tuple[float, ...] = ()
    memory_mib: float = 0.0
    run_start_s: float | None = None
    run_memory_mib: float | None = None
    throughput: tuple[Throughput, ...] = ()
    batches: tuple[Throughput, ...] = ()
    streams: tuple[Throughput, ...] = ()
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    macs: int | None = None
    peak_share: float | None = None
    gpu: tuple[GpuMode, ...] = ()
    power: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``reference``, or how it compares: ``faster``, ``slower``, or ``same`` where no difference was found."""
        return "reference" if self.ratio is None else verdict(self.ratio)

    @property
    def fps(self) -> float | None:
        """Images a second with the best layout; None where it was not measured."""
        return self.throughput[0].fps if self.throughput else None


@dataclass(frozen=True)
class Peak:
    """The most operations a second that a large matrix product reached here.

    Attributes:
        gops: giga-operations a second; a multiply-add is two.
        library: that reached it.
    """

    gops: float
    library: str


@dataclass(frozen=True)
class BenchResult:
    """A benchmark.

    Attributes:
        path: the page that was written, HTML before Markdown; None where none was asked for.
        contestants: in the order in which they were given, peers behind their group.
        machine: that it was made on.
        load: what other processes did while it was measured.
        peaks: of the processor, by type: ``f32``, ``bf16``, ``int8``.
        busy: busy processes that were started beside the rounds, as was asked for.
        images: what was measured on, in words.
        confidence: that the intervals were to have.
        rounds: blocks of each contestant.
        launches: of each contestant's process.
        threads: of one inference where latency was measured.
        seconds: that all of it took.
        throttled: how often the processor was slowed down for heat meanwhile; None where that is not known.
        at: when it ended, ISO 8601 in UTC.
        left_out: contestants that could not be measured.
    """

    path: Path | None
    contestants: tuple[Contestant, ...]
    machine: Machine
    load: NeighborLoad
    peaks: Mapping[str, Peak]
    busy: int
    images: str
    confidence: float
    rounds: int
    launches: int
    threads: int
    seconds: float
    throttled: int | None
    at: str
    left_out: tuple[LeftOut, ...] = ()

    @property
    def is_disturbed(self) -> bool:
        """Whether the figures stand beside a busy neighbor, or a processor that was slowed down."""
        return self.load.is_disturbed or bool(self.throttled)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what makes the figures worth less, worst first."""
        found = []
        if self.load.is_disturbed:
            found.append(f"NOT ALONE: {self.load}")
        if self.throttled:
            found.append(f"the processor was slowed down for heat {self.throttled} times meanwhile")
        return (*found, *self.machine.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        fields = asdict(self)
        fields["path"] = str(self.path) if self.path is not None else None
        for entry, contestant in zip(fields["contestants"], self.contestants, strict=True):
            entry["verdict"] = contestant.verdict
        fields["load"]["is_disturbed"] = self.load.is_disturbed
        fields["load"].pop("spans")
        fields["load"] |= {"spans": len(self.load.spans), "disturbed_spans": self.load.disturbed_spans}
        return {"format": BENCH_FORMAT, "is_disturbed": self.is_disturbed, "warnings": list(self.warnings), **fields}

    def to_json(self) -> str:
        """Return everything as JSON, ``ssd-edge/bench/1``."""
        return json.dumps(self.to_dict(), indent=1) + "\n"
