from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge import __version__
from ssd_edge.benchmarking.machine import processor_name, read_machine


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "proc/cpuinfo", "model name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2 avx512_vnni hypervisor sse\n")
    write(tmp_path / "proc/meminfo", "MemTotal:        4194304 kB\nMemFree: 1 kB\n")
    write(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    for number, count in enumerate(("3", "4")):
        write(tmp_path / f"sys/devices/system/cpu/cpu{number}/thermal_throttle/core_throttle_count", count)
    return tmp_path


def test_a_machine_is_described(root: Path) -> None:
    machine = read_machine(root)
    assert machine.processor == "Some CPU @ 3 GHz"
    assert machine.features.split("+")[1:] == ["avx2", "avx512_vnni"]
    assert (machine.memory_gib, machine.governor, machine.hypervisor, machine.throttled) == (4.0, "powersave", True, 7)
    assert machine.packages["ssd-edge"] == __version__
    assert {"onnxruntime", "numpy"} <= set(machine.packages)
    assert 1 <= machine.cores <= machine.logical
    governor, guest = machine.warnings
    assert "'powersave'" in governor
    assert "virtual machine" in guest


def test_what_a_system_does_not_say_is_left_open(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert (machine.memory_gib, machine.governor, machine.hypervisor, machine.throttled) == (0.0, "", False, None)
    assert machine.warnings == ()
    assert machine.processor


def test_a_jetson_names_its_board() -> None:
    assert processor_name("processor\t: 0\nModel\t\t: NVIDIA Jetson Orin Nano\n") == "NVIDIA Jetson Orin Nano"
