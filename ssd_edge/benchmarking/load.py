"""Who else used the processor while something was measured, and whether a hypervisor took it away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_BUSY = (0, 1, 2, 5, 6)  # of a line of /proc/stat: user, nice, system, irq, softirq; idle and iowait are no work
_STEAL = 7
_LONG_ENOUGH_S = 0.5  # the kernel counts in hundredths of a second: of a shorter span nothing can be said
_MOST_OTHERS = 0.1  # cores: more of the others' work than that marks a span
_MOST_SPANS = 0.1  # share of marked spans that marks the whole


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since the machine started, of the processors that this process may use.

    Attributes:
        at: of the clock.
        busy: of all processes together.
        own: of this process and its children, ended ones too.
        stolen: that a hypervisor gave to other machines.
    """

    at: float
    busy: float
    own: float
    stolen: float


@dataclass(frozen=True)
class Span:
    """The load between two looks.

    Attributes:
        seconds: its length.
        others: cores that other processes used, in the mean.
        stolen: cores that a hypervisor took, in the mean.
    """

    seconds: float
    others: float
    stolen: float

    @property
    def is_disturbed(self) -> bool:
        """Whether others used more than a tenth of a core."""
        return self.others + self.stolen > _MOST_OTHERS


@dataclass(frozen=True)
class NeighborLoad:
    """The load by others while a run lasted.

    Attributes:
        spans: of half a second or more, in order.
        others: cores that other processes used, in the mean over all.
        stolen: cores that a hypervisor took, in the mean.
        busiest: the name and the cores of the processes that used most; at most three.
        is_known: whether the system says any of this.
    """

    spans: tuple[Span, ...]
    others: float
    stolen: float
    busiest: tuple[tuple[str, float], ...]
    is_known: bool = True

    @property
    def disturbed_spans(self) -> int:
        """Number of spans that were disturbed."""
        return sum(span.is_disturbed for span in self.spans)

    @property
    def is_disturbed(self) -> bool:
        """Whether the run stood beside a busy neighbor: all in all, or in more than a tenth of its spans."""
        return self.others + self.stolen > _MOST_OTHERS or self.disturbed_spans > _MOST_SPANS * len(self.spans)

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self.is_known:
            return "this system does not say what other processes did"
        names = "".join(f", {name} {cores:.2f}" for name, cores in self.busiest if cores > _MOST_OTHERS / 2)
        text = (
            f"others used {self.others:.2f} cores, {self.stolen:.2f} were stolen, "
            f"{self.disturbed_spans} of {len(self.spans)} spans disturbed"
        )
        return text + (f" ({names[2:]})" if names else "")


class LoadMonitor:
    """Looks whenever :meth:`look` is called, and says at the end what others did.

    Args:
        children: returns the ids of processes that belong to the run.
        look: returns the times; another one stands in for it in tests.
        tasks: returns the name and the seconds of every process, by its id.
    """

    def __init__(
        self,
        children: Callable[[], Iterable[int]] = tuple,
        look: Callable[[Iterable[int]], CpuTimes | None] | None = None,
        tasks: Callable[[], Mapping[int, tuple[str, float]]] | None = None,
    ) -> None:
        self._children, self._look, self._tasks = children, look or cpu_times, tasks or process_times
        self._first = self._last = self._look(self._children())
        self._before = self._tasks()
        self._spans: list[Span] = []

    def tick(self) -> None:
        """Look again, if half a second has passed since the last time."""
        now = self._look(self._children())
        if now is not None and self._last is not None and now.at - self._last.at >= _LONG_ENOUGH_S:
            self._spans.append(_between(self._last, now))
            self._last = now

    def report(self) -> NeighborLoad:
        """Return what was seen since the monitor was made."""
        now, first = self._look(self._children()), self._first
        if now is None or first is None or now.at <= first.at:
            return NeighborLoad((), 0.0, 0.0, (), is_known=now is not None)
        whole = _between(first, now)
        spans = tuple(self._spans) or (whole,)
        return NeighborLoad(spans, whole.others, whole.stolen, self._busiest(now.at - first.at))

    def _busiest(self, seconds: float) -> tuple[tuple[str, float], ...]:
        own = {os.getpid(), *self._children()}
        used = [
            (name, (spent - self._before.get(process, ("", 0.0))[1]) / seconds)
            for process, (name, spent) in self._tasks().items()
            if process not in own
        ]
        return tuple(sorted(used, key=lambda entry: -entry[1])[:3])


def _between(first: CpuTimes, last: CpuTimes) -> Span:
    seconds = last.at - first.at
    others = (last.busy - first.busy) - (last.own - first.own)
    return Span(seconds, max(0.0, others / seconds), max(0.0, (last.stolen - first.stolen) / seconds))


def cpu_times(children: Iterable[int], proc: Path = _PROC) -> CpuTimes | None:
    """Return the times now; None where the system has no ``/proc/stat``."""
    try:
        lines = (proc / "stat").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    rows = [row for line in lines if (row := _row(line)) is not None]
    busy = sum(row[place] for row in rows for place in _BUSY)
    stolen = sum(row[_STEAL] for row in rows if len(row) > _STEAL)
    mine = os.times()
    own = mine.user + mine.system + mine.children_user + mine.children_system
    own += sum(_seconds_of(proc / str(child)) for child in children)
    return CpuTimes(time.monotonic(), busy, own, stolen)


def _row(line: str) -> list[float] | None:
    """Return the seconds of a line of one processor that this process may use."""
    name, *numbers = line.split()
    if not name.startswith("cpu") or not name[3:].isdecimal() or int(name[3:]) not in _allowed():
        return None
    return [int(number) / _ticks() for number in numbers]


def _allowed() -> Iterable[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _seconds_of(process: Path, *, with_children: bool = True) -> float:
    """Return what a process, and its ended children, used; 0 where it has gone."""
    try:
        fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(value) for value in fields[11 : 15 if with_children else 13]) / _ticks()


def process_times(proc: Path = _PROC) -> dict[int, tuple[str, float]]:
    """Return name and seconds of every process that can be seen, by its id; without its ended children."""
    found = {}
    for folder in proc.glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # it has gone
            continue
        found[int(folder.name)] = (name, _seconds_of(folder, with_children=False))
    return found
