"""Machines, put together from what NVIDIA's files and commands print; no question that they were not asked."""

from __future__ import annotations

from typing import Any

from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.jetpack import BOARD_MODEL, L4T_RELEASE

Answers = dict[str, Any]

VENV = "/home/user/app/.venv"
SYSTEM = "/usr/lib/python3/dist-packages"
SITE = f"{VENV}/lib/python3/site-packages"
WITH_GSTREAMER = "  Video I/O:\n    GStreamer:                   YES (1.20.3)\n"
WITHOUT_GSTREAMER = "  Video I/O:\n    FFMPEG:                      YES\n    GStreamer:                   NO\n"


class Answering:
    """A source of fixed answers."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def ask(self, kind: str, subject: str) -> Any:
        return self._answers.get(f"{kind} {subject}".strip())


def facts(answers: Answers) -> Facts:
    return Facts(Answering(answers))


def module(version: str, folder: str) -> dict[str, str]:
    return {"version": version, "file": f"{folder}/module/__init__.py"}


def meminfo(total_gib: float, free_gib: float) -> str:
    kib = 1 << 20
    return f"MemTotal:       {total_gib * kib:.0f} kB\nMemFree:   1 kB\nMemAvailable:   {free_gib * kib:.0f} kB\n"


def bare_cpu() -> Answers:
    return {
        "python": {"version": [3, 11, 7], "machine": "x86_64", "venv": VENV, "sees_system": False},
        "cpu": "x86_64+avx2",
        "read /proc/meminfo": meminfo(8, 6),
        "module onnxruntime": module("1.32.0", SITE),
        "module cv2": module("5.0.0", SITE),
        "opencv": WITHOUT_GSTREAMER,
    }


def orin_nano() -> Answers:
    """Orin Nano Super, JetPack 6.2, everything in order."""
    return {
        L4T: "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n",
        f"read {BOARD_MODEL}": "NVIDIA Jetson Orin Nano Developer Kit Super",
        "python": {"version": [3, 10, 12], "machine": "aarch64", "venv": VENV, "sees_system": True},
        "run /usr/bin/python3 --version": "Python 3.10.12\n",
        "glob /usr/include/python3.*/Python.h": ["/usr/include/python3.10/Python.h"],
        "cpu": "aarch64+asimd+asimdhp+asimddp",
        "read /proc/meminfo": meminfo(7.4, 5.2),
        "gpu": {
            "name": "Orin", "compute_capability": [8, 7], "integrated": True, "memory": 7_900_000_000,
            "driver_cuda": [12, 6], "count": 1,
        },
        "run nvcc --version": "Cuda compilation tools, release 12.6, V12.6.68\n",
        "module tensorrt": module("10.3.0", SYSTEM),
        "plugins tensorrt": ["BatchedNMSDynamic_TRT", "EfficientNMS_TRT"],
        "module pycuda": module("2026.1", SITE),
        "module onnxruntime": module("1.23.0", SITE),
        "module cv2": module("4.8.0", SYSTEM),
        "opencv": WITH_GSTREAMER,
        "glob /dev/video*": ["/dev/video0"],
        "access /dev/video0": True,
        "read /sys/class/video4linux/video0/name": "vi-output, imx219 9-0010\n",
        "run gst-inspect-1.0 --version": "gst-inspect-1.0 version 1.20.3\n",
        "run gst-inspect-1.0 nvarguscamerasrc": "Factory Details:\n",
        "run gst-inspect-1.0 nvv4l2decoder": "Factory Details:\n",
        "run gst-inspect-1.0 nvvidconv": "Factory Details:\n",
        "run nvpmodel -q": "NV Power Mode: MAXN_SUPER\n2\n",
        "read /etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n"
        "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
        "glob /sys/class/devfreq/*.gpu": ["/sys/class/devfreq/17000000.gpu"],
        "read /sys/class/devfreq/17000000.gpu/min_freq": "1020000000\n",
        "read /sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
    }  # fmt: skip


def thor() -> Answers:
    """AGX Thor, JetPack 7.1, everything in order."""
    answers = orin_nano()
    return {
        **answers,
        L4T: "# R38 (release), REVISION: 4.0, GCID: 43443517, BOARD: generic, EABI: aarch64\n",
        f"read {BOARD_MODEL}": "NVIDIA Jetson AGX Thor Developer Kit",
        "python": {"version": [3, 12, 3], "machine": "aarch64", "venv": VENV, "sees_system": True},
        "run /usr/bin/python3 --version": "Python 3.12.3\n",
        "glob /usr/include/python3.*/Python.h": ["/usr/include/python3.12/Python.h"],
        "cpu": "aarch64+asimd+asimdhp+asimddp+i8mm+bf16+sve",
        "read /proc/meminfo": meminfo(122, 110),
        "gpu": {
            "name": "NVIDIA Thor", "compute_capability": [11, 0], "integrated": True, "memory": 130_000_000_000,
            "driver_cuda": [13, 0], "count": 1,
        },
        "run nvcc --version": "Cuda compilation tools, release 13.0, V13.0.48\n",
        "module tensorrt": module("10.13.3", SYSTEM),
        "run nvpmodel -q": "NV Power Mode: MAXN\n0\n",
        "glob /sys/class/devfreq/*.gpu": [],
        "glob /sys/class/devfreq/gpu-*": ["/sys/class/devfreq/gpu-gpc-0"],
        "read /sys/class/devfreq/gpu-gpc-0/min_freq": "315000000\n",
        "read /sys/class/devfreq/gpu-gpc-0/max_freq": "1575000000\n",
    }  # fmt: skip


def jetson_container() -> Answers:
    """An Orin Nano in the image of docker/jetson.Dockerfile, with --runtime nvidia: no release, model, nvpmodel."""
    hidden = (L4T, f"read {BOARD_MODEL}", "run nvpmodel -q", "read /etc/nvpmodel.conf")
    answers = {
        question: answer
        for question, answer in orin_nano().items()
        if question not in hidden and "gst-inspect" not in question
    }
    site = "/opt/venv/lib/python3.10/site-packages"
    return {
        **answers,
        "python": {
            "version": [3, 10, 12], "machine": "aarch64", "venv": "/opt/venv", "sees_system": True, "is_root": True,
        },
        "module cv2": module("4.11.0", site),
        "module pycuda": module("2026.1", site),
        "module onnxruntime": module("1.23.0", site),
        "opencv": WITHOUT_GSTREAMER,
        "glob /.dockerenv": ["/.dockerenv"],
        "read /sys/devices/soc0/family": "Tegra\n",
        "read /sys/devices/soc0/machine": "NVIDIA Jetson Orin Nano Developer Kit Super\n",
    }  # fmt: skip


def jetpack_5() -> Answers:
    """A Xavier NX with JetPack 5 and a Python 3.10 of the user's own, the only one that can have ssd-edge there."""
    answers = orin_nano()
    for gone in ("module tensorrt", "plugins tensorrt", "module pycuda"):
        del answers[gone]
    return {
        **answers,
        L4T: "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n",
        f"read {BOARD_MODEL}": "NVIDIA Jetson Xavier NX Developer Kit",
        "python": {"version": [3, 10, 9], "machine": "aarch64", "venv": VENV, "sees_system": False},
        "run /usr/bin/python3 --version": "Python 3.8.10\n",
        "gpu": {
            "name": "Xavier", "compute_capability": [7, 2], "integrated": True, "memory": 7_900_000_000,
            "driver_cuda": [11, 4], "count": 1,
        },
        "module cv2": module("4.11.0", SITE),
        "opencv": WITHOUT_GSTREAMER,
        "run nvpmodel -q": "NV Power Mode: MODE_20W_6CORE\n8\n",
    }  # fmt: skip


def desktop() -> Answers:
    """A desktop with TensorRT 11 from pip, which registers no BatchedNMS any more."""
    return {
        **bare_cpu(),
        "gpu": {
            "name": "NVIDIA GeForce RTX 4070", "compute_capability": [8, 9], "integrated": False,
            "memory": 12_878_086_144, "driver_cuda": [13, 0], "count": 2,
        },
        "read /proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27\n",
        "run nvcc --version": "Cuda compilation tools, release 13.0, V13.0.48\n",
        "module tensorrt": module("11.4.0.106", SITE),
        "plugins tensorrt": ["EfficientNMS_TRT"],
        "module pycuda": module("2026.1", SITE),
    }  # fmt: skip


def desktop_rtx() -> Answers:
    """A desktop with TensorRT-RTX alone."""
    answers = desktop()
    del answers["module tensorrt"], answers["plugins tensorrt"]
    return {**answers, "module tensorrt_rtx": module("1.7.1.116", SITE), "plugins tensorrt_rtx": ["ROIAlign_TRT"]}


L4T = f"read {L4T_RELEASE}"
