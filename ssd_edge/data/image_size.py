"""Width and height of a picture from its header: reading all pixels of a large set would take minutes."""

from __future__ import annotations

import struct
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image

_HEADER_BYTES = 1 << 16
_PNG_START = b"\x89PNG\r\n\x1a\n"
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # C4, C8 and CC of C0..CF hold tables, not the frame (ISO 10918-1, table B.1)


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of the picture as ``read_image`` gives it, upright.

    Raises:
        InputError: the file is missing or no picture.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read", got=error.strerror or str(error), wanted="an image file") from error
    size = _png_size(header) or _jpeg_size(header)
    if size is None:
        height, width = read_image(path).shape[:2]
        return width, height
    return size


def _png_size(header: bytes) -> tuple[int, int] | None:
    if not header.startswith(_PNG_START) or len(header) < 24 or b"eXIf" in header:
        return None
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def _jpeg_size(header: bytes) -> tuple[int, int] | None:
    """None too where there is EXIF, which may turn the picture: the whole reader knows better."""
    offset = 2
    while header.startswith(b"\xff\xd8") and offset + 9 <= len(header) and header[offset] == 0xFF:
        marker, length = header[offset + 1], int.from_bytes(header[offset + 2 : offset + 4], "big")
        if marker == 0xE1 and header[offset + 4 : offset + 8] == b"Exif":
            return None
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack(">HH", header[offset + 5 : offset + 9])
            return (width, height) if height else None
        offset += 1 if marker == 0xFF else 2 + length
    return None
