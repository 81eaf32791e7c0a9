"""Is there a display that takes a window? Asked in another process, because Qt aborts the one that asks in vain."""

from __future__ import annotations

import os
import subprocess
import sys

_PROBE = "import cv2; cv2.namedWindow('ssd-edge'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 15


def why_no_window() -> str | None:
    """Return why OpenCV cannot show a window here; None where it can."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "a display that does not answer"
    if probe.returncode == 0:
        return None
    text = probe.stderr.decode(errors="replace").strip().splitlines()
    return text[0] if text else f"a display that refuses (exit code {probe.returncode})"
