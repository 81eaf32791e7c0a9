"""Opens whatever a user may call a source."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.camera import (
    CameraMode,
    Recovery,
    open_camera,
    open_csi,
    open_pipeline,
    open_scaled,
    open_url,
)
from ssd_edge.streaming.sources.images import ImageSource
from ssd_edge.streaming.sources.opencv import require_utf8
from ssd_edge.streaming.sources.rate_limited import RateLimitedSource
from ssd_edge.streaming.sources.uri import Uri, parse_uri
from ssd_edge.streaming.sources.video import open_video

_DRIVERS_MODE = CameraMode()
_RECOVERY = Recovery()


def open_source(
    uri: str,
    *,
    mode: CameraMode = _DRIVERS_MODE,
    loop: bool = False,
    pace: float | None = None,
    rtsp_latency_ms: int = 200,
    recovery: Recovery = _RECOVERY,
    scale_to: tuple[int, int] | None = None,
) -> Source:
    """Return an open source; it logs stops, returns, videos that are cut short, and modes that a camera lacks.

    Args:
        uri: image, folder of images or video; camera number or ``/dev/video0``; ``csi://0``; RTSP or HTTP URL;
            GStreamer pipeline that ends in an appsink.
        mode: what to ask of a camera.
        loop: play a file or folder without end.
        pace: play a file or folder at this many frames a second, as a camera would.
        rtsp_latency_ms: how long a stream may hold frames back to put them in order.
        recovery: what to do when a camera or stream is absent, stops or stalls.
        scale_to: width and height at which the decoder's hardware is to deliver an RTSP stream; None for whole frames.

    Raises:
        InputError: the file or folder cannot be read, or an option does not fit the source.
        DeviceError: a local camera is absent; a network stream is tried until it is there.
    """
    parsed = parse_uri(uri)
    if scale_to is not None:
        _refuse_file_options(parsed, loop=loop, pace=pace)
        require_utf8(parsed.target, parsed.shown)
        return open_scaled(parsed, scale_to, rtsp_latency_ms, recovery)
    if parsed.kind != "file":
        _refuse_file_options(parsed, loop=loop, pace=pace)
        return _open_live(parsed, mode, rtsp_latency_ms, recovery)
    _refuse_camera_options(parsed, mode)
    source = _open_file(Path(parsed.target), loop=loop)
    return RateLimitedSource(source, pace) if pace is not None else source


def open_images(
    paths: Sequence[Path], *, mode: CameraMode = _DRIVERS_MODE, loop: bool = False, pace: float | None = None
) -> Source:
    """Return several image files as one source, in this order, as a folder of them would be; options as above.

    Raises:
        InputError: a file is absent, or an option is only for cameras.
    """
    for path in paths:
        if path_kind(path) == "absent" and not path.is_symlink():  # a shell lists broken links, which are left out
            raise _absent(path)
    _refuse_camera_options(parse_uri(str(paths[0])), mode)
    source = ImageSource(paths, loop=loop)
    return RateLimitedSource(source, pace) if pace is not None else source


def _open_live(uri: Uri, mode: CameraMode, rtsp_latency_ms: int, recovery: Recovery) -> Source:
    require_utf8(uri.target, uri.shown)
    if uri.kind == "camera":
        return open_camera(int(uri.target), uri.shown, mode, recovery)
    if uri.kind == "csi":
        return open_csi(uri, mode, recovery)
    if uri.kind == "pipeline":
        return open_pipeline(uri, recovery)
    return open_url(uri, rtsp_latency_ms, recovery)


def _refuse_file_options(uri: Uri, *, loop: bool, pace: float | None) -> None:
    if loop or pace is not None:
        raise InputError(
            f"{'--loop' if loop else '--pace'} is only for files, not for {uri.shown}",
            wanted="a file or folder",
            do=f"Leave out {'--loop' if loop else '--pace'}.",
        )


def _refuse_camera_options(uri: Uri, mode: CameraMode) -> None:
    if mode != _DRIVERS_MODE:
        raise InputError(
            f"--width, --height and --fps are only for cameras, not for {uri.shown}",
            wanted="a camera",
            do="Leave out these options; to play a file at a frame rate, use --pace.",
        )


def _open_file(path: Path, *, loop: bool) -> Source:
    kind = path_kind(path)
    if kind == "absent":
        raise _absent(path)
    if kind == "folder" or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(path, loop=loop)
    if kind == "other":  # opening a pipe would wait for a writer, inside OpenCV, where no signal is heeded
        raise InputError(
            f"{path} is not a regular file",
            got="a device, pipe or socket",
            wanted="a video file",
            do="To read what another program sends, use an address such as udp:// or rtsp://, or a GStreamer pipeline.",
        )
    if kind == "file" and path.stat().st_size == 0:
        raise InputError(f"{path} is empty", wanted="a video")
    return open_video(path, loop=loop)


def _absent(path: Path) -> InputError:
    wanted = "an image, a folder of images, or a video"
    if not glob.has_magic(str(path)):
        return InputError(f"{path} does not exist", wanted=wanted)
    found = len(glob.glob(str(path)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return InputError(
        f"{path} does not exist",
        got=f"a pattern of names that fits {found or 'no'} file{'' if found == 1 else 's'}",
        wanted=wanted,
        do="Write it without quotes, so that the shell replaces it by the names." if found else "",
    )
