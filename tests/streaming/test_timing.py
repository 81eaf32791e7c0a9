import numpy as np
import pytest

from ssd_edge.streaming.timing import LatencyHistogram


@pytest.mark.parametrize("scale_s", [2e-6, 3e-3, 0.2, 40.0])
def test_percentiles_are_those_of_numpy_to_half_a_percent(scale_s: float) -> None:
    durations = scale_s * np.random.default_rng(0).lognormal(0, 0.7, 2000).clip(0.51)
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.add(float(duration))
    for percent in (1, 50, 95, 99, 100):
        exact = np.percentile(durations, percent, method="inverted_cdf")
        assert histogram.percentile_s(percent) == pytest.approx(exact, rel=0.0051)
    times = histogram.times("infer")
    assert (times.stage, times.count) == ("infer", 2000)
    assert times.mean_ms == pytest.approx(1000 * durations.mean())
    assert times.max_ms == pytest.approx(1000 * durations.max())
    assert times.p50_ms <= times.p95_ms <= times.p99_ms <= times.max_ms


def test_nothing_counted_is_zero_and_extremes_are_kept_in_the_outer_bins() -> None:
    histogram = LatencyHistogram()
    assert histogram.times("output").p99_ms == 0
    histogram.add(0.0)
    histogram.add(1e9)
    assert histogram.percentile_s(50) == pytest.approx(1e-6, rel=0.01)
    assert histogram.percentile_s(100) >= 9e3
