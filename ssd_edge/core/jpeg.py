"""JPEG segments, read without decoding pixels (ISO 10918-1, annex B)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

JPEG_START = b"\xff\xd8"
START_OF_SCAN = 0xDA
APP1 = 0xE1
_FILL = 0xFF
_SEQUENTIAL = {0xC0, 0xC1}  # by Huffman's codes
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # C4, C8 and CC of C0..CF hold tables, not the frame (table B.1)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, offset) of each segment up to the first scan; nothing where ``data`` is no JPEG."""
    offset = len(JPEG_START)
    while data.startswith(JPEG_START) and offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker != _FILL:
            yield marker, offset
        if marker == START_OF_SCAN:
            return
        offset += 1 if marker == _FILL else 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")


def jpeg_frame_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as stored, before EXIF turns it; None where the beginning of the file does not say."""
    for marker, offset in jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME and offset + 9 <= len(data):
            height, width = struct.unpack(">HH", data[offset + 5 : offset + 9])
            return (width, height) if height else None
    return None


def is_one_scan(data: bytes) -> bool:
    """Return whether a JPEG is sequential and its first scan has all of its components (B.2.2, B.2.3)."""
    components = 0
    for marker, offset in jpeg_segments(data):
        if marker in _SEQUENTIAL and offset + 10 <= len(data):
            components = data[offset + 9]
        elif marker == START_OF_SCAN and offset + 5 <= len(data):
            return components > 0 and data[offset + 4] == components
    return False
