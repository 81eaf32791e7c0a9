from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.core.workspace import newest_checkpoint, newest_onnx
from ssd_edge.workflows.import_config import ImportConfig, ImportOptions
from ssd_edge.workflows.import_model import import_model
from tests.importing.graphs.foreign_net import ForeignNet
from tests.parity.recording import load_recording


def test_the_keywords_are_the_fields_of_the_config() -> None:
    assert set(ImportOptions.__annotations__) == {field.name for field in dataclasses.fields(ImportConfig)}


def test_weights_say_which_network_they_are_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save(load_recording("sq-ssd-lite").weights(), tmp_path / "signs.pth")
    result = import_model(tmp_path / "signs.pth", workspace=tmp_path)
    assert (result.family, result.project) == ("sq-ssd-lite", "qfgaohao/pytorch-ssd, jetson-inference")
    assert result.path == tmp_path / "runs/signs/best.pt" == newest_checkpoint(tmp_path).path
    assert (result.labels_given, result.graph) == (False, None)
    record = json.loads((tmp_path / "runs/signs/run.json").read_text())
    assert (record["format"], record["origin"]) == ("ssd-edge/run/1", "imported")
    assert capfd.readouterr() == ("", "")


def test_a_graph_says_what_was_found_in_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ForeignNet().write(tmp_path, "signs.onnx")
    result = import_model(tmp_path / "signs.onnx", workspace=tmp_path)
    assert result.family == "foreign-onnx"
    assert result.path == tmp_path / "engines/signs/signs.onnx" == newest_onnx(tmp_path).path
    assert result.graph is not None
    assert (result.graph.softmaxed, result.graph.free_batch) == (True, True)
    assert capfd.readouterr() == ("", "")


def test_a_choice_may_be_given_by_its_name(tmp_path: Path) -> None:
    ForeignNet().write(tmp_path, "signs.onnx")
    with pytest.raises(InputError, match="color is not one of the allowed values: got 'grb'; wanted 'rgb', 'bgr'"):
        import_model(tmp_path / "signs.onnx", color="grb")  # type: ignore[arg-type]
