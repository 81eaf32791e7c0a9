"""Ranges against ONNX Runtime's own calibrators, on the same network and images."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    create_calibrator,
)

from ssd_edge.core.choices import Method
from ssd_edge.core.images import read_image
from ssd_edge.quantization.range_estimators import (
    METHODS,
    StreamingHistogram,
    compact_counts,
    entropy,
    minmax,
    mse,
    percentile,
)
from tests.quantization.square_model import observed, square_model

TENSORS = ("conv1.relu", "conv2.relu", "conv3.relu")


class Pictures(CalibrationDataReader):
    def __init__(self, paths):
        self._left = [{"images": read_image(path)[None]} for path in paths]

    def get_next(self):
        return self._left.pop(0) if self._left else None


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observed")
    _, chosen, histograms = observed(folder, optimize=False)  # as their calibrators run it
    plain = onnx.ModelProto()
    plain.CopyFrom(square_model())
    nms = plain.graph.node.pop()  # ONNX Runtime's tools know no model-local functions
    del plain.functions[:], plain.graph.output[:]
    plain.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in nms.input)
    onnx.save(plain, folder / "plain.onnx")
    return folder, chosen.paths, histograms


def theirs(here, method, **options):
    folder, paths, _ = here
    calibrator = create_calibrator(
        str(folder / "plain.onnx"),
        ["Relu"],
        augmented_model_path=str(folder / f"{method}.onnx"),
        calibrate_method=method,
        extra_options=options,
    )
    calibrator.collect_data(Pictures(paths))
    return {name: entry.range_value for name, entry in calibrator.compute_data().data.items() if name in TENSORS}


def test_minmax_is_exactly_theirs(here) -> None:
    expected = theirs(here, CalibrationMethod.MinMax)
    assert len(expected) == len(TENSORS)
    for name, (low, high) in expected.items():
        assert minmax(here[2][name]) == (np.asarray(low).item(), np.asarray(high).item())


@pytest.mark.parametrize("percent", [99.99, 99.0])
def test_percentile_is_theirs_within_a_bin(here, percent) -> None:
    expected = theirs(here, CalibrationMethod.Percentile, num_bins=2048, percentile=percent, symmetric=False)
    for name, (low, high) in expected.items():
        histogram: StreamingHistogram = here[2][name]
        bin_of_theirs = 2 * max(-histogram.low, histogram.high) / 2048
        found = percentile(histogram, percent)
        assert found == pytest.approx(
            (np.asarray(low).item(), np.asarray(high).item()), abs=bin_of_theirs + histogram.width
        )


def test_percentile_is_numpys_within_a_bin() -> None:
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    histogram = StreamingHistogram()
    histogram.add(values)
    found = percentile(histogram, 99.0)
    assert found == pytest.approx(np.percentile(values, [0.5, 99.5]), abs=histogram.width)


def test_entropy_cuts_a_lonely_outlier_and_keeps_a_full_range() -> None:
    generator = np.random.default_rng(0)
    full, lonely = StreamingHistogram(), StreamingHistogram()
    full.add(generator.uniform(0, 8, 200_000).astype(np.float32))
    lonely.add(np.append(np.abs(generator.normal(size=200_000)), 50).astype(np.float32))
    assert entropy(full)[1] > 7.5
    assert 2 < entropy(lonely)[1] < 12


def test_mse_is_the_best_of_its_candidates() -> None:
    values = np.random.default_rng(1).laplace(size=50_000).astype(np.float32)
    histogram = StreamingHistogram()
    histogram.add(values)
    low, high = mse(histogram)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float(((np.round(values.clip(low, high) / step) * step - values) ** 2).mean())

    others = [error(histogram.low * share, histogram.high * share) for share in np.arange(1, 65) / 64]
    assert error(low, high) <= min(others) * 1.02


@pytest.mark.parametrize("method", METHODS)
def test_ranges_lie_within_the_extremes(method) -> None:
    histogram = StreamingHistogram()
    histogram.add(np.random.default_rng(2).normal(1, 2, 5_000).astype(np.float32))
    low, high = METHODS[method](histogram)
    assert histogram.low <= low < high <= histogram.high


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros(method) -> None:
    histogram = StreamingHistogram()
    histogram.add(np.zeros(10, np.float32))
    assert METHODS[method](histogram) == (0, 0)


def test_auto_is_no_method_by_itself() -> None:
    assert Method.AUTO not in METHODS


def test_compact_histogram_holds_every_value() -> None:
    values = np.random.default_rng(3).normal(3, 1, 10_000).astype(np.float32)
    histogram = StreamingHistogram()
    histogram.add(values)
    low, high, counts = compact_counts(histogram)
    assert low <= values.min()
    assert values.max() <= high
    assert sum(counts) == len(values)
    assert len(counts) <= 256
    np.testing.assert_array_equal(counts, np.histogram(values, len(counts), (low, high))[0])


def histogram_of(values: np.ndarray) -> StreamingHistogram:
    histogram = StreamingHistogram()
    histogram.add(values)
    return histogram


@pytest.mark.parametrize("value", [5.0, 6.0, 0.75, -3.0, 5.1])
def test_a_tensor_of_one_value_has_a_range(value: float) -> None:
    """It lies at the very edge of a bin where it is a multiple of the bins' width."""
    for method, choose in METHODS.items():
        low, high = choose(histogram_of(np.full(9, value, np.float32)))
        assert low <= high, method
        assert max(abs(low), abs(high)) == pytest.approx(abs(value), rel=2e-3), method


def test_what_a_clip_cuts_off_is_seen_by_entropy() -> None:
    """A ReLU6 lets many values be 6 exactly: they are within the range that ends there, not beyond it."""
    values = np.concatenate([np.linspace(0.1, 0.2, 50, dtype=np.float32), np.full(10_000, 6, np.float32)])
    assert entropy(histogram_of(values))[1] == 6
