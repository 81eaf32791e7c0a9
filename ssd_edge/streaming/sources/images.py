"""Pictures from files, one frame each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from ssd_edge.core.files import path_kind
from ssd_edge.core.frame import Frame
from ssd_edge.core.images import list_images, read_image
from ssd_edge.streaming.sources.base import Source, SourceInfo


class ImageSource(Source):
    """A picture, or the pictures of a folder in the order of their names; a frame's source is its file.

    Args:
        path: image file or folder of images.
        loop: begin again after the last, for ever.

    Raises:
        InputError: a folder without images; and, while iterating, a file that cannot be read.
    """

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        self._paths = list_images(path) if path_kind(path) == "folder" else [path]
        self._loop = loop
        frames = None if loop else len(self._paths)
        super().__init__(SourceInfo(str(path), live=False, frames=frames, stills=True))

    def __iter__(self) -> Iterator[Frame]:
        began = 0.0
        for index in count():
            lap, place = divmod(index, len(self._paths))
            if self._interrupted.is_set() or (lap and not self._loop):
                return
            image, now = read_image(self._paths[place]), time.monotonic()
            began = now if index == 0 else began
            yield Frame(image, index, now, str(self._paths[place]), now - began)
