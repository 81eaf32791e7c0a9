from __future__ import annotations

import pytest

from ssd_edge.benchmarking.startup import usual_environment


def test_python_keeps_what_it_compiles_as_on_the_machines_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SSD_EDGE_CPU_RUNTIME", "openvino")
    found = usual_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["SSD_EDGE_CPU_RUNTIME"] == "openvino"
