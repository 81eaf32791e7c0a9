from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.backends.tiny_onnx import write_tiny_onnx


def test_builds_the_newest_onnx_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")
    monkeypatch.chdir(tmp_path)
    first = CliRunner().invoke(app, ["build"])
    assert first.exit_code == 0
    assert "using engines/bright/bright.onnx" in first.stderr
    assert "built engines/bright/bright.fp32.onnxruntime.engine: fp32 for onnxruntime" in first.stderr
    assert (tmp_path / "engines/bright/bright.fp32.onnxruntime.json").is_file()
    assert "already built" in CliRunner().invoke(app, ["build"]).stderr


def test_empty_workspace_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["build"])
    assert result.exit_code == 1
    assert "engines/*/*.onnx matches nothing: wanted an exported model. Export one: ssd-edge export" in result.stderr
