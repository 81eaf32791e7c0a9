"""A result of which every field is filled, for pages, tables and the schema."""

from __future__ import annotations

from ssd_edge.benchmarking.load import NeighborLoad, Span
from ssd_edge.benchmarking.machine import Machine
from ssd_edge.benchmarking.power import Reading
from ssd_edge.core.intervals import median_interval, paired_ratio
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.timing import Spread
from ssd_edge.workflows.benchmark.result import BenchResult, Contestant, GpuMode, Peak, Throughput

FAST = (8.0, 8.1, 8.2, 8.0, 8.3, 8.1)
SLOW = (16.1, 16.0, 16.5, 16.2, 16.4, 16.3)


def made_result(*, others: float = 0.6) -> BenchResult:
    fast = Contestant(
        "net int8", "net", "onnxruntime", "int8", "random weights", median_interval(FAST), Spread.of(FAST), 60, FAST,
        detections=12.5, cold_start_s=(0.3, 0.5, 0.4), memory_mib=111.0, run_start_s=0.61, run_memory_mib=133.0,
        throughput=(Throughput(2, 1, 1, 2, 240.0, 8.0, 9.5), Throughput(1, 2, 1, 1, 200.0, 5.0, 6.0)),
        batches=(Throughput(2, 1, 1, 2, 240.0, 8.0, 9.5), Throughput(2, 1, 4, 2, 260.0, 30.0, 33.0)),
        streams=(Throughput(2, 1, 1, 1, 125.0, 8.0, 9.5), Throughput(2, 1, 1, 4, 241.0, 16.0, 18.0)),
        stages_ms={"decode": 1.0, "resize": 0.2, "inference": 7.0, "nms": 0.7, "output": 0.1},
        macs=443_288_384, peak_share=0.117,
    )  # fmt: skip
    slow = Contestant(
        "net torchvision fp32", "net", "torchvision", "fp32", "eager mode", median_interval(SLOW), Spread.of(SLOW), 30,
        SLOW, ratio=paired_ratio(SLOW, FAST), agreement=0.97, detections=13.0, cold_start_s=(2.5,), memory_mib=730.0,
    )  # fmt: skip
    gpu = Contestant(
        "engine", "net", "tensorrt", "fp16", "", median_interval(FAST), Spread.of(FAST), 60, FAST,
        ratio=paired_ratio(FAST, FAST),
        gpu=(GpuMode("graph", 900.0, {"Latency": 1.1, "Enqueue Time": 0.02}, {"Latency": 1.3, "Enqueue Time": 0.05}),),
        power={"power, W": Reading(40.0, 220.0, 305.0)},
    )  # fmt: skip
    machine = Machine(
        "Some CPU", "x86_64+avx2", 2, 4, 24.0, "powersave", False, 3, "Linux 6, Python 3.11", "", {"onnx": "1"}
    )
    spans = tuple(Span(0.5, others, 0.0) for _ in range(10))
    return BenchResult(
        None, (fast, slow, gpu), machine, NeighborLoad(spans, others, 0.01, (("make", others), ("sshd", 0.0))),
        {"f32": Peak(450.0, "torch"), "int8": Peak(1800.0, "onnxruntime")}, 0, "4 drawn scenes of 640×480", 0.95, 6, 2,
        2, 31.5, 0, "2026-11-30T12:00:00+00:00", (LeftOut("ultralytics beside net", "it is not installed"),),
    )  # fmt: skip
