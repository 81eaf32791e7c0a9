"""The start of a run, by a stand-in of Python that answers as the test wants it."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from ssd_edge.benchmarking import startup
from ssd_edge.benchmarking.startup import measure_startup, usual_environment


def answer(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Path:
    """Let Python be a shell script; return the file that it writes PYTHONDONTWRITEBYTECODE and its arguments to."""
    program, asked = folder / "python", folder / "asked"
    noted = '"${PYTHONDONTWRITEBYTECODE-unset}" "$@"'
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" {noted} > {shlex.quote(str(asked))}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return asked


def test_time_and_memory_are_those_of_the_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    asked = answer(monkeypatch, tmp_path, "sleep 0.2; echo '{}'; sleep 0.2; echo '{}'")
    began = time.monotonic()
    found = measure_startup(Path("m.engine"), Path("a b"))
    assert found is not None
    assert 0.2 <= found.seconds < time.monotonic() - began - 0.15
    assert found.memory_mib is not None
    assert 0.1 < found.memory_mib < 50
    keeps_no_bytecode, *words = asked.read_text().splitlines()
    assert keeps_no_bytecode == "unset", "a start is timed as on the machines of users"
    assert words[words.index("run") :] == ["run", "a b", "--model", "m.engine", "--json", "-"]


def test_a_run_that_does_not_end_after_its_first_line_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_PATIENCE_S", 0.1)
    pid = tmp_path / "pid"
    answer(monkeypatch, tmp_path, f"echo $$ > {shlex.quote(str(pid))}; echo '{{}}'; exec sleep 60")
    began = time.monotonic()
    found = measure_startup(Path("m.engine"), Path("images"))
    assert found is not None
    assert found.seconds < time.monotonic() - began < 20
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_run_without_a_line_has_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, tmp_path, "exit 1")
    assert measure_startup(Path("m.engine"), Path("images")) is None


def test_a_process_that_has_gone_had_no_memory() -> None:
    assert startup._peak_mib(1 << 30) is None


def test_python_keeps_what_it_compiles_as_on_the_machines_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SSD_EDGE_CPU_RUNTIME", "openvino")
    found = usual_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["SSD_EDGE_CPU_RUNTIME"] == "openvino"
