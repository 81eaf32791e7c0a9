"""A source whose frames lie ready in memory, as a camera's raw images do, and engines to measure streams with."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench._drawn_photos import write_photos
from bench._models import write_random_onnx
from bench.int8 import engines
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.images import load_image
from ssd_edge.graph.source import read_onnx
from ssd_edge.streaming.sources.base import Source, SourceInfo

SIZE = (640, 480)
RATE = 30.0


class MemorySource(Source):
    """Frames in turn, as fast as they are taken."""

    def __init__(self, images: list[UInt8Array], count: int) -> None:
        super().__init__(SourceInfo("memory", live=False, fps=RATE))
        self._images, self._count = images, count

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            if self._interrupted.is_set():
                return
            image = self._images[index % len(self._images)]
            yield Frame(image, index, time.monotonic(), self.info.name, index / RATE)


def drawn_frames(folder: Path, count: int = 16) -> list[UInt8Array]:
    """Different images of 640 x 480."""
    write_photos(folder / "photos", count, SIZE)
    return [load_image(path) for path in sorted((folder / "photos").glob("*.jpg"))]


def random_engines(preset: str, folder: Path) -> tuple[Path, Path]:
    """Engines of a preset with random weights, in float32 and INT8."""
    folder.mkdir(parents=True, exist_ok=True)
    write_random_onnx(preset, folder / f"{preset}.onnx")
    with tempfile.TemporaryDirectory() as photos:
        write_photos(Path(photos), 8, SIZE)
        fp32, int8 = engines(read_onnx(folder / f"{preset}.onnx"), Path(photos))
    return fp32, int8
