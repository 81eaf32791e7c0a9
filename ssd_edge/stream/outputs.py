"""Chooses the sink for a path."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.stream.image_sink import ImageFileSink, ImageFolderSink
from ssd_edge.stream.sink import PictureSink
from ssd_edge.stream.source import SourceInfo
from ssd_edge.stream.video_sink import CODECS, VideoSink

_FASTEST_LIVE_FILM = 30.0
_FILM_OF_STILLS_FPS = 10.0


def open_pictures(path: Path, info: SourceInfo) -> PictureSink:
    """Return the sink for drawn frames: a film or an image by the suffix of ``path``, a folder where it has none.

    Raises:
        InputError: another suffix, a single image for many frames, or a place that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in CODECS:
        return VideoSink(path, film_rate(info), real_time=info.live)
    if suffix in IMAGE_SUFFIXES:
        if info.frames != 1:
            raise InputError(
                f"{path} is one image", got=f"many frames from {info.name}", do="Give --output a folder or a film."
            )
        return ImageFileSink(path)
    if suffix and path_kind(path) != "folder":
        raise InputError(
            f"{path} is no known kind of output",
            got=f"suffix {path.suffix!r}",
            wanted=f"{', '.join(CODECS)}, an image, or a folder",
        )
    return ImageFolderSink(path, named_by_source=info.stills)


def film_rate(info: SourceInfo) -> float:
    """Return the rate of a film of the source: its own; a camera's up to 30; ten pictures a second for stills."""
    if info.stills and not info.live:
        return _FILM_OF_STILLS_FPS
    rate = info.fps or _FASTEST_LIVE_FILM
    return min(rate, _FASTEST_LIVE_FILM) if info.live else rate
