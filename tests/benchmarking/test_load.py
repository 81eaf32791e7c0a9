"""A busy neighbor is noticed: by counters that are made up, and a real one beside a process that works."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from ssd_edge.benchmarking.load import CpuTimes, LoadMonitor, NeighborLoad, Span, cpu_times, process_times


class Counters:
    """Two cores: this run uses one, others as much as is set, and time goes on by a second a look."""

    def __init__(self) -> None:
        self.at, self.others, self.stolen = 0.0, 0.0, 0.0
        self._busy = self._own = self._steal = 0.0

    def __call__(self, children: Iterable[int]) -> CpuTimes:
        self.at += 1
        self._own += 1.0
        self._busy += 1.0 + self.others
        self._steal += self.stolen
        return CpuTimes(self.at, self._busy, self._own, self._steal)


def watched(counters: Counters, changes: list[tuple[float, float]]) -> NeighborLoad:
    monitor = LoadMonitor(look=counters, tasks=dict)
    for counters.others, counters.stolen in changes:
        monitor.tick()
    return monitor.report()


def test_a_run_alone_is_not_marked() -> None:
    load = watched(Counters(), [(0.02, 0.0)] * 20)
    assert not load.is_disturbed
    assert load.others == pytest.approx(0.02)
    assert load.disturbed_spans == 0


@pytest.mark.parametrize("change", [(0.6, 0.0), (0.0, 0.3), (0.08, 0.08)])
def test_neighbors_and_a_hypervisor_mark_the_run(change: tuple[float, float]) -> None:
    load = watched(Counters(), [change] * 10)
    assert load.is_disturbed
    assert load.disturbed_spans == 10
    assert (load.others, load.stolen) == pytest.approx(change)


def test_a_neighbor_for_a_part_of_the_run_is_noticed_too() -> None:
    load = watched(Counters(), [(0.0, 0.0)] * 16 + [(0.3, 0.0)] * 4)
    assert load.others < 0.1
    assert load.disturbed_spans == 4
    assert load.is_disturbed


def test_looks_that_come_too_soon_make_no_span() -> None:
    times = iter([CpuTimes(at, at, at, 0.0) for at in (0.0, 0.2, 0.6, 0.7, 1.3, 1.4)])
    monitor = LoadMonitor(look=lambda _: next(times), tasks=dict)
    for _ in range(4):
        monitor.tick()
    assert [round(span.seconds, 1) for span in monitor.report().spans] == [0.6, 0.7]


def test_a_system_that_says_nothing_is_said_to(tmp_path: Path) -> None:
    assert cpu_times((), tmp_path) is None
    load = LoadMonitor(look=lambda _: None, tasks=dict).report()
    assert not load.is_known
    assert not load.is_disturbed
    assert "does not say" in str(load)


def test_the_busiest_is_named() -> None:
    load = NeighborLoad((Span(1, 0.8, 0.0),), 0.8, 0.0, (("make", 0.7), ("sshd", 0.01)))
    assert "make 0.70" in str(load)
    assert "sshd" not in str(load)


def test_counters_of_the_kernel_are_read_for_the_processors_of_this_process(tmp_path: Path) -> None:
    mine = sorted(os.sched_getaffinity(0))[0]
    (tmp_path / "stat").write_text(
        f"cpu  9 9 9 9 9 9 9 9 0 0\ncpu{mine} 100 200 300 5000 600 10 20 40 7 0\n"
        "cpu999 900 0 0 0 0 0 0 900 0 0\nintr 1\n"
    )
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "stat").write_text("77 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 50 30 15 5 20 0 1 0 0\n")
    (tmp_path / "77" / "comm").write_text("a (b) c\n")
    found, ticks = cpu_times((77,), tmp_path), os.sysconf("SC_CLK_TCK")
    assert found is not None
    assert found.busy == pytest.approx(630 / ticks)
    assert found.stolen == pytest.approx(40 / ticks)
    used = os.times()
    assert found.own - 100 / ticks == pytest.approx(sum(used[:4]), abs=0.1)
    assert process_times(tmp_path) == {77: ("a (b) c", pytest.approx(80 / ticks))}


@pytest.mark.slow
def test_a_real_neighbor_is_noticed_and_our_own_child_is_none() -> None:
    """The neighbor is a child that the monitor is not told of; the other child belongs to the run."""
    work = "import time; t = time.monotonic()\nwhile time.monotonic() < t + 1.6: pass"
    with (
        subprocess.Popen([sys.executable, "-c", work]) as ours,
        subprocess.Popen([sys.executable, "-c", work]) as other,
    ):
        time.sleep(0.2)
        told, untold = LoadMonitor(lambda: [ours.pid, other.pid]), LoadMonitor(lambda: [ours.pid])
        time.sleep(1.0)
        alone, beside = told.report(), untold.report()
    assert beside.others > alone.others + 0.05  # beside many others it gets little
    assert beside.is_disturbed


def test_processes_that_end_while_they_are_counted_are_left_out(tmp_path: Path) -> None:
    mine = sorted(os.sched_getaffinity(0))[0]
    (tmp_path / "stat").write_text(f"cpu{mine} 100 0 0 0 0 0 0 0 0 0\n")
    for number in ("77", "78"):
        (tmp_path / number).mkdir()
    (tmp_path / "77" / "comm").write_text("a\n")  # it ends between its name and its times
    assert process_times(tmp_path) == {77: ("a", 0.0)}
    with_gone, without = cpu_times((78, 4711), tmp_path), cpu_times((), tmp_path)
    assert with_gone is not None
    assert without is not None
    assert with_gone.own == pytest.approx(without.own, abs=0.1)
