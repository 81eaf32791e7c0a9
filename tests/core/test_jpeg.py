from __future__ import annotations

import cv2
import numpy as np
import pytest

from ssd_edge.core.jpeg import START_OF_SCAN, is_one_scan, jpeg_frame_size, jpeg_segments
from tests.core.test_images import with_orientation


def jpeg(width: int, height: int, *, progressive: int = 0) -> bytes:
    picture = np.zeros((height, width, 3), np.uint8)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_frame_is_as_stored_whatever_exif_says(progressive: int) -> None:
    assert jpeg_frame_size(with_orientation(jpeg(64, 48, progressive=progressive), 6)) == (64, 48)


def test_segments_end_with_the_first_scan_and_padding_between_them_is_none() -> None:
    plain = jpeg(64, 48)
    padded = plain[:2] + b"\xff\xff" + plain[2:]
    markers = [marker for marker, _ in jpeg_segments(plain)]
    assert markers[-1] == START_OF_SCAN
    assert markers == [marker for marker, _ in jpeg_segments(padded)]


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"no image at all", jpeg(64, 48)[:30]])
def test_what_has_no_frame_has_no_size(data: bytes) -> None:
    assert jpeg_frame_size(data) is None


def test_a_decoder_reads_the_only_scan_of_a_sequential_jpeg() -> None:
    """What follows a scan that has all components is not decoded, however many scans there are."""
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    scan = data.rfind(b"\xff\xda")
    many = data[:-2] + data[scan:-2] * 50 + data[-2:]
    assert is_one_scan(many)
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(many, np.uint8), 1), cv2.imdecode(np.frombuffer(data, np.uint8), 1)
    )


def test_scans_of_single_components_are_several() -> None:
    data = bytearray(jpeg(64, 48))
    scan = data.rfind(b"\xff\xda")
    assert is_one_scan(bytes(data))
    assert not is_one_scan(bytes(data[:scan]))
    data[scan + 4] = 1
    assert not is_one_scan(bytes(data))
    assert not is_one_scan(jpeg(64, 48, progressive=1))
    assert is_one_scan(cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes())
