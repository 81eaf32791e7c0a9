"""Width and height of a picture from its header: reading all pixels of a large set would take minutes."""

from __future__ import annotations

import struct
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.core.jpeg import APP1, jpeg_frame_size, jpeg_segments

_HEADER_BYTES = 1 << 16
_PNG_START = b"\x89PNG\r\n\x1a\n"


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
    markers = ((marker, header[offset + 4 : offset + 8]) for marker, offset in jpeg_segments(header))
    return None if (APP1, b"Exif") in markers else jpeg_frame_size(header)
