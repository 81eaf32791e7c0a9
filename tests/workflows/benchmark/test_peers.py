"""Who takes part of the peers, and what a tool of others that fails costs: its own contestant, no other's."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ssd_edge.benchmarking.task import OURS, Task
from ssd_edge.core.choices import Peer
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.graph.source import read_onnx
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.workflows.benchmark import peers as asked
from ssd_edge.workflows.benchmark.entries import Entry
from ssd_edge.workflows.benchmark.peers import peer_entries
from tests.quantization.square_model import write_pictures, write_square_model


@pytest.fixture
def ours(tmp_path: Path) -> Entry:
    model = write_square_model(tmp_path / "squares.onnx")
    images = tuple(map(str, write_pictures(tmp_path / "images", 4)))
    return Entry("squares int8", "squares", Task(OURS, str(model), images[:2]), "int8", "onnxruntime", model)


@pytest.fixture
def all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "find_spec", lambda name: name)


@pytest.mark.usefixtures("all_installed")
def test_torchvision_takes_a_checkpoint_of_a_network_that_it_has(
    tmp_path: Path, ours: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(make_spec("ssd192-tiny", ["a", "b"]))
    save_checkpoint(tmp_path / "best.pt", model)
    twin = Entry(**{**vars(ours), "name": "squares", "precision": "fp32", "checkpoint": tmp_path / "best.pt"})
    entries, left_out = peer_entries([Peer.TORCHVISION], [ours, twin], tmp_path)
    assert entries == []
    assert f"no network {model.spec.architecture!r}" in str(left_out[0])
    monkeypatch.setitem(asked.NETWORKS, model.spec.architecture, "its_constructor")
    ((entry,), left_out) = peer_entries([Peer.TORCHVISION], [ours, twin], tmp_path)
    assert left_out == []
    assert (entry.task.kind, entry.task.model) == ("torchvision", str(tmp_path / "best.pt"))
    assert (entry.task.images, entry.group, entry.precision) == (ours.task.images, "squares", "fp32")
    assert entry.same_network


@pytest.mark.usefixtures("all_installed")
def test_a_yolo_takes_part_once_and_its_boxes_are_not_compared(tmp_path: Path, ours: Entry) -> None:
    other = Entry(**{**vars(ours), "name": "others", "group": "others"})
    entries, left_out = peer_entries([Peer.ULTRALYTICS], [ours, other], tmp_path)
    (entry,) = entries
    assert left_out == []
    assert (entry.name, entry.group, entry.same_network) == ("ultralytics yolo11n 320", "squares", False)
    assert entry.task.settings == {"network": "yolo11n.yaml", "side": "320"}
    assert "another network" in entry.note


def test_opencv_gets_no_network_that_cannot_be_cut(
    tmp_path: Path, ours: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "heads_only", lambda *_: None)
    entries, left_out = peer_entries([Peer.OPENCV_DNN], [ours], tmp_path)
    assert entries == []
    assert "squares.onnx cannot be cut" in str(left_out[0])
    assert "--against opencv-dnn" in str(left_out[0])
    assert {path.name for path in tmp_path.iterdir()} == {"squares.onnx", "images"}


def test_a_quantizer_that_fails_is_named_and_its_warnings_come_back(
    tmp_path: Path, ours: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[int] = []
    monkeypatch.setattr("onnxruntime.set_default_logger_severity", levels.append)
    monkeypatch.setattr("onnxruntime.quantization.quantize_static", lambda *_, **__: 1 / 0)
    entries, left_out = peer_entries([Peer.ONNXRUNTIME], [ours], tmp_path)
    assert entries == []
    assert "quantizer cannot quantize the network" in str(left_out[0])
    assert "division by zero" in str(left_out[0])
    assert levels == [3, 2]


class Nncf(types.ModuleType):
    """The names of NNCF; it looks at the images and at the network, and gives the network back."""

    def __init__(self) -> None:
        super().__init__("nncf")
        self.seen: list[np.ndarray] = []
        self.broken = False

    def Dataset(self, items: list[Any], transform: Any) -> list[dict[str, Any]]:  # noqa: N802 - NNCF's name
        return [transform(item) for item in items]

    def quantize(self, model: Any, images: list[dict[str, Any]]) -> Any:
        print("a bar of NNCF's")  # noqa: T201 - as it does
        if self.broken:
            raise RuntimeError("no pattern fits")
        assert [entry.get_any_name() for entry in model.inputs] == [INPUT_NAME]
        self.seen = [image[INPUT_NAME] for image in images]
        return model


@pytest.fixture
def nncf(monkeypatch: pytest.MonkeyPatch) -> Nncf:
    pytest.importorskip("openvino")
    module = Nncf()
    monkeypatch.setitem(sys.modules, "nncf", module)
    monkeypatch.setattr(asked, "find_spec", lambda name: name)
    return module


def test_nncf_quantizes_on_the_images_of_the_run_and_those_beside_them(
    tmp_path: Path, ours: Entry, nncf: Nncf, capsys: pytest.CaptureFixture[str]
) -> None:
    import openvino

    entries, left_out = peer_entries([Peer.OPENVINO], [ours], tmp_path)
    assert left_out == []
    assert capsys.readouterr().out == "", "stdout may hold data"
    made = entries[-1]
    assert (made.name, made.precision) == ("squares openvino int8 (NNCF)", "int8")
    spec = read_onnx(Path(ours.task.model)).spec
    paths = sorted((tmp_path / "images").iterdir())
    assert len(nncf.seen) == len(paths) == 4
    for found, path in zip(nncf.seen, paths, strict=True):
        np.testing.assert_array_equal(found, preprocess(read_image(path), spec.input)[None])
    written = openvino.Core().read_model(made.task.model)
    wanted = [output.name for output in onnx.load(ours.task.model).graph.output]
    assert [output.get_any_name() for output in written.outputs] == wanted


def test_nncf_that_fails_is_named(tmp_path: Path, ours: Entry, nncf: Nncf) -> None:
    nncf.broken = True
    entries, left_out = peer_entries([Peer.OPENVINO], [ours], tmp_path)
    assert entries == []
    assert "NNCF cannot quantize the network" in str(left_out[0])
    assert "no pattern fits" in str(left_out[0])
    assert not [*tmp_path.glob("*nncf*")]
