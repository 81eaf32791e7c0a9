"""Checks of video input: OpenCV's build, GStreamer's plugins, and the cameras."""

from __future__ import annotations

import re

from ssd_edge.doctor.check import CheckResult, as_root, is_container, let_see_system, missing, ok, warn
from ssd_edge.doctor.facts import Facts, Module
from ssd_edge.doctor.jetpack import JetPack

_CSI = "(vi-output"  # what the driver of a Jetson's CSI sensors calls them
_PIP_PACKAGES = "opencv-python opencv-python-headless opencv-contrib-python"
# What Ubuntu and JetPack ship was built for NumPy 1; ml_dtypes, which onnx needs, must be one that goes with it.
_OLD_NUMPY = "pip install 'numpy<2' ml_dtypes"
# Libraries of the wheel that a server or a slim container may lack, and their packages on Debian and Ubuntu.
_PACKAGES = {"libSM": "libsm6", "libICE": "libice6", "libXext": "libxext6", "libXrender": "libxrender1",
             "libX11": "libx11-6", "libxcb": "libxcb1", "libEGL": "libegl1"}  # fmt: skip
_SYSTEM_OPENCV = ("/usr/lib/python3/dist-packages/cv2*", "/usr/lib/python3.*/dist-packages/cv2*")


def opencv(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return OpenCV and whether it opens GStreamer pipelines, which CSI cameras and hardware decoders need."""
    found = facts.module("cv2")
    if found is None:
        return missing("OpenCV", "not installed", "pip install opencv-python")
    if found.problem:
        return missing("OpenCV", f"cannot be imported: {found.problem}", _importable(facts, found.problem))
    if has_gstreamer(facts):
        return ok("OpenCV", f"{found.version} with GStreamer")
    if jetpack is None or is_container(facts):
        outside = "" if jetpack is None else "; those are for outside of this container"
        return ok("OpenCV", f"{found.version} without GStreamer, which only csi:// and pipeline: sources need{outside}")
    if jetpack.major == 5:
        why = f"{found.version} without GStreamer: no CSI camera; JetPack 5's own is for Python 3.8"
        return warn("OpenCV", why, "Use a USB or network camera, or flash JetPack 6 if the board supports it")
    return warn("OpenCV", *_without_gstreamer(facts, found, jetpack))


def _importable(facts: Facts, problem: str) -> str:
    """Return what lets OpenCV be imported: a library of the system, or a NumPy that it was built for."""
    if "numpy" in problem.lower() or "_ARRAY_API" in problem:
        return _OLD_NUMPY
    library = re.search(r"(lib[\w.+-]+?\.so)[\d.]*: cannot open shared object", problem)
    if library is None:
        return "pip install --force-reinstall opencv-python"
    others = {package for name, package in _PACKAGES.items() if library[1].startswith(name)}
    if not others and not library[1].startswith(("libGL", "libg")):
        return f"Install the system's package that has {library[1]}"
    return as_root(facts, " ".join(["apt-get install", "libgl1 libglib2.0-0", *sorted(others)]))


def has_gstreamer(facts: Facts) -> bool:
    """Return whether OpenCV was built with GStreamer."""
    return re.search(r"GStreamer:\s+YES", facts.build_information()) is not None


def _without_gstreamer(facts: Facts, found: Module, jetpack: JetPack) -> tuple[str, str]:
    """Return what is wrong on a Jetson, and what fixes it."""
    system = next((path for pattern in _SYSTEM_OPENCV for path in facts.paths(pattern)), None)
    venv = facts.python()
    see = [let_see_system(venv.venv)] if venv.venv and not venv.sees_system else []
    do = [*see, f"pip uninstall -y {_PIP_PACKAGES}", _OLD_NUMPY]
    if system is None:
        package = "libopencv-python" if jetpack.major == 6 else "python3-opencv"
        do = [as_root(facts, f"apt-get install {package}"), *do]
        return f"{found.version} without GStreamer: no CSI camera, no hardware decoder", "; ".join(do)
    return f"pip's {found.version} without GStreamer hides the build in {system}", "; ".join(do)


def gstreamer(facts: Facts) -> CheckResult:
    """Return a Jetson's camera and decoder elements, which an OpenCV without GStreamer has no use for."""
    if is_container(facts) and not has_gstreamer(facts):
        return ok("GStreamer", "not used by this container's OpenCV")
    if facts.output("gst-inspect-1.0 --version") is None:
        return missing(
            "GStreamer", "not installed", as_root(facts, "apt-get install gstreamer1.0-tools nvidia-l4t-gstreamer")
        )
    absent = [
        name
        for name in ("nvarguscamerasrc", "nvv4l2decoder", "nvvidconv")
        if facts.output(f"gst-inspect-1.0 {name}") is None
    ]
    if absent:
        return missing(
            "GStreamer",
            f"lacks {', '.join(absent)}",
            as_root(facts, "apt-get install --reinstall nvidia-l4t-gstreamer"),
        )
    return ok("GStreamer", "camera, decoder and converter of this board")


def cameras(facts: Facts) -> CheckResult:
    """Return the cameras, and whether this user may read them."""
    devices = facts.paths("/dev/video*")
    outside = [f"/dev/{path.rpartition('/')[2]}" for path in facts.paths("/sys/class/video4linux/video*")]
    if not devices and outside and is_container(facts):
        names = ", ".join(f"{device} ({_name(facts, device)})" for device in outside)
        return missing("cameras", f"{names}: not passed into this container", f"docker run --device {outside[0]} …")
    if not devices:
        return ok("cameras", "none; streams, videos and images need none")
    names = ", ".join(f"{device} ({_name(facts, device)})" for device in devices)
    if all(facts.readable(device) for device in devices):
        csi = "; CSI cameras are opened so: ssd-edge run csi://0"
        return ok("cameras", names + (csi if _CSI in names and has_gstreamer(facts) else ""))
    do = "docker run --group-add video …" if is_container(facts) else "sudo usermod -aG video $USER; then log in again"
    return missing("cameras", f"{names}: this user may not read them", do)


def _name(facts: Facts, device: str) -> str:
    number = device.rpartition("/")[2]
    return (facts.text(f"/sys/class/video4linux/{number}/name") or "camera").strip()
