"""RTSP streams that the decoder's hardware delivers at the network's size: no processor of a board scales eight.

Nothing that shows or keeps frames can be had of these: only the small image leaves the decoder. Boxes are in the pixels
of the original all the same, whose size is asked for whenever the stream is opened.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.streaming.sources.gstreamer import has_element, require_gstreamer
from ssd_edge.streaming.sources.opencv import open_capture
from ssd_edge.streaming.sources.reader import CaptureReader, Reader, StampedImage
from ssd_edge.streaming.sources.uri import Uri
from ssd_edge.streaming.states import StreamError, StreamReason


@dataclass(frozen=True)
class Scaler:
    """Elements that decode and scale.

    Attributes:
        name: of the hardware.
        elements: that must be installed.
        line: from the encoded stream to a small image, with ``{width}`` and ``{height}``.
    """

    name: str
    elements: tuple[str, ...]
    line: str


SCALERS = (
    Scaler(
        "NVIDIA Jetson",
        ("parsebin", "nvv4l2decoder", "nvvidconv"),
        "parsebin ! nvv4l2decoder ! nvvidconv ! video/x-raw,format=(string)BGRx,width={width},height={height}",
    ),
    Scaler(
        "VA-API (va)",
        ("parsebin", "vah264dec", "vapostproc"),
        "parsebin ! vah264dec ! vapostproc ! video/x-raw,format=(string)BGRx,width={width},height={height}",
    ),
    Scaler(
        "VA-API (vaapi)",
        ("vaapidecodebin", "vaapipostproc"),
        "vaapidecodebin ! vaapipostproc ! video/x-raw,format=(string)BGRx,width={width},height={height}",
    ),
)
"""The ways that are tried, in this order."""

SOFTWARE = Scaler(
    "software", ("decodebin", "videoscale"), "decodebin ! videoscale ! video/x-raw,width={width},height={height}"
)
"""In the place of hardware, for tests: it saves nothing."""


def choose_scaler(shown: str, scalers: tuple[Scaler, ...] = SCALERS) -> Scaler:
    """Return the first scaler whose elements are installed.

    Raises:
        DeviceError: none is, or OpenCV has no GStreamer.
    """
    require_gstreamer(shown)
    for scaler in scalers:
        if all(has_element(element) for element in scaler.elements):
            return scaler
    names = "; ".join(f"{scaler.name}: {', '.join(scaler.elements)}" for scaler in scalers)
    raise DeviceError(
        f"{shown} cannot be scaled in the decoder",
        got="no GStreamer elements for it"
        if shutil.which("gst-inspect-1.0")
        else "no gst-inspect-1.0 to look for them",
        wanted=names,
        do="Leave out --scale-in-decoder: the CPU then scales the frames.",
    )


def scaled_pipeline(url: str, scaler: Scaler, width: int, height: int, latency_ms: int) -> str:
    """Return the pipeline of an RTSP stream that ends in small BGR images, the newest only."""
    location = url.replace("\\", "\\\\").replace('"', '\\"')
    line = scaler.line.format(width=width, height=height)
    return (
        f'rtspsrc location="{location}" protocols=tcp latency={latency_ms} ! application/x-rtp,media=video ! {line} '
        "! videoconvert ! video/x-raw,format=(string)BGR ! appsink drop=1 max-buffers=1 sync=false"
    )


def scaled_opener(
    uri: Uri,
    size: tuple[int, int],
    latency_ms: int,
    original: Callable[[], tuple[int, int]],
    scalers: tuple[Scaler, ...] = SCALERS,
) -> Callable[[], Reader]:
    """Return what opens a stream at the network's size.

    Args:
        uri: RTSP.
        size: width and height of the network's input.
        latency_ms: how long frames may be held back to put them in order.
        original: asks the stream for its width and height; raises StreamError where it does not answer.
        scalers: to choose from.

    Raises:
        InputError: another kind of source.
        DeviceError: no such decoder is here.
    """
    if not uri.target.lower().startswith(("rtsp://", "rtsps://")):
        raise InputError(f"{uri.shown} cannot be scaled in the decoder", wanted="an RTSP stream")
    scaler = choose_scaler(uri.shown, scalers)
    pipeline = scaled_pipeline(uri.target, scaler, *size, latency_ms)

    def opener() -> Reader:
        found = original()
        capture = open_capture(pipeline, cv2.CAP_GSTREAMER)
        if capture is None:
            # OpenCV does not say why. A camera that is busy with the connection before is such a case: try again soon.
            raise StreamError(StreamReason.ERROR, f"GStreamer cannot open it with {scaler.name}")
        return _ScaledReader(capture, uri.shown, found)

    return opener


class _ScaledReader(CaptureReader):
    """A capture of small images that knows the size of the original."""

    def __init__(self, capture: cv2.VideoCapture, shown: str, original: tuple[int, int]) -> None:
        super().__init__(capture, shown)
        self._original = original

    def read(self) -> StampedImage:
        """Return the next small image."""
        found = super().read()
        return StampedImage(found.image, found.stamp_s, self._original)
