"""The machine that a run was made on, as far as it matters to its times."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ssd_edge import __version__
from ssd_edge.backends.cpu import cpu_device, physical_cores
from ssd_edge.backends.cuda_driver import describe_gpu, is_virtual_name

_PACKAGES = ("onnxruntime", "openvino", "torch", "torchvision", "tensorrt", "opencv-python", "numpy", "ultralytics")
_CPU = Path("sys/devices/system/cpu")
_STEADY = (
    "performance",
    "",
)  # governors that keep the clock up; a machine without one is a guest or has none to choose


@dataclass(frozen=True)
class Machine:
    """The machine of a run.

    Attributes:
        processor: its trade name, or its architecture.
        features: architecture and the instruction sets that matter, e.g. ``x86_64+avx2+avx512_vnni``.
        cores: that this process may use.
        logical: processors that this process may use; siblings of a core count each.
        memory_gib: of the machine; 0 where it is not known.
        governor: of the clock; empty where there is none.
        hypervisor: whether the machine is a guest of another.
        throttled: how often the cores were slowed down for heat since the start; None where it is not known.
        system: kernel and Python.
        gpu: its name, as its driver gives it; empty without one.
        packages: versions of ssd-edge and of the runtimes that are installed.
    """

    processor: str
    features: str
    cores: int
    logical: int
    memory_gib: float
    governor: str
    hypervisor: bool
    throttled: int | None
    system: str
    gpu: str
    packages: dict[str, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Properties of the machine that make times vary."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        if self.governor not in _STEADY:
            yield (
                f"the clock's governor is {self.governor!r}, and times vary with what ran before: "
                "sudo cpupower frequency-set -g performance"
            )
        if is_virtual_name(self.gpu):
            yield f"the GPU, {self.gpu}, is virtual: its times say nothing of a real one"
        if self.hypervisor:
            yield "this is a virtual machine: its host may slow it down without a trace"


def read_machine(root: Path = Path("/")) -> Machine:
    """Describe this machine; ``root`` is where ``proc`` and ``sys`` lie."""
    cpuinfo = _text(root / "proc/cpuinfo")
    return Machine(
        processor=processor_name(cpuinfo),
        features=cpu_device(root / "proc/cpuinfo"),
        cores=physical_cores(),
        logical=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=_memory_gib(_text(root / "proc/meminfo")),
        governor=_text(root / _CPU / "cpu0/cpufreq/scaling_governor").strip(),
        hypervisor=" hypervisor" in cpuinfo,
        throttled=_throttled(root / _CPU),
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        gpu=_gpu(),
        packages={"ssd-edge": __version__, **dict(_versions())},
    )


def processor_name(cpuinfo: str) -> str:
    """Return the trade name in the text of ``/proc/cpuinfo``; the architecture where it is not there."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    found = describe_gpu()
    return str(found["name"]) if isinstance(found, dict) else ""


def _memory_gib(meminfo: str) -> float:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)
    return 0.0


def _throttled(folder: Path) -> int | None:
    counts = [_text(path).strip() for path in folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    known = [int(count) for count in counts if count.isdecimal()]
    return sum(known) if known else None


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
