"""Histograms to a table of ranges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ssd_edge.calibration.histogram import StreamingHistogram
from ssd_edge.calibration.images import ImageSet
from ssd_edge.calibration.method import Method
from ssd_edge.calibration.methods import METHODS, compact_counts
from ssd_edge.core.files import file_digest
from ssd_edge.core.ranges import CalibrationTable, Histogram, TensorRange, preprocessing_digest
from ssd_edge.core.spec import ModelSpec


def make_table(
    histograms: Mapping[str, StreamingHistogram], method: Method, *, onnx: Path, spec: ModelSpec, images: ImageSet
) -> CalibrationTable:
    """Return the ranges that ``method`` (not ``auto``) chooses, with what they were measured on."""
    choose = METHODS[method]
    return CalibrationTable(
        model=spec.name,
        onnx_digest=file_digest(onnx),
        preprocessing_digest=preprocessing_digest(spec.input),
        images=tuple(sorted(images.digests)),
        method=method.value,
        ranges={name: _range(entry, *choose(entry)) for name, entry in histograms.items()},
    )


def _range(histogram: StreamingHistogram, low: float, high: float) -> TensorRange:
    first, last, counts = compact_counts(histogram)
    return TensorRange(float(np.float32(low)), float(np.float32(high)), Histogram(first, last, counts))
