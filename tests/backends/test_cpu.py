import os
import platform
from pathlib import Path

import pytest

from ssd_edge.backends import cpu
from ssd_edge.backends.cpu import cpu_device, physical_cores


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "device"),
    [
        ("x86_64", "flags\t\t: fpu avx avx2 avx512f avx512_vnni fma\n", "x86_64+avx2+avx512f+avx512_vnni"),
        ("x86_64", "flags\t\t: fpu sse2\n", "x86_64"),
        ("aarch64", "Features\t: fp asimd asimddp sve\nFeatures\t: fp\n", "aarch64+asimd+asimddp+sve"),
    ],
)
def test_the_device_lists_what_chooses_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, cpuinfo: str, device: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\n" + cpuinfo)
    assert cpu_device(path) == device


def test_a_system_without_cpuinfo_gives_the_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert cpu_device(tmp_path / "absent") == "arm64"


def test_a_cpuinfo_without_flags_gives_the_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nisa\t\t: rv64imafdc\nnotes: Features avx2\n")
    assert cpu_device(path) == "riscv64"


def test_a_system_that_pins_no_process_counts_all_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS: neither an affinity nor a list of siblings."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(cpu, "_CPU_FOLDER", Path("/nowhere"))
    monkeypatch.setattr(cpu, "_CGROUP_LIMIT", Path("/nowhere"))
    assert physical_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert physical_cores() == 1
