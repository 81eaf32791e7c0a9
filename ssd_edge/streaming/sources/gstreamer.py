"""GStreamer pipelines for OpenCV."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources.opencv import is_built_with

_ELEMENT = re.compile(r"\s*([A-Za-z]\w*)(?:\s|$)")  # neither caps, which have a slash, nor a pad, which has a point
_NVIDIAS = {"nvarguscamerasrc", "nvvidconv"}
_JETSON_RELEASE = Path("/etc/nv_tegra_release")
_JETSON_CODECS = ("nvv4l2decoder", "nvvidconv")
# nvvidconv cannot put out BGR, hence BGRx and videoconvert; the sink keeps the newest frame only.
_TO_BGR = (
    "video/x-raw, format=(string)BGRx ! videoconvert ! video/x-raw, format=(string)BGR ! "
    "appsink drop=1 max-buffers=1 sync=false"
)
_ONLY_ON_JETSON = (
    "Only a Jetson has CSI cameras; on it, run sudo apt-get install nvidia-l4t-gstreamer. For a USB "
    "camera, use --camera 0."
)


def has_gstreamer() -> bool:
    """Return whether this OpenCV was built with GStreamer; the wheels of PyPI are not."""
    return is_built_with("GStreamer")


def require_gstreamer(shown: str) -> None:
    """Raise DeviceError where OpenCV cannot run pipelines; ``shown`` names the source that needs one."""
    if not has_gstreamer():
        raise DeviceError(
            f"{shown} needs GStreamer",
            got=f"OpenCV {cv2.__version__}, built without it",
            wanted="an OpenCV with GStreamer",
            do="Uninstall the pip package of OpenCV and use JetPack's or the distribution's (apt install "
            "python3-opencv); a virtual environment needs --system-site-packages.",
        )


def require_elements(pipeline: str, shown: str) -> None:
    """Raise DeviceError where an element of the pipeline is not installed: OpenCV waits for the rest of it without end.

    Without ``gst-inspect-1.0``, which comes with ``gst-launch-1.0``, this is unknown.
    """
    program = shutil.which("gst-inspect-1.0")
    names = dict.fromkeys(found[1] for part in pipeline.split("!") if (found := _ELEMENT.match(part)))
    missing = [name for name in names if program and not _is_installed(program, name)]
    if missing:
        raise DeviceError(
            f"{shown} cannot be opened",
            got=f"no GStreamer element {', '.join(missing)} on this machine",
            do=_ONLY_ON_JETSON
            if set(missing) & _NVIDIAS
            else "Install the GStreamer plugin that contains the element.",
        )


def has_element(name: str) -> bool:
    """Return whether an element is installed; False also where ``gst-inspect-1.0`` is not, and this is unknown."""
    program = shutil.which("gst-inspect-1.0")
    return program is not None and _is_installed(program, name)


def _is_installed(program: str, element: str) -> bool:
    return subprocess.run([program, "--exists", element], check=False, stdin=subprocess.DEVNULL).returncode == 0  # noqa: S603 - a list, no shell; an element's name is letters and digits


def has_jetson_codecs() -> bool:
    """Return whether this board decodes and converts in hardware, and OpenCV can be given a pipeline that does."""
    program = shutil.which("gst-inspect-1.0")
    return program is not None and has_gstreamer() and all(_is_installed(program, name) for name in _JETSON_CODECS)


def csi_pipeline(sensor: int, width: int, height: int, fps: float) -> str:
    """Return the pipeline of a Jetson's CSI camera."""
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width=(int){width}, height=(int){height}, framerate=(fraction){fps:.0f}/1 ! "
        f"nvvidconv ! {_TO_BGR}"
    )


def usb_pipeline(number: int, width: int | None, height: int | None, fps: float | None, *, mjpeg: bool) -> str:
    """Return the pipeline of a USB camera on a Jetson: JPEG is decoded in hardware, raw images are converted there."""
    sizes = {"width=(int)": width, "height=(int)": height, "framerate=(fraction)": fps and f"{fps:.0f}/1"}
    asked = "".join(f", {name}{value}" for name, value in sizes.items() if value is not None)
    source = f"v4l2src device=/dev/video{number} do-timestamp=true"
    if mjpeg:
        return f"{source} ! image/jpeg{asked} ! jpegparse ! nvv4l2decoder mjpeg=1 ! nvvidconv ! {_TO_BGR}"
    return f"{source} ! video/x-raw, format=(string)YUY2{asked} ! nvvidconv ! {_TO_BGR}"


def rtsp_pipeline(url: str, latency_ms: int) -> str:
    """Return the pipeline of a network camera on a Jetson.

    decodebin takes the board's decoder for H.264 and H.265 alike; what that gives lies in NVIDIA's memory, which
    videoconvert cannot read and nvvidconv can.
    """
    escaped = url.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'rtspsrc location="{escaped}" latency={latency_ms} protocols=tcp ! '
        f"application/x-rtp, media=(string)video ! decodebin ! nvvidconv ! {_TO_BGR}"
    )


def recommended_pipeline() -> str:
    """Return the pipeline to type for a network camera on this machine, with URL in the place of its address."""
    if _JETSON_RELEASE.exists():
        return rtsp_pipeline("URL", 200).replace('"', "")
    return "rtspsrc location=URL ! decodebin ! videoconvert ! video/x-raw,format=BGR ! appsink"
