"""Clocks and power by tools that are stand-ins on PATH; their lines are as NVIDIA's manuals show them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ssd_edge.benchmarking.power import PowerMonitor, parse_smi, parse_tegrastats

TEGRASTATS = (
    "11-30-2026 10:00:00 RAM 3264/7620MB (lfb 6x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,8%@1510,off,off] "
    "EMC_FREQ 12%@2133 GR3D_FREQ 97%@[624] NVDEC off cpu@48.5C gpu@47.25C tj@49C VDD_IN 9241mW/8900mW "
    "VDD_CPU_GPU_CV 3921mW/3700mW VDD_SOC 1500mW/1480mW"
)
OLDER = "RAM 1903/3956MB CPU [26%@1479] EMC_FREQ 5%@1600 GR3D_FREQ 99%@921 GPU@32.5C POM_5V_IN 3891/3891"


def test_lines_of_tegrastats() -> None:
    assert parse_tegrastats(TEGRASTATS) == {
        "GPU clock, MHz": 624, "GPU use, %": 97, "memory clock, MHz": 2133, "temperature, °C": 47.25, "power, mW": 9241,
    }  # fmt: skip
    assert parse_tegrastats(OLDER)["power, mW"] == 3891
    assert parse_tegrastats(OLDER)["GPU clock, MHz"] == 921


def test_lines_of_nvidia_smi() -> None:
    found = parse_smi("1980, 2619, 312.45, [N/A], 98\n")
    assert found == {"GPU clock, MHz": 1980, "memory clock, MHz": 2619, "power, W": 312.45, "GPU use, %": 98}


def tool(folder: Path, name: str, lines: list[str]) -> None:
    said = "\n".join(f"echo '{line}'" for line in lines)
    (folder / name).write_text(f"#!/bin/sh\n{said}\nexec sleep 60\n")
    (folder / name).chmod(0o755)


def test_readings_span_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, "nvidia-smi", ["1200, 2619, 100, 40, 10", "1980, 2619, 300, 55, 99", "1980, 2619, 310, 60, 98"])
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with PowerMonitor() as monitor:
        deadline = time.monotonic() + 10
        while len(monitor._rows) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    readings = monitor.readings()
    power = readings["power, W"]
    assert (power.least, power.median, power.most) == (100, 300, 310)
    assert readings["GPU clock, MHz"].median == 1980


def test_without_a_tool_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with PowerMonitor() as monitor:
        pass
    assert monitor.readings() == {}


def test_a_jetson_is_read_by_its_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, "nvidia-smi", ["1200, 2619, 100, 40, 10"])  # JetPack has one, which knows no such figures
    tool(tmp_path, "tegrastats", [TEGRASTATS, TEGRASTATS.replace("9241mW", "9261mW")])
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with PowerMonitor() as monitor:
        deadline = time.monotonic() + 10
        while len(monitor._rows) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    power = monitor.readings()["power, mW"]
    assert (power.least, power.median, power.most) == (9241, 9251, 9261)
