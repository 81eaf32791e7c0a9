"""The environment in which a process finds the emulated GPU, the real pycuda, and a stand-in of TensorRT."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = Path(os.environ.get("SSD_EDGE_EMULATOR") or Path(sys.prefix) / "emulator")  # where ``build.py`` put it
READY = (BUILT / "lib" / "libcuda.so.1").is_file() and (BUILT / "packages" / "pycuda").is_dir()


def surroundings(release: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """Return the variables of such a process; the release is one of ``RELEASES``."""
    site = HERE / ("site_rtx" if release == "rtx" else "site")
    paths = [str(ROOT), str(site), str(BUILT / "packages")]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(BUILT / "lib"),
        "PYTHONPATH": os.pathsep.join(paths),
        "SSD_EDGE_STANDIN": release,
        "SSD_EDGE_EMU_SM": str(capability(release)),
        **(env or {}),
    }


def without_pycuda(release: str) -> dict[str, str]:
    """Return what to change where cuda-python is to be found and pycuda not."""
    site = HERE / ("site_rtx" if release == "rtx" else "site")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}


def capability(release: str) -> int:
    """Return the compute capability of the emulated GPU: an Orin's, and a desktop card's for RTX, which has no Orin."""
    return 89 if release == "rtx" else 87
