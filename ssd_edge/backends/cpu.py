"""The name of this processor, as far as it matters to an optimised graph."""

from __future__ import annotations

import platform
from pathlib import Path

# Instruction sets by which ONNX Runtime chooses layouts and kernels, as /proc/cpuinfo spells them (x86, then Arm).
_FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def cpu_device(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return e.g. ``x86_64+avx2+avx512f+avx512_vnni``: the machine and those instruction sets that it has."""
    found = _flags(cpuinfo)
    return "+".join([platform.machine().lower(), *(feature for feature in _FEATURES if feature in found)])


def has_vnni(device: str) -> bool:
    """Whether a processor, as :func:`cpu_device` names it, multiplies uint8 by int8 into 32-bit sums in one step."""
    return bool({"avx_vnni", "avx512_vnni", "amx_int8"} & set(device.split("+")))


def _flags(cpuinfo: Path) -> frozenset[str]:
    """Return the flags of the first processor; none where the system has no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
