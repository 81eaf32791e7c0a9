"""GStreamer pipelines for OpenCV."""

from __future__ import annotations

import cv2

from ssd_edge.core.errors import DeviceError


def has_gstreamer() -> bool:
    """Tell whether this OpenCV was built with GStreamer; the wheels of PyPI are not."""
    line = next((text for text in cv2.getBuildInformation().splitlines() if "GStreamer:" in text), "")
    return "YES" in line


def require_gstreamer(shown: str) -> None:
    """Raise DeviceError where OpenCV cannot run pipelines; ``shown`` names the source that needs one."""
    if not has_gstreamer():
        raise DeviceError(
            f"{shown} needs GStreamer",
            got=f"OpenCV {cv2.__version__}, built without it",
            wanted="an OpenCV with GStreamer",
            do="Use the one of JetPack or the distribution (apt install python3-opencv) in place of the wheel.",
        )


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
