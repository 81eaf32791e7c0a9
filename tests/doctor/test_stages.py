from __future__ import annotations

import pytest

from ssd_edge.backends.tensorrt.profile import GpuStageTimes
from ssd_edge.core.timing import Spread
from ssd_edge.doctor.verdict import graph_gain, stage_table


def times(mode: str, host: float) -> GpuStageTimes:
    return GpuStageTimes(mode, [0.1, 0.3], [1.0, 2.0], [0.2, 0.2], [0.01, 0.02], [host, host + 2], b"")


def test_latency_is_the_sum_of_the_stages_of_each_frame() -> None:
    table = stage_table(times("enqueue", host=2.0))
    assert table.rows["Latency"].minimum == pytest.approx(1.3)
    assert table.rows["Latency"].maximum == pytest.approx(2.5)
    assert table.rows["Host overhead"].mean == pytest.approx((0.7 + 1.5) / 2)
    assert table.throughput == pytest.approx(1000 * 2 / 6)


def test_a_spread_has_the_percentiles_of_its_values() -> None:
    spread = Spread.of([float(value) for value in range(101)])
    assert (spread.minimum, spread.median, spread.p90, spread.p95, spread.p99) == (0, 50, 90, 95, 99)
    assert (spread.maximum, spread.mean) == (100, 50)


def test_the_gain_of_the_graph_is_said() -> None:
    tables = [stage_table(times("enqueue", host=3.0)), stage_table(times("graph", host=1.0))]
    assert graph_gain(tables) == "CUDA graph: 2.000 ms per frame, plain enqueue 4.000 ms (2.00 times as long)"
    assert "cannot be captured" in graph_gain(tables[:1])
