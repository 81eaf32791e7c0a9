"""Width and height of an image from its header: reading all pixels of a large set would take minutes."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import decode_image, image_bytes, read_image
from ssd_edge.core.jpeg import APP1, JPEG_START, START_OF_SCAN, jpeg_frame_size, jpeg_segments
from ssd_edge.core.limits import limit

_HEADER_BYTES = _END_BYTES = 1 << 16
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
_JPEG_END = b"\xff\xd9"
_REDUCED = 8
_PROGRESSIVE = 0xC2


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of the image as ``read_image`` gives it, upright.

    Raises:
        InputError: the file is missing, no image, cut short, or unfolds to more than the limits of images.
    """
    header, end, end_offset = _both_ends(path)
    size: tuple[int, int] | None
    if header.startswith(JPEG_START):
        size = _jpeg_size(path, header, end_offset + end.rfind(_JPEG_END) if _JPEG_END in end else -1)
    else:
        size = _png_size(header) if _PNG_END in end else None
    if size is not None and size[0] * size[1] > limit("pixels"):
        image_bytes(path)  # which refuses it
    if size is None:
        height, width = read_image(path).shape[:2]
        return width, height
    return size


def _both_ends(path: Path) -> tuple[bytes, bytes, int]:
    """The first and the last bytes of a file, and where the last ones begin."""
    if path_kind(path) == "other":
        raise InputError(f"{path} is not a regular file", got="a device, pipe or socket", wanted="an image file")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            offset = max(file.seek(0, 2) - _END_BYTES, 0)
            file.seek(offset)
            return header, file.read(_END_BYTES), offset
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted="an image file") from error


def _png_size(header: bytes) -> tuple[int, int] | None:
    if not header.startswith(_PNG_START) or len(header) < 24 or b"eXIf" in header:
        return None
    width, height = struct.unpack(">II", header[16:24])
    return (width, height) if width and height else None


def _jpeg_size(path: Path, header: bytes, end_marker: int) -> tuple[int, int]:
    """The size of the frame, by the header where it says all and the file is whole; ``end_marker`` is its offset."""
    size = jpeg_frame_size(header)
    scan = next((offset for marker, offset in jpeg_segments(header) if marker == START_OF_SCAN), None)
    progressive = any(marker == _PROGRESSIVE for marker, _ in jpeg_segments(header))
    if size is None or scan is None or end_marker < scan or progressive or _has_exif(header):
        return _size_of_pixels(path)
    return size


def _size_of_pixels(path: Path) -> tuple[int, int]:
    """The size by the whole file; where EXIF may turn the image, a small version shows which way."""
    data = image_bytes(path)
    size = jpeg_frame_size(data)
    if size is not None and not _has_exif(data):
        return size
    if size is not None:
        small = decode_image(path, data, cv2.IMREAD_REDUCED_GRAYSCALE_8).shape[:2]
        upright, turned = ((-(-size[axis] // _REDUCED), -(-size[1 - axis] // _REDUCED)) for axis in (1, 0))
        if upright != turned and small in (upright, turned):
            return size if small == upright else (size[1], size[0])
    height, width = decode_image(path, data).shape[:2]
    return width, height


def _has_exif(data: bytes) -> bool:
    return any(marker == APP1 and data[offset + 4 : offset + 8] == b"Exif" for marker, offset in jpeg_segments(data))
