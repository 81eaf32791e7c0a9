"""Image sizes from file headers, without decoding pixels."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from ssd_edge.core.jpeg import JPEG_START, is_one_scan, jpeg_frame_size

_PNG_START = b"\x89PNG\r\n\x1a\n"
_SCAN = re.compile(rb"\xff\xda\x00[\x06-\x0c][\x01-\x04]")  # in coded pixels no FF is followed by DA
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_FORMS = {3: "H", 4: "I", 16: "Q"}
_NETPBM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)")


def stored_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as stored, before EXIF turns it; None of a format that is not known, or a damaged header.

    Known are JPEG, PNG, BMP, WebP, TIFF (its first image) and Netpbm, whatever the file is called.
    """
    for read in _READERS:
        try:
            size = read(data)
        except (struct.error, IndexError, ValueError):
            return None
        if size is not None:
            return size
    return None


def scan_count(data: bytes) -> int:
    """Return how many scans a JPEG has, each of which is decoded over the whole image; 0 of another format.

    Where the first scan of a sequential JPEG has all components, a decoder reads no other: it is the only one.
    """
    if not data.startswith(JPEG_START):
        return 0
    return 1 if is_one_scan(data) else sum(1 for _ in _SCAN.finditer(data))


def _jpeg(data: bytes) -> tuple[int, int] | None:
    return jpeg_frame_size(data) if data.startswith(JPEG_START) else None


def _png(data: bytes) -> tuple[int, int] | None:
    return struct.unpack_from(">II", data, 16) if data.startswith(_PNG_START) else None


def _bmp(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"BM"):
        return None
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2's header
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # negative where the rows go from top to bottom


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    if data[12:16] == b"VP8X":
        return _uint24(data, 24) + 1, _uint24(data, 27) + 1
    if data[12:16] == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _uint24(data: bytes, offset: int) -> int:
    low, high = struct.unpack_from("<HB", data, offset)
    return int(low | high << 16)


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    version = struct.unpack_from(f"{order}H", data, 2)[0] if order else 0
    if version not in (42, 43):
        return None
    big = version == 43
    start = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)[0]
    count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)[0]
    first, length, value = (start + 8, 20, 12) if big else (start + 2, 12, 8)
    sides = {}
    for number in range(min(count, 1000)):
        at = first + number * length
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_FORMS:
            sides[tag] = struct.unpack_from(order + _TIFF_FORMS[kind], data, at + value)[0]
    return (sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT]) if len(sides) == 2 else None


def _netpbm(data: bytes) -> tuple[int, int] | None:
    match = _NETPBM.match(data[:4096])
    return (int(match[1]), int(match[2])) if match else None


_READERS: tuple[Callable[[bytes], tuple[int, int] | None], ...] = (_jpeg, _png, _bmp, _webp, _tiff, _netpbm)
