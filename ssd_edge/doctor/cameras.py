"""What pictures can come from: OpenCV's build, GStreamer's plugins, and the cameras."""

from __future__ import annotations

import re

from ssd_edge.doctor.facts import Facts, Module
from ssd_edge.doctor.jetpack import JetPack
from ssd_edge.doctor.line import Line, missing, ok, warn

_PIP_PACKAGES = "opencv-python opencv-python-headless opencv-contrib-python"
_SYSTEM_OPENCV = ("/usr/lib/python3/dist-packages/cv2*", "/usr/lib/python3.*/dist-packages/cv2*")


def opencv(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return OpenCV and whether it opens GStreamer pipelines, which CSI cameras and hardware decoders need."""
    found = facts.module("cv2")
    if found is None or found.problem:
        why = f"cannot be imported: {found.problem}" if found else "not installed"
        return missing("OpenCV", why, "pip install opencv-python")
    if has_gstreamer(facts):
        return ok("OpenCV", f"{found.version} with GStreamer")
    if jetpack is None:
        return ok("OpenCV", f"{found.version} without GStreamer, which only csi:// and pipeline: sources need")
    return warn("OpenCV", *_without_gstreamer(facts, found))


def has_gstreamer(facts: Facts) -> bool:
    """Tell whether OpenCV was built with GStreamer."""
    return re.search(r"GStreamer:\s+YES", facts.build_information()) is not None


def _without_gstreamer(facts: Facts, found: Module) -> tuple[str, str]:
    """Return what is wrong on a Jetson, and what mends it."""
    system = next((path for pattern in _SYSTEM_OPENCV for path in facts.paths(pattern)), None)
    uninstall = f"pip uninstall -y {_PIP_PACKAGES}"
    if system is None:
        return (
            f"{found.version} without GStreamer: no CSI camera, no hardware decoder",
            f"sudo apt-get install libopencv-python; {uninstall}",
        )
    venv = facts.python()
    if venv.venv and not venv.sees_system:
        uninstall = (
            f"python3 -m venv --clear --system-site-packages {venv.venv}, install ssd-edge again, then {uninstall}"
        )
    return f"pip's {found.version} without GStreamer hides JetPack's build in {system}", uninstall


def gstreamer(facts: Facts) -> Line:
    """Return a Jetson's camera and decoder elements."""
    if facts.output("gst-inspect-1.0 --version") is None:
        return missing("GStreamer", "not installed", "sudo apt-get install gstreamer1.0-tools nvidia-l4t-gstreamer")
    absent = [
        name
        for name in ("nvarguscamerasrc", "nvv4l2decoder", "nvvidconv")
        if facts.output(f"gst-inspect-1.0 {name}") is None
    ]
    if absent:
        return missing(
            "GStreamer", f"lacks {', '.join(absent)}", "sudo apt-get install --reinstall nvidia-l4t-gstreamer"
        )
    return ok("GStreamer", "camera, decoder and converter of this board")


def cameras(facts: Facts) -> Line:
    """Return the cameras, and whether this user may read them."""
    devices = facts.paths("/dev/video*")
    if not devices:
        return ok("cameras", "none; streams, films and pictures need none")
    names = [f"{device} ({_name(facts, device)})" for device in devices]
    if all(facts.readable(device) for device in devices):
        return ok("cameras", ", ".join(names))
    return missing(
        "cameras", f"{', '.join(names)}: this user may not read them", "sudo usermod -aG video $USER; then log in again"
    )


def _name(facts: Facts, device: str) -> str:
    number = device.rpartition("/")[2]
    return (facts.text(f"/sys/class/video4linux/{number}/name") or "camera").strip()
