from __future__ import annotations

import struct

import numpy as np
import onnx
import pytest

from ssd_edge.core.calibration_table import CalibrationTable, TensorRange
from ssd_edge.core.errors import ArtifactError
from ssd_edge.quantization.trt_cache import write_cache

NOTHING = onnx.ModelProto()  # joins nothing


def table(ranges: dict[str, TensorRange]) -> CalibrationTable:
    return CalibrationTable("m", "a", "b", ("c",) * 2, "minmax", ranges)


def read_cache(text: bytes) -> tuple[str, dict[str, float]]:
    """An independent reader, after NVIDIA's description: the last ': ' parts the name from a big-endian float."""
    first, *lines = text.decode().splitlines()
    scales = {}
    for line in lines:
        name, _, digits = line.rpartition(": ")
        scales[name] = struct.unpack("!f", bytes.fromhex(digits))[0]
    return first, scales


def test_read_back_to_float32_precision() -> None:
    generator = np.random.default_rng(0)
    ranges = {
        f"/layer.{n}/Conv: out": TensorRange(-float(generator.random()), float(generator.random() * 9))
        for n in range(50)
    }
    _, scales = read_cache(write_cache(table(ranges), NOTHING, version="10.3.0"))
    assert {name: np.float32(entry.amax / 127) for name, entry in ranges.items()} == scales


@pytest.mark.parametrize(
    ("version", "header"),
    [("8.5.2.2", "TRT-8502-EntropyCalibration2"), ("10.3.0", "TRT-100300-EntropyCalibration2"),
     ("10.13.3.9", "TRT-101303-EntropyCalibration2")],
)  # fmt: skip
def test_header_is_of_the_local_release(version, header) -> None:
    assert read_cache(write_cache(table({}), NOTHING, version=version))[0] == header


def test_known_line() -> None:
    assert b"\nx: 3c010204\n" in write_cache(table({"x": TensorRange(0, 1)}), NOTHING, version="8.5.2")


@pytest.mark.parametrize("amax", [0.0, 1e-45, 1e-37])
def test_no_scale_is_zero(amax) -> None:
    """TensorRT takes none; what is that small is as good as zero at any scale."""
    assert read_cache(write_cache(table({"x": TensorRange(0, amax)}), NOTHING, version="8.5.2"))[1] == {"x": 1.0}


def test_what_does_not_fit() -> None:
    with pytest.raises(ArtifactError, match="the version of TensorRT is invalid: got ten"):
        write_cache(table({}), NOTHING, version="ten")
    with pytest.raises(ArtifactError, match="cannot be stored in a calibration cache"):
        write_cache(table({"a\nb": TensorRange(0, 1)}), NOTHING, version="8.5.2")
