"""What this OpenCV was built with."""

from __future__ import annotations

import cv2

from ssd_edge.core.errors import DeviceError


def is_built_with(library: str) -> bool:
    """Tell whether OpenCV can use a library, called as in its build information: ``FFMPEG``, ``GStreamer``."""
    line = next((text for text in cv2.getBuildInformation().splitlines() if f"{library}:" in text), "")
    return "YES" in line


def require_ffmpeg(shown: str, do: str) -> None:
    """Raise DeviceError where OpenCV has no FFmpeg; ``shown`` names what needs it, and ``do`` says the way without."""
    if not is_built_with("FFMPEG"):
        raise DeviceError(f"{shown} needs FFmpeg", got=f"OpenCV {cv2.__version__}, built without it", do=do)
