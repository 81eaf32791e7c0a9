"""Images from files, arrays and PIL: 8-bit BGR, files read whole and upright, or refused by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import cannot_list, open_regular, path_kind, written_beside
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.image_header import scan_count, stored_size
from ssd_edge.core.jpeg import JPEG_START, START_OF_SCAN, jpeg_segments
from ssd_edge.core.limits import how_to_raise, limit
from ssd_edge.core.log import counted
from ssd_edge.core.native_lines import image_lines_dropped


class PilImage(Protocol):
    """A ``PIL.Image.Image``, for whose sake PIL need not be installed."""

    @property
    def mode(self) -> str:
        """The kind of pixels, e.g. ``RGB``."""

    def convert(self, mode: str) -> Any:
        """Return the image with pixels of another kind."""


ImageInput = UInt8Array | str | PathLike[str] | PilImage
"""An image as functions accept it: an (H, W, 3) uint8 BGR array, a file's path, or a PIL image."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
_JPEG_END = b"\xff\xd9"
_PNG_START, _PNG_HEADER_BYTES = b"\x89PNG", 8
_MOST_BYTES_A_PIXEL = 8  # four channels of 16 bits
_MOST_LOOKED_AT = 10_000  # entries of a folder, for an error's sake
_SCANS_OF_THE_LARGEST = 12  # what a progressive JPEG of the most pixels may have


def read_image(path: Path) -> UInt8Array:
    """Return the image as (H, W, 3) uint8 BGR.

    Gray becomes three equal channels, alpha is dropped, 16 bits are scaled to 8 by 1/256 and the EXIF orientation is
    applied, as OpenCV's IMREAD_COLOR defines them.

    Raises:
        InputError: the file is missing, empty, no image, or cut short.
    """
    return decode_image(path, image_bytes(path))


def image_bytes(path: Path) -> bytes:
    """Return the bytes of an image's file.

    Raises:
        InputError: the file is missing, empty, cut short, or unfolds to more than the limits of images.
    """
    try:
        with open_regular(path) as file:
            check_stored_size(path, os.fstat(file.fileno()).st_size)
            data = file.read()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{path} cannot be read ({reason or error})", wanted="an image file") from error
    check_image_bytes(path, data)
    return data


def check_image_bytes(path: Path, data: bytes) -> None:
    """Check the bytes of an image's file, which ``path`` names.

    Raises:
        InputError: they are empty, cut short, or unfold to more than the limits of images.
    """
    if not data:
        raise InputError(f"{path} is empty", wanted="an image file")
    _refuse_truncated(path, data)
    _check_unfolded(path, data)


def check_stored_size(path: Path, size: int) -> None:
    """Raise InputError where the file of an image, which ``path`` names, has more bytes than the most pixels take."""
    pixels = -(-size // _MOST_BYTES_A_PIXEL)
    if pixels > limit("pixels"):
        raise InputError(
            f"{path} is too large for an image",
            got=f"{size} bytes",
            wanted=f"at most {_MOST_BYTES_A_PIXEL * limit('pixels')}",
            do=how_to_raise("pixels", pixels),
        )


def _check_unfolded(path: Path, data: bytes) -> None:
    """Raise InputError where decoding would take more memory or time than any photo: kilobytes can stand for that."""
    (width, height), pixels = stored_size(data) or (0, 0), limit("pixels")
    if width * height > pixels:
        raise InputError(
            f"{path} has too many pixels",
            got=f"{width} x {height}",
            wanted=f"at most {pixels}",
            do=how_to_raise("pixels", width * height),
        )
    scans = scan_count(data)
    most = min(limit("scans"), _SCANS_OF_THE_LARGEST * pixels // max(width * height, 1))
    if scans > most:
        raise InputError(
            f"{path} is a JPEG of {width} x {height} with too many scans",
            got=f"{scans} scans of the whole image",
            wanted=f"at most {most}",
            do="Save the image again with an image editor.",
        )


def decode_image(path: Path, data: bytes, flags: int = cv2.IMREAD_COLOR) -> UInt8Array:
    """Return the image whose bytes ``data`` are, as OpenCV reads it by these flags.

    Raises:
        InputError: OpenCV knows no such image; ``path`` names it.
    """
    try:
        with image_lines_dropped():  # they name no file
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(
            f"{path} cannot be decoded", got=f"OpenCV's error {error.err!r}", wanted="an image of at most 2^30 pixels"
        ) from error
    if image is None:
        raise InputError(
            f"{path} is not an image that OpenCV can read",
            got=f"{len(data)} bytes",
            wanted=", ".join(sorted(IMAGE_SUFFIXES)),
        )
    return np.asarray(image, np.uint8)


def write_image(path: Path, image: UInt8Array) -> None:
    """Write an (H, W, 3) BGR image, whole or not at all; the suffix of ``path`` chooses the format.

    Raises:
        InputError: the folder cannot be written, or OpenCV knows no such format.
    """
    with written_beside(path, durable=False) as partial:
        try:
            encoded, data = cv2.imencode(path.suffix, image)
        except cv2.error as error:
            raise InputError(
                f"{path} cannot be written", got=f"suffix {path.suffix!r}", wanted=", ".join(sorted(IMAGE_SUFFIXES))
            ) from error
        if not encoded:
            raise InputError(f"{path} cannot be encoded", got=f"{image.dtype} {image.shape}", wanted="a BGR image")
        partial.write_bytes(data.tobytes())  # not imwrite: it cannot take every name that a file system can


def list_images(folder: Path, *, below: bool = False) -> list[Path]:
    """Return the images of a folder, sorted by name.

    Args:
        folder: where to look.
        below: in its folders too, but for hidden ones.

    Raises:
        InputError: it is not a folder, or holds no image.
    """
    if path_kind(folder) != "folder":
        raise InputError(f"{folder} is not a folder", wanted="a folder of images")
    try:
        there = list(folder.iterdir())
        found = folder.rglob("*") if below else there
        images = sorted(path for path in found if _is_image(path) and not _is_hidden(path.relative_to(folder)))
    except OSError as error:
        raise cannot_list(folder, error) from error
    if not images:
        raise InputError(
            f"{folder} contains no images",
            **_other_entries(folder, there),
            wanted=f"files with the suffix {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    return images


def passed_over(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return what :func:`list_images` passes over where it does not look below: folders, and images' broken links."""
    try:
        with os.scandir(folder) as entries:  # tells folders from files without a look at each file
            there = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        folders = [folder / entry.name for entry in there if entry.is_dir()]
        links = [folder / entry.name for entry in there if entry.is_symlink()]
        return folders, [path for path in links if path.suffix.lower() in IMAGE_SUFFIXES and not path.exists()]
    except OSError as error:
        raise cannot_list(folder, error) from error


def _other_entries(folder: Path, there: Sequence[Path]) -> dict[str, str]:
    """Return, for an error, what a folder without images holds, and the first folder in it that has some."""
    folders = [path for path in there if path.is_dir() and not _is_hidden(path.relative_to(folder))]
    with_images = sorted(path for path in folders if _has_image(path))
    if with_images:
        names, more = ", ".join(path.name for path in with_images[:3]), len(with_images) - 3
        inside = f"{names} and {more} more" if more > 0 else names
        return {"got": f"images only in folders inside it: {inside}", "do": f"Give such a folder: {with_images[0]}"}
    others = counted(len(there) - len(folders), "other file")
    return {"got": f"{others} and {counted(len(folders), 'folder')} without images" if folders else others}


def _has_image(folder: Path) -> bool:
    """Whether an image is among the first entries at or below a folder that may be listed."""
    try:
        return any(_is_image(path) for path in islice(folder.rglob("*"), _MOST_LOOKED_AT))
    except OSError:
        return False


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _is_hidden(path: Path) -> bool:
    """Whether an entry is not meant to be seen; macOS leaves ``._photo.jpg`` beside each image."""
    return any(part.startswith(".") for part in path.parts)


def as_bgr(image: npt.NDArray[np.generic], *, origin: str) -> UInt8Array:
    """Return an array from any camera or reader as (H, W, 3) uint8 BGR, without a copy where it is that already.

    Raises:
        InputError: no pixels, or a shape or type that has no clear meaning as an image; ``origin`` names it.
    """
    if image.size == 0:
        raise InputError(f"{origin} has no pixels", got=f"shape {image.shape}", wanted="at least 1 x 1")
    if image.dtype == np.uint16:
        image = (image.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[-1]
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InputError(
            f"{origin} is not an image",
            got=f"{image.dtype} {image.shape}",
            wanted="uint8 or uint16, (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA",
        )
    if channels == 1:
        return np.asarray(cv2.cvtColor(np.asarray(image, np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.asarray(image[..., :3], np.uint8)


def load_image(image: ImageInput) -> UInt8Array:
    """Return an array, a file's path or a PIL image as (H, W, 3) uint8 BGR.

    An array is taken as it is. A file is read upright (EXIF). A PIL image is converted, from any mode of 8 bits, and
    not turned: boxes are in the pixels of what was given.

    Raises:
        InputError: another kind of array, object or mode, or a file that cannot be read.
    """
    if isinstance(image, np.ndarray):
        return check_bgr(image, origin="the image")
    if isinstance(image, (str, PathLike)):
        return read_image(Path(image))
    pil = sys.modules.get("PIL.Image")  # not imported: an image of PIL has imported it
    if pil is not None and isinstance(image, pil.Image):
        return _from_pil(image)
    raise InputError(
        "the argument is not an image",
        got=type(image).__name__,
        wanted="a uint8 array (H, W, 3) in BGR, the path of a file, or a PIL image",
    )


def check_bgr(image: npt.NDArray[np.generic], *, origin: str) -> UInt8Array:
    """Return the array; ``origin`` names it in errors.

    Raises:
        InputError: it is not (H, W, 3) uint8, or has no pixels.
    """
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        if image.size == 0:
            raise InputError(f"{origin} has no pixels", got=f"shape {image.shape}", wanted="at least 1 x 1")
        return np.asarray(image, np.uint8)
    raise InputError(
        f"{origin} is not an 8-bit BGR image",
        got=f"{image.dtype} {image.shape}",
        wanted="uint8 (H, W, 3), BGR as OpenCV reads it",
        do=_how_to_convert(image),
    )


def _how_to_convert(image: npt.NDArray[np.generic]) -> str:
    if image.ndim == 4:
        return "Give a list of images: list(images)"
    if image.dtype != np.uint8:
        return "Convert it: (image * 255).astype('uint8') where its values are 0 to 1, otherwise image.astype('uint8')"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        return "Convert it: cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)"
    if image.ndim == 3 and image.shape[2] == 4:
        return "Convert it: cv2.cvtColor(image, cv2.COLOR_RGBA2BGR), or COLOR_BGRA2BGR"
    return "Where the channels come first: image.transpose(1, 2, 0)" if image.ndim == 3 else ""


_PIL_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})


def _from_pil(image: PilImage) -> UInt8Array:
    if image.mode not in _PIL_MODES:
        raise InputError(
            "the PIL image does not have 8 bits per channel",
            got=f"mode {image.mode}",
            wanted="an 8-bit mode such as RGB",
            do="Scale the values to 0 to 255 and convert the image: image.convert('RGB')",
        )
    pixels = np.asarray(image.convert("RGB"))
    return check_bgr(np.ascontiguousarray(pixels[..., ::-1]), origin="the image")


def _refuse_truncated(path: Path, data: bytes) -> None:
    """OpenCV fills the lost part of a cut-off JPEG with gray and says nothing; nobody wants boxes on that."""
    cut_jpeg = data.startswith(JPEG_START) and data.rfind(_JPEG_END) < _start_of_scan(data)
    cut_png = data.startswith(_PNG_START) and not _reaches_png_end(data)
    if cut_jpeg or cut_png:
        raise InputError(
            f"{path} is truncated",
            got=f"{len(data)} bytes without an end marker",
            wanted="a complete image",
            do="Copy or download the file again.",
        )


def _start_of_scan(data: bytes) -> int:
    """Offset of the JPEG's first SOS segment (ISO 10918-1, B.1.1), past any thumbnail; the length if there is none."""
    return next((offset for marker, offset in jpeg_segments(data) if marker == START_OF_SCAN), len(data))


def _reaches_png_end(data: bytes) -> bool:
    """Whether the chunks of a PNG (its specification, 5.3) lead to a whole IEND; what follows does not matter."""
    offset = _PNG_HEADER_BYTES
    while offset + 12 <= len(data):
        if data[offset + 4 : offset + 8] == b"IEND":
            return True
        offset += 12 + int.from_bytes(data[offset : offset + 4], "big")
    return False
