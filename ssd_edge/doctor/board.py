"""The board: what it is, its memory, its power mode and its clocks."""

from __future__ import annotations

import re

from ssd_edge.doctor.check import CheckResult, as_root, is_container, ok, warn
from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.jetpack import L4T_RELEASE, JetPack, board_model

_GIB = 1 << 30
_LOW_MEMORY = 1.5 * _GIB
_GPU_CLOCKS = ("/sys/class/devfreq/*.gpu", "/sys/class/devfreq/*ga10b", "/sys/class/devfreq/*gv11b",
               "/sys/class/devfreq/gpu-*")  # fmt: skip
_NVPMODEL_CONF, _NVPMODEL_STATUS = "/etc/nvpmodel.conf", "/var/lib/nvpmodel/status"
_CGROUP = "/sys/fs/cgroup"


def machine(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return what this computer is."""
    model = board_model(facts)
    if jetpack is None:
        named = f"{model}, without NVIDIA's L4T" if model else f"{facts.python().machine}, no Jetson"
        return ok("machine", named)
    found = f"{model or 'a Jetson'}, {jetpack.text}"
    if jetpack.is_hidden:
        return warn("machine", found, f"In a container: docker run -v {L4T_RELEASE}:{L4T_RELEASE}:ro …")
    if jetpack.major == 0:
        do = "ssd-edge knows JetPack 5 to 7; flash one of them: https://developer.nvidia.com/embedded/jetpack"
        return warn("machine", found, do)
    return ok("machine", found)


def memory(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return how much memory is free; on a Jetson the GPU takes its own from it."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", facts.text("/proc/meminfo") or "", re.MULTILINE))
    if "MemAvailable" not in sizes or "MemTotal" not in sizes:
        return ok("memory", "unknown on this system")
    free, total = (int(sizes[name]) * 1024 for name in ("MemAvailable", "MemTotal"))
    found, limit = "", _container_limit(facts)
    if limit is not None and limit[1] < total:
        free, total, found = min(free, limit[0]), limit[1], ", which this container may have"
    found = f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f}{found}"
    if free >= _LOW_MEMORY:
        return ok("memory", found)
    do = "Close other programs, or give the container more." if limit else "Close other programs."
    if jetpack is not None and limit is None:
        do = "Close the desktop, which holds about 1 GiB: sudo systemctl isolate multi-user.target"
    return warn("memory", f"{found}; building an engine needs 1.5 GiB", do)


def _container_limit(facts: Facts) -> tuple[int, int] | None:
    """Return (free, most) bytes that cgroup v2 lets a container have; None without a limit.

    What the kernel keeps of files (``inactive_file``) it gives up first, so that it counts as free.
    """
    most, now = (facts.text(f"{_CGROUP}/memory.{name}") or "" for name in ("max", "current"))
    if not (most.strip().isdigit() and now.strip().isdigit()):
        return None
    kept = re.search(r"^inactive_file (\d+)", facts.text(f"{_CGROUP}/memory.stat") or "", re.MULTILINE)
    return int(most) - int(now) + (int(kept[1]) if kept else 0), int(most)


def power(facts: Facts) -> CheckResult:
    """Return a Jetson's power mode; the one without a limit is called MAXN on every board."""
    modes = _power_modes(facts.text(_NVPMODEL_CONF) or "")
    mode = _power_mode(facts, modes)
    if mode is None and is_container(facts):
        return ok("power mode", "not visible in a container; on the host: sudo nvpmodel -q")
    if mode is None:
        return warn("power mode", "nvpmodel does not show it", as_root(facts, "nvpmodel -q"))
    if mode.startswith("MAXN"):
        return ok("power mode", mode)
    best = max(((name, number) for number, name in modes.items() if name.startswith("MAXN")), default=None)
    do = f"List the modes: grep POWER_MODEL {_NVPMODEL_CONF}"
    if best is not None:  # the super one, where there is one
        do = f"{as_root(facts, 'nvpmodel')} -m {best[1]}  ({best[0]})"
    return warn("power mode", f"{mode}: the clocks are limited", do)


def _power_mode(facts: Facts, modes: dict[int, str]) -> str | None:
    """Return the mode's name, from nvpmodel or, where only root may ask it, from the file where it keeps the number."""
    found = re.search(r"NV Power Mode: (\S+)", facts.output("nvpmodel -q") or "")
    if found is not None:
        return found[1]
    kept = re.search(r"pmode:(\d+)", facts.text(_NVPMODEL_STATUS) or "")
    return modes.get(int(kept[1])) if kept else None


def _power_modes(conf: str) -> dict[int, str]:
    """Return the names of the modes; the file reads ``< POWER_MODEL ID=2 NAME=MAXN_SUPER >``."""
    modes = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", conf)
    return {int(number): name for number, name in modes}


def clocks(facts: Facts) -> CheckResult:
    """Return whether a Jetson's GPU clock is held at its highest; floating, it lags behind a camera's frames."""
    for pattern in _GPU_CLOCKS:
        for folder in facts.paths(pattern):
            lowest, highest = (facts.text(f"{folder}/{name}_freq") for name in ("min", "max"))
            if lowest and highest:
                return _clock(facts, int(lowest) / 1e6, int(highest) / 1e6)
    return warn("clocks", "the GPU's clock cannot be read", _on_the_board(facts, "jetson_clocks --show"))


def _clock(facts: Facts, lowest: float, highest: float) -> CheckResult:
    if lowest == highest:
        return ok("clocks", f"GPU held at {highest:.0f} MHz")
    found = f"GPU floats from {lowest:.0f} to {highest:.0f} MHz"
    return warn("clocks", found, _on_the_board(facts, "jetson_clocks"))


def _on_the_board(facts: Facts, command: str) -> str:
    """Return a command of the board's own, which no container has."""
    return f"outside of the container: sudo {command}" if is_container(facts) else as_root(facts, command)
