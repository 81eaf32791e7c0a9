"""Resources that run out: shared memory for data workers, open files, processes, and room on disks."""

from __future__ import annotations

from ssd_edge.doctor.check import CheckResult, ok, warn
from ssd_edge.doctor.facts import Facts

_LEAST_SHARED = 512 << 20  # batches of 32 images at 300 x 300 for four workers take some 300 MB
_LEAST_FILES = 1024
_LEAST_PROCESSES = 512
_LEAST_DISK = 2 << 30
_MB, _GB = 1e6, 1e9


def resources(facts: Facts) -> tuple[CheckResult, ...]:
    """Return a result for each resource that the machine reports."""
    found = (shared_memory(facts), limits(facts), room(facts, ".", "disk"), room(facts, "TMPDIR", "TMPDIR"))
    return tuple(result for result in found if result is not None)


def shared_memory(facts: Facts) -> CheckResult | None:
    """Return the room in /dev/shm, through which data workers hand over batches; None where there is none."""
    size = facts.room("/dev/shm")  # noqa: S108 - looked at, not written
    if size is None:
        return None
    total, free = size
    text = f"/dev/shm {free / _MB:,.0f} of {total / _MB:,.0f} MB free"  # noqa: S108 - looked at, not written
    if free >= _LEAST_SHARED:
        return ok("shared memory", text)
    return warn("shared memory", text, "docker run --shm-size 2g, or else: ssd-edge train --workers 0")


def limits(facts: Facts) -> CheckResult | None:
    """Return how many files and processes this user may have; None where the system does not say. -1 is no limit."""
    found = facts.limits()
    if found is None:
        return None
    files, processes = found
    counts = [f"{count:,}" if count >= 0 else "any number of" for count in found]
    text = f"{counts[0]} open files, {counts[1]} processes"
    if 0 <= files < _LEAST_FILES:
        return warn("limits", text, "ulimit -n 65536")
    if 0 <= processes < _LEAST_PROCESSES:
        return warn("limits", text, "ulimit -u 4096")
    return ok("limits", text)


def room(facts: Facts, place: str, name: str) -> CheckResult | None:
    """Return the room on a disk: of the current folder, or of temporary files; None where the system does not say."""
    size = facts.room(place)
    if size is None:
        return None
    text = f"{size[1] / _GB:,.1f} of {size[0] / _GB:,.0f} GB free"
    do = "Free some space." if name == "disk" else "Free some space, or set TMPDIR to another folder."
    return ok(name, text) if size[1] >= _LEAST_DISK else warn(name, text, do)
