"""Images of every format, and videos."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.harness import FuzzKind
from tests.fuzz.kinds.models import ONNX
from tests.fuzz.mutate import mutate_bytes, mutate_file

_SUFFIXES = (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm")
_SIDES = (0, 1, 65500, 65535, 32000, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def _write(suffix: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import cv2

        from ssd_edge.doctor.sample_model import sample_frames
        from tests.quantization.square_model import write_square_model

        write_square_model(folder / ONNX)
        (folder / "images").mkdir()
        for number, frame in enumerate(sample_frames(3, 3)):
            options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if suffix == ".jpg" and number == 0 else []
            cv2.imwrite(str(folder / "images" / f"{number}{suffix}"), frame.image, options)

    return write


def _mutate(suffix: str) -> Callable[[Path, Random, Path], str]:
    change = {".jpg": mutate_jpeg, ".png": mutate_png}.get(suffix, _header)

    def mutate(folder: Path, rng: Random, outside: Path) -> str:
        return mutate_file(folder / "images" / f"0{suffix}", change, rng, outside)

    return mutate


def mutate_jpeg(data: bytes, rng: Random, _outside: Path) -> bytes:
    """Change sizes, tables, the orientation, or repeat scans."""
    kind = rng.randrange(6)
    frame = next((at for at in range(len(data) - 9) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2)), 0)
    scan = data.find(b"\xff\xda")
    if kind == 0 and frame:
        sides = struct.pack(">HH", *(rng.choice(_SIDES) & 0xFFFF for _ in range(2)))
        return data[: frame + 5] + sides + data[frame + 9 :]
    if kind == 1 and scan > 0:
        return data[:scan] + data[scan:-2] * rng.choice((2, 20, 400)) + data[-2:]
    if kind == 2:
        exif = b"Exif\0\0MM\0\x2a\0\0\0\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, rng.choice((0, 6, 9, 255)), 0)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    if kind == 3 and frame:
        at = frame + 9 + rng.randrange(10)
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return mutate_bytes(data, rng)


def mutate_png(data: bytes, rng: Random, _outside: Path) -> bytes:
    """Change a chunk and sum it up anew, so that it is looked at; or bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    chunks, offset = [], 8
    while offset + 12 <= len(data):
        length = int.from_bytes(data[offset : offset + 4], "big")
        chunks.append((data[offset + 4 : offset + 8], data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    at, kind = rng.randrange(len(chunks)), rng.randrange(5)
    name, body = chunks[at]
    if kind == 0:
        chunks[0] = b"IHDR", struct.pack(">II", rng.choice(_SIDES), rng.choice(_SIDES)) + chunks[0][1][8:]
    elif kind == 1:
        chunks[0] = b"IHDR", chunks[0][1][:8] + bytes(rng.choice((0, 1, 2, 3, 4, 6, 8, 16)) for _ in range(5))
    elif kind == 2:
        chunks[at] = name, mutate_bytes(body, rng)
    elif kind == 3:
        chunks.insert(1, (b"zTXt", b"a\0\0" + zlib.compress(bytes(rng.choice((10, 1 << 24))))))
    else:
        chunks.insert(at, (rng.choice((b"acTL", b"PLTE", b"eXIf", b"iCCP", b"abcd", name)), body[:50]))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _header(data: bytes, rng: Random, _outside: Path) -> bytes:
    """Change the first bytes, where sizes stand, more often than the pixels."""
    if rng.random() < 0.6:
        return mutate_bytes(data[:80], rng)[:80] + data[80:]
    return mutate_bytes(data, rng)


def _write_video(folder: Path) -> None:
    from tests.quantization.square_model import write_square_model
    from tests.streaming.films import write_bright_film

    write_square_model(folder / ONNX)
    write_bright_film(folder / "a.mp4", 6)
    write_bright_film(folder / "a.avi", 6)


def _video(suffix: str) -> Callable[[Path, Random, Path], str]:
    def mutate(folder: Path, rng: Random, outside: Path) -> str:
        return mutate_file(folder / f"a{suffix}", _boxes, rng, outside)

    return mutate


def _boxes(data: bytes, rng: Random, _outside: Path) -> bytes:
    """Change the index (``moov`` is at the end of an mp4, ``hdrl`` at the beginning of an avi) or any bytes."""
    at = max(data.find(b"moov"), 0)
    if rng.random() < 0.7:
        return data[:at] + mutate_bytes(data[at : at + 1500], rng) + data[at + 1500 :]
    return mutate_bytes(data, rng)


KINDS = tuple(
    FuzzKind(
        f"image-{suffix[1:]}", _write(suffix), _mutate(suffix),
        (
            ("run", "images", "--no-window"), ("run", f"images/0{suffix}", "--no-window", "-o", "out.png"),
            ("calibrate", "--images", "images", "--method", "minmax", "--max-images", "3"),
        ),
        may_make=("out.png", "calibration/"),
    )
    for suffix in _SUFFIXES
) + tuple(
    FuzzKind(
        f"video-{suffix[1:]}", _write_video, _video(suffix),
        (("run", f"a{suffix}", "--no-window", "--json", "-"), ("run", f"a{suffix}", "--no-window", "-o", "out.avi")),
        may_make=("out",),
    )
    for suffix in (".mp4", ".avi")
)  # fmt: skip
