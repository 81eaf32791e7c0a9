"""A workspace without a model: what is said, and what ``run --yes`` does about it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.workspace import newest_onnx
from ssd_edge.workflows.pretrained import ensure_model


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.jpg", np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return tmp_path


def test_an_empty_folder_is_told_how_to_get_a_detector(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["run", "photo.jpg", "--json", "found.jsonl"])
    assert result.exit_code == 1
    assert "ssd-edge import --from torchvision:ssdlite320_mobilenet_v3_large" in result.stderr
    assert "ssd-edge run --yes" in result.stderr


def test_yes_fetches_and_exports_one_and_runs_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
    weights = workspace / "weights.pth"
    torch.save(theirs.state_dict(), weights)
    monkeypatch.setattr("ssd_edge.importing.fetch.fetch", lambda _source: weights)
    result = CliRunner().invoke(app, ["run", "photo.jpg", "--json", "found.jsonl", "--yes"])
    assert result.exit_code == 0, result.stderr
    assert newest_onnx(Path()).path.is_file()
    assert (workspace / "found.jsonl").is_file()
    assert ensure_model() is None  # there is one now
