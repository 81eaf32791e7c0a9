"""The frames as images in a folder, or the only one as a file."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.images import IMAGE_SUFFIXES, write_image
from ssd_edge.core.log import log
from ssd_edge.streaming.sinks.base import ImageSink
from ssd_edge.streaming.sinks.conflicts import check_keeps_input


class ImageFolderSink(ImageSink):
    """Writes each image into a folder.

    Args:
        folder: made where it does not exist.
        named_by_source: each frame has a file of its own and keeps its name, with a number where files of several
            folders have the same; otherwise ``frame_000042.jpg``.

    Raises:
        InputError: the folder cannot be made or written; and, while writing, where an image would replace its source.
    """

    def __init__(self, folder: Path, *, named_by_source: bool) -> None:
        make_folder(folder)
        self._folder, self._named_by_source = folder, named_by_source
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Write one image, whole or not at all."""
        name = self._name_of(frame.source) if self._named_by_source else f"frame_{frame.index:06d}.jpg"
        if self._named_by_source:
            check_keeps_input(self._folder / name, Path(frame.source))
        write_image(self._folder / name, drawn)
        self.written += 1

    def _name_of(self, source: str) -> str:
        """Return the name of an image's file, which no image of another folder has."""
        if source not in self._names:
            path, number = Path(source), 2
            name = path.name
            while name in self._taken:
                name, number = f"{path.stem}-{number}{path.suffix}", number + 1
            if name != path.name:
                log.info(f"{source} is saved as {self._folder / name}: an image of another folder has its name")
            self._names[source] = name
            self._taken.add(name)
        return self._names[source]

    def close(self) -> None:
        """Every image is closed already."""


class ImageFileSink(ImageSink):
    """Writes the only image of a source to a file.

    Raises:
        InputError: the suffix is none of an image, it is a folder, or its folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise InputError(
                f"{path} is not an image file", got=f"suffix {path.suffix!r}", wanted=", ".join(sorted(IMAGE_SUFFIXES))
            )
        if path_kind(path) == "folder":
            raise InputError(f"{path} is a folder", wanted="an image file to write")
        make_folder(path.parent)
        self._path = path

    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Write the image, whole or not at all."""
        del frame  # it is the only one
        write_image(self._path, drawn)
        self.written = 1

    def close(self) -> None:
        """The image is closed already."""
