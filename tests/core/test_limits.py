from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import read_text
from ssd_edge.core.image_header import scan_count, stored_size
from ssd_edge.core.images import IMAGE_SUFFIXES, read_image
from ssd_edge.core.limits import LIMITS, VARIABLE, how_to_raise, limit, parse_limits, set_limits
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.core.torch_zip import archive_members
from ssd_edge.core.xml_parser import parse_xml


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
@pytest.mark.parametrize(("width", "height"), [(37, 23), (1, 1), (300, 2)])
def test_the_header_of_every_format_tells_the_size_that_opencv_decodes(suffix: str, width: int, height: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = cv2.imencode(suffix, noise)[1].tobytes()
    assert stored_size(data) == (width, height)


def test_both_kinds_of_webp_and_tiff_in_the_other_order_tell_their_size() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    lossless = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert b"VP8L" in lossless
    assert stored_size(lossless) == (7, 5)
    entries = struct.pack(">HHIHHHHII", 256, 3, 1, 7, 0, 257, 4, 1, 5)
    assert stored_size(b"MM\0\x2a\0\0\0\x08\0\x02" + entries) == (7, 5)


@pytest.mark.parametrize("data", [b"", b"BM", b"II*\0", b"II*\0\xff\xff\xff\xff", b"RIFF0000WEBPVP8X", b"P6 1"])
def test_a_damaged_header_tells_nothing(data: bytes) -> None:
    assert stored_size(data) is None


def _png(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel whose pixels are missing: it must be refused by its header."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(20_000, 10_001))
    with pytest.raises(InputError, match=r"a\.png has too many pixels: got 20000 x 10001; wanted at most 200000000"):
        read_image(path)


def test_a_limit_that_is_raised_lets_pass_and_its_error_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((60, 50, 3), np.uint8))
    monkeypatch.setenv(VARIABLE, "pixels=2k")
    with pytest.raises(InputError, match=r"If you trust the file: ssd-edge --limit pixels=3000 …") as refused:
        read_image(path)
    wanted = str(refused.value).rpartition(f"{VARIABLE}=")[2]
    monkeypatch.setenv(VARIABLE, wanted)
    assert read_image(path).shape == (60, 50, 3)


def test_a_jpeg_of_hundreds_of_scans_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    scans = scan_count(data)
    assert 5 < scans < 20
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    read_image(path)
    last = data.rfind(b"\xff\xda")
    path.write_bytes(data[:last] + data[last:-2] * 200 + data[-2:])
    with pytest.raises(InputError, match=rf"a\.jpg is a JPEG of .* with too many scans: got {scans + 199}"):
        read_image(path)


def test_pipes_are_no_images(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="a device, pipe or socket"):
        read_image(tmp_path / "a.jpg")


def test_a_packed_archive_is_refused_by_what_it_unfolds_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(50 << 20))
    monkeypatch.setenv(VARIABLE, "unpacked=10M")
    with pytest.raises(ArtifactError, match=r"unpacks to more data than weights need: .* --limit unpacked=52429k"):
        archive_members(path)
    monkeypatch.setenv(VARIABLE, "unpacked=53M")
    assert archive_members(path) == ["a/data/0"]


def test_texts_of_too_many_containers_are_refused_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "containers=1000")
    for parse, text in ((parse_json, "[" + "[]," * 1000 + "1]"), (parse_xml, "<a>" + "<b/>" * 1000 + "</a>")):
        with pytest.raises(ValueError, match=r"more than 1000\. If you trust the file: ssd-edge --limit containers="):
            parse(text)
    monkeypatch.setenv(VARIABLE, "containers=3k")
    assert len(parse_json("[" + "[]," * 1000 + "1]")) == 1001


@pytest.mark.parametrize("text", ["pixels", "pixels=", "pixels=-1", "pixels=1e9", "pixel=5", "pixels=5T", "=5"])
def test_what_is_no_limit_is_named(text: str) -> None:
    with pytest.raises(InputError, match="--limit is invalid"):
        parse_limits(text)


def test_the_way_to_raise_a_limit_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        for needed in (LIMITS[name] + 1, 999, 1_000_001, 123_456_789_012):
            text = how_to_raise(name, needed).rpartition(f"{VARIABLE}=")[2]
            monkeypatch.setenv(VARIABLE, text)
            assert limit(name) >= needed


def test_a_lossy_webp_and_one_with_alpha_tell_the_size_that_opencv_decodes() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (23, 37, 4), dtype=np.uint8)
    for kind, image in ((b"VP8 ", noise[..., :3]), (b"VP8X", noise)):
        data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 50])[1].tobytes()
        assert data[12:16] == kind
        assert stored_size(data) == cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1::-1]


def test_a_bitmap_with_the_header_of_os2_tells_the_size_that_pillow_reads() -> None:
    pillow = pytest.importorskip("PIL.Image")
    width, height = 300, 2
    pixels = bytes((3 * width + 3) // 4 * 4 * height)
    head = struct.pack("<2sIIIIHHHH", b"BM", 26 + len(pixels), 0, 26, 12, width, height, 1, 24)
    assert stored_size(head + pixels) == (width, height) == pillow.open(io.BytesIO(head + pixels)).size


def test_limits_of_the_command_line_hold_beside_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "bytes=3G")
    set_limits(["pixels=400M"])
    assert (limit("bytes"), limit("pixels")) == (3_000_000_000, 400_000_000)
    said = os.environ[VARIABLE]  # what a process that is started gets
    with pytest.raises(InputError, match="pixel=1"):
        set_limits(["pixel=1"])
    set_limits([])
    assert os.environ[VARIABLE] == said
    assert parse_limits(said) == {"bytes": 3_000_000_000, "pixels": 400_000_000}


def test_a_text_that_is_larger_than_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    os.truncate(path, LIMITS["bytes"] + 1)  # a hole, of which the disk holds nothing
    with pytest.raises(
        InputError, match=rf"a\.txt is too large: got {LIMITS['bytes'] + 1} bytes; wanted at most"
    ) as it:
        read_text(path)
    assert it.value.do == how_to_raise("bytes", LIMITS["bytes"] + 1)
