"""This processor: its name, as far as it matters to an optimized graph, and how work is spread over its cores."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CPU_FOLDER = Path("/sys/devices/system/cpu")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
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


@dataclass(frozen=True)
class Threads:
    """Workers, each an image at a time, and the threads that share one image.

    Attributes:
        workers: images in flight at once.
        per_worker: threads that compute one image together.
        spin: threads wait for each other inside an image by spinning for 0.1 ms before they sleep, which is quicker
            where the cores are free (a small model gains a third) and slower where other programs want them too.
            Between images they sleep in any case: those moments belong to capture and encoding.
    """

    workers: int
    per_worker: int
    spin: bool = True

    @classmethod
    def for_latency(cls, cores: int | None = None) -> Threads:
        """Return one worker on all cores: each image is done as soon as it can be."""
        return cls(workers=1, per_worker=cores or physical_cores())

    @classmethod
    def for_throughput(cls, cores: int | None = None) -> Threads:
        """Return one single-threaded worker per core: more images a second, each of them later."""
        return cls(workers=cores or physical_cores(), per_worker=1)


def physical_cores() -> int:
    """Return the cores that this process may use: siblings of one core count once, a container's quota limits."""
    logical = _allowed_cpus()
    cores = {_siblings(cpu) for cpu in logical}
    return max(1, min(len(cores), _quota(_CGROUP_LIMIT)))


def _allowed_cpus() -> Iterable[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _siblings(cpu: int) -> str:
    try:
        return (_CPU_FOLDER / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:  # not Linux: every logical processor counts as a core
        return str(cpu)


def _quota(limit: Path) -> int:
    """Return the whole cores that cgroup v2's ``cpu.max`` (quota and period in microseconds, or ``max``) grants."""
    try:
        quota, period = limit.read_text().split()
    except (OSError, ValueError):
        return os.cpu_count() or 1
    return math.ceil(int(quota) / int(period)) if quota != "max" else os.cpu_count() or 1
