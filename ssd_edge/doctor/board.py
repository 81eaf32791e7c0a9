"""The board: what it is, its memory, its power mode and its clocks."""

from __future__ import annotations

import re

from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.jetpack import BOARD_MODEL, JetPack
from ssd_edge.doctor.line import Line, ok, warn

_GIB = 1 << 30
_LOW_MEMORY = 1.5 * _GIB
_GPU_CLOCKS = ("/sys/class/devfreq/*.gpu", "/sys/class/devfreq/*ga10b", "/sys/class/devfreq/*gv11b",
               "/sys/class/devfreq/gpu-*")  # fmt: skip
_NVPMODEL_CONF = "/etc/nvpmodel.conf"


def machine(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return what this computer is."""
    model = facts.text(BOARD_MODEL)
    if model is None:
        return ok("machine", f"{facts.python().machine}, no Jetson")
    if jetpack is None:
        return ok("machine", f"{model.strip()}, without NVIDIA's L4T")
    if jetpack.major == 0:
        return warn(
            "machine",
            f"{model.strip()}, {jetpack.text}",
            "ssd-edge knows JetPack 5 to 7; flash one of them: https://developer.nvidia.com/embedded/jetpack",
        )
    return ok("machine", f"{model.strip()}, {jetpack.text}")


def memory(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return how much memory is free; on a Jetson the GPU takes its own from it."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", facts.text("/proc/meminfo") or "", re.MULTILINE))
    if "MemAvailable" not in sizes or "MemTotal" not in sizes:
        return ok("memory", "unknown on this system")
    free, total = (int(sizes[name]) * 1024 for name in ("MemAvailable", "MemTotal"))
    found = f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f}"
    if free >= _LOW_MEMORY:
        return ok("memory", found)
    do = "Close other programs."
    if jetpack is not None:
        do = "Close the desktop, which holds about 1 GiB: sudo systemctl isolate multi-user.target"
    return warn("memory", f"{found}; building an engine needs 1.5", do)


def power(facts: Facts) -> Line:
    """Return a Jetson's power mode; the one without a limit is called MAXN on every board."""
    mode = re.search(r"NV Power Mode: (\S+)", facts.output("nvpmodel -q") or "")
    if mode is None:
        return warn("power mode", "nvpmodel does not tell", "sudo nvpmodel -q")
    if mode[1].startswith("MAXN"):
        return ok("power mode", mode[1])
    best = _best_mode(facts.text(_NVPMODEL_CONF) or "")
    do = f"sudo nvpmodel -m {best[0]}  ({best[1]})" if best else f"List the modes: grep POWER_MODEL {_NVPMODEL_CONF}"
    return warn("power mode", f"{mode[1]}: the clocks are limited", do)


def _best_mode(conf: str) -> tuple[str, str] | None:
    """Return id and name of the mode without limit, the super one where there is one.

    The file reads ``< POWER_MODEL ID=2 NAME=MAXN_SUPER >``.
    """
    modes = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", conf)
    free = sorted((name, number) for number, name in modes if name.startswith("MAXN"))
    return (free[-1][1], free[-1][0]) if free else None


def clocks(facts: Facts) -> Line:
    """Return whether a Jetson's GPU clock is held at its highest; floating, it lags behind a camera's frames."""
    for pattern in _GPU_CLOCKS:
        for folder in facts.paths(pattern):
            lowest, highest = (facts.text(f"{folder}/{name}_freq") for name in ("min", "max"))
            if lowest and highest:
                return _clock(int(lowest) / 1e6, int(highest) / 1e6)
    return warn("clocks", "the GPU's clock cannot be read", "sudo jetson_clocks --show")


def _clock(lowest: float, highest: float) -> Line:
    if lowest == highest:
        return ok("clocks", f"GPU held at {highest:.0f} MHz")
    return warn("clocks", f"GPU floats from {lowest:.0f} to {highest:.0f} MHz", "sudo jetson_clocks")
