"""Live: answers about the machine that this runs on. Nothing is changed, and no question takes long."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.tensorrt.module import plugin_names
from ssd_edge.core.environment import no_telemetry

_SECONDS = 10
_LONGEST_TEXT = 20_000


class Live:
    """The machine itself."""

    def ask(self, kind: str, subject: str) -> Any:
        """Answer; see :class:`ssd_edge.doctor.facts.Facts` for the kinds."""
        answers: dict[str, Callable[[str], Any]] = {
            "read": _read,
            "glob": lambda pattern: sorted(map(str, Path("/").glob(pattern.lstrip("/")))),
            "access": lambda path: os.access(path, os.R_OK | os.W_OK),
            "run": _run,
            "module": _module,
            "distribution": _distribution,
            "python": lambda _: _python(),
            "gpu": lambda _: describe_gpu(),
            "plugins": lambda module: _foreign(lambda: _plugins(module)),
            "opencv": lambda _: _foreign(_opencv),
            "cpu": lambda _: cpu_device(),
            "room": _room,
            "limits": lambda _: _limits(),
        }
        return answers[kind](subject)


def _room(place: str) -> list[int] | None:
    try:
        usage = shutil.disk_usage(tempfile.gettempdir() if place == "TMPDIR" else place)
    except OSError:
        return None
    return [usage.total, usage.free]


def _limits() -> list[int]:
    return [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)]


def _read(path: str) -> str | None:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.replace("\0", "")[:_LONGEST_TEXT]


def _run(command: str) -> str | None:
    program, *arguments = shlex.split(command)
    found = shutil.which(program)
    if found is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - words of our own, no shell
            [found, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout[:_LONGEST_TEXT] if done.returncode == 0 else None


def _module(name: str) -> dict[str, str] | None:
    """Import a module and say where it came from; whatever its import raises is a finding, not an error of ours."""
    package = name.partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None:  # without a loader it is a folder of type stubs
        return None
    try:
        with no_telemetry():
            module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything
        return {"version": "", "file": "", "problem": f"{type(error).__name__}: {error}"}
    version = getattr(sys.modules[package], "__version__", None) or getattr(sys.modules[package], "VERSION_TEXT", "")
    return {"version": str(version), "file": str(getattr(module, "__file__", "") or "")}


def _distribution(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python() -> dict[str, Any]:
    venv = sys.prefix if sys.prefix != sys.base_prefix else ""
    system = {"/usr/lib/python3/dist-packages", sysconfig.get_path("purelib", vars={"base": sys.base_prefix})}
    return {
        "version": list(sys.version_info[:3]),
        "machine": platform.machine(),
        "venv": venv,
        "sees_system": not venv or bool(system & set(sys.path)),
        "is_root": hasattr(os, "geteuid") and os.geteuid() == 0,
    }


def _foreign(call: Callable[[], Any]) -> Any:
    """Return what another package's code gives; None where it fails, which its own line reports."""
    try:
        return call()
    except Exception:  # noqa: BLE001 - a broken package may raise anything
        return None


def _plugins(module: str) -> list[str]:
    trt = importlib.import_module(module)
    return sorted(plugin_names(trt, trt.Logger(trt.Logger.ERROR)))


def _opencv() -> str:
    import cv2

    return str(cv2.getBuildInformation())
