"""Images from files, one frame each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.images import list_images, passed_over, read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import counted, log
from ssd_edge.streaming.sources.base import Source, SourceInfo

_NAMED = 3
_BROKEN = "is a link to a file that does not exist"


class ImageSource(Source):
    """An image, a list of images, or the images of a folder by name; a frame's source is its file.

    Of several images, those that cannot be read are left out and named. Folders inside a folder are not looked into.

    Args:
        place: image file, folder of images, or image files in the order of their frames.
        loop: begin again after the last, without end.

    Raises:
        InputError: a folder without images; and, while iterating, a single file that cannot be read, or several
            without any that can.
    """

    def __init__(self, place: Path | Sequence[Path], *, loop: bool = False) -> None:
        lost: tuple[LeftOut, ...] = ()
        if not isinstance(place, Path):
            self._paths, name = list(place), f"{place[0]} and {counted(len(place) - 1, 'more image')}"
        elif path_kind(place) == "folder":
            self._paths, name, lost = list_images(place), str(place), self._passed_over(place)
        else:
            self._paths, name = [place], str(place)
        self._loop = loop
        frames = None if loop else len(self._paths)
        super().__init__(SourceInfo(name, live=False, frames=frames, stills=True))
        self.left_out = lost

    def __iter__(self) -> Iterator[Frame]:
        began = 0.0
        for index, (path, image, lap) in enumerate(self._images()):
            now = time.monotonic()
            began = now if index == 0 else began
            yield Frame(image, index, now, str(path), now - began, segment=lap)

    @staticmethod
    def _passed_over(folder: Path) -> tuple[LeftOut, ...]:
        """Say which folders are not looked into, and return the links that lead to no image."""
        folders, broken = passed_over(folder)
        if folders:
            were = "was" if len(folders) == 1 else "were"
            names = ", ".join(path.name for path in folders[:_NAMED]) + (", …" if len(folders) > _NAMED else "")
            log.info(f"{folder}: {counted(len(folders), 'folder')} inside it {were} not looked into: {names}")
        for link in broken:
            log.warning(f"{link} {_BROKEN}; it is left out")
        return tuple(LeftOut(str(link), _BROKEN) for link in broken)

    def _images(self) -> Iterator[tuple[Path, UInt8Array, int]]:
        """Yield files with their pixels and the number of times that all came before."""
        for lap in count():
            for path in list(self._paths):
                if self._interrupted.is_set():
                    return
                image = self._read(path)
                if image is not None:
                    yield path, image, lap
            if not self._loop:
                return

    def _read(self, path: Path) -> UInt8Array | None:
        try:
            return read_image(path)
        except InputError as error:
            self._paths.remove(path)
            if not self._paths:
                raise
            self.left_out = (*self.left_out, LeftOut(str(path), error.what.removeprefix(str(path)).strip()))
            log.warning(f"{error}; it is left out")
            return None
