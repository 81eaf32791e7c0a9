"""A board whose memory or clock cannot be read is not judged, but told how to look."""

from __future__ import annotations

from ssd_edge.doctor.board import clocks, memory
from ssd_edge.doctor.check import State
from tests.doctor.machines import facts, meminfo, orin_nano


def test_a_system_without_linuxs_account_of_memory_is_not_judged() -> None:
    for answers in ({"read /proc/meminfo": None}, {"read /proc/meminfo": "MemTotal: 100 kB\n"}):
        found = memory(facts(orin_nano() | answers), None)
        assert (found.state, found.found) == (State.OK, "unknown on this system")
    short = memory(facts(orin_nano() | {"read /proc/meminfo": meminfo(7.4, 0.5)}), None)
    assert short.state is State.WARN


def test_a_clock_that_cannot_be_read_is_asked_for_on_the_board() -> None:
    folder = "/sys/class/devfreq/17000000.gpu"
    for answers in (
        {"glob /sys/class/devfreq/*.gpu": [], "glob /sys/class/devfreq/gpu-*": []},
        {f"read {folder}/min_freq": None, "glob /sys/class/devfreq/gpu-*": []},
        {f"read {folder}/max_freq": "", "glob /sys/class/devfreq/gpu-*": []},
    ):
        found = clocks(facts(orin_nano() | answers))
        assert (found.state, found.do) == (State.WARN, "sudo jetson_clocks --show")
        assert "cannot be read" in found.found
    assert clocks(facts(orin_nano())).state is State.OK
