"""GStreamer pipelines for OpenCV."""

from __future__ import annotations

import re
import shutil
import subprocess

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources.opencv import is_built_with

_ELEMENT = re.compile(r"\s*([A-Za-z]\w*)(?:\s|$)")  # neither caps, which have a slash, nor a pad, which has a point
_NVIDIAS = {"nvarguscamerasrc", "nvvidconv"}
_ONLY_ON_JETSON = "Only a Jetson has CSI cameras; there: sudo apt-get install nvidia-l4t-gstreamer. USB: --camera 0"


def has_gstreamer() -> bool:
    """Tell whether this OpenCV was built with GStreamer; the wheels of PyPI are not."""
    return is_built_with("GStreamer")


def require_gstreamer(shown: str) -> None:
    """Raise DeviceError where OpenCV cannot run pipelines; ``shown`` names the source that needs one."""
    if not has_gstreamer():
        raise DeviceError(
            f"{shown} needs GStreamer",
            got=f"OpenCV {cv2.__version__}, built without it",
            wanted="an OpenCV with GStreamer",
            do="Use the one of JetPack or the distribution (apt install python3-opencv) in place of the wheel.",
        )


def require_elements(pipeline: str, shown: str) -> None:
    """Raise DeviceError where an element of the pipeline is not installed: OpenCV waits for the rest of it for ever.

    Without ``gst-inspect-1.0``, which comes with ``gst-launch-1.0``, nobody can tell.
    """
    program = shutil.which("gst-inspect-1.0")
    names = dict.fromkeys(found[1] for part in pipeline.split("!") if (found := _ELEMENT.match(part)))
    missing = [name for name in names if program and not _is_installed(program, name)]
    if missing:
        raise DeviceError(
            f"{shown} cannot be opened",
            got=f"no GStreamer element {', '.join(missing)} on this machine",
            do=_ONLY_ON_JETSON if set(missing) & _NVIDIAS else "Install the plugin that has it.",
        )


def has_element(name: str) -> bool:
    """Tell whether an element is installed; False also where ``gst-inspect-1.0`` is not, and nobody can tell."""
    program = shutil.which("gst-inspect-1.0")
    return program is not None and _is_installed(program, name)


def _is_installed(program: str, element: str) -> bool:
    return subprocess.run([program, "--exists", element], check=False, stdin=subprocess.DEVNULL).returncode == 0


def csi_pipeline(sensor: int, width: int, height: int, fps: float) -> str:
    """Return the pipeline of a Jetson's CSI camera.

    nvvidconv cannot put out BGR, hence BGRx and videoconvert; the sink keeps the newest frame only.
    """
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width=(int){width}, height=(int){height}, framerate=(fraction){fps:.0f}/1 ! "
        "nvvidconv ! video/x-raw, format=(string)BGRx ! videoconvert ! video/x-raw, format=(string)BGR ! "
        "appsink drop=1 max-buffers=1"
    )
