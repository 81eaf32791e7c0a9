"""``ssd-edge bench``: options become the config, tables are printed, what is missing ends with 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.choices import Peer, Precision
from tests.workflows.benchmark.made_result import made_result


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def measure(models: Any, *, config: Any, progress: Any) -> Any:
        found[:] = [models, config]
        return made_result() if config.against else replace(made_result(others=0.0), left_out=())

    monkeypatch.setattr("ssd_edge.workflows.benchmark.benchmark.bench", measure)
    return found


def test_options_are_the_fields_of_the_config(asked: list[Any], tmp_path: Path) -> None:
    words = ["a.engine", "ssd192-tiny", "--against", "openvino", "--against", "torchvision", "--precision", "int8"]
    more = ["--seconds", "3", "--rounds", "9", "--cores", "1", "--scaling", "--html", str(tmp_path / "b.html")]
    result = CliRunner().invoke(app, ["bench", *words, *more])
    models, config = asked
    assert models == ["a.engine", "ssd192-tiny"]
    assert (config.against, config.precisions) == ((Peer.OPENVINO, Peer.TORCHVISION), (Precision.INT8,))
    assert (config.seconds, config.rounds, config.cores, config.scaling) == (3.0, 9, 1, True)
    assert config.html == tmp_path / "b.html"
    assert result.exit_code == 1, "a peer is left out"
    assert "ultralytics" in result.stderr


def test_tables_go_to_stdout_and_the_machine_to_stderr(asked: list[Any]) -> None:
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 0
    assert (asked[0], asked[1].against) == ((), ())
    assert "Latency: net" in result.stdout
    assert "Some CPU" in result.stderr
    assert "Some CPU" not in result.stdout


def test_json_on_stdout_stands_alone(asked: list[Any]) -> None:
    result = CliRunner().invoke(app, ["bench", "a.onnx", "--json", "-"])
    assert json.loads(result.stdout)["format"] == "ssd-edge/bench/1"
