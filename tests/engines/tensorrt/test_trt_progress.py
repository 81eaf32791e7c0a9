from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from ssd_edge.engines.tensorrt.callbacks import make_monitor

TRT = SimpleNamespace(IProgressMonitor=type("IProgressMonitor", (), {}))


@pytest.fixture
def told() -> list[tuple[int, int | None, str]]:
    return []


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def monitor(told, stop):
    return make_monitor(TRT, lambda done, total, note="": told.append((done, total, note)), stop)


def test_the_phases_inside_of_a_step_count_for_their_share_of_it(monitor, told) -> None:
    monitor.phase_start("Building", None, 2)
    assert monitor.step_complete("Building", 0)
    monitor.phase_start("Timing", "Building", 2)
    monitor.phase_start("One layer", "Timing", 5)
    assert monitor.step_complete("One layer", 2)
    assert monitor.step_complete("Timing", 0)  # its layer is at 3 of 5 still
    monitor.phase_finish("One layer")
    monitor.phase_start("Another", "Timing", 10)
    assert monitor.step_complete("Another", 0)  # never less than before
    monitor.phase_finish("Another")
    monitor.phase_finish("Timing")
    monitor.phase_finish("Building")
    shown = [(50, "Building"), (65, "One layer"), (90, "Timing"), (90, "Another"), (100, "Building")]
    assert told == [(done, 100, note) for done, note in shown]


def test_a_phase_without_steps_and_one_that_nobody_began(monitor, told) -> None:
    monitor.phase_start("Building", None, 0)
    assert monitor.step_complete("Unknown", 3)
    monitor.phase_finish("Unknown")
    assert told == [(0, 100, "Unknown")]


def test_it_asks_to_stop_and_does_not_claim_to_be_done(monitor, told, stop) -> None:
    monitor.phase_start("Building", None, 4)
    assert monitor.step_complete("Building", 0)
    stop.set()
    assert not monitor.step_complete("Building", 1)
    monitor.phase_finish("Building")
    assert told[-1] == (50, 100, "Building")
