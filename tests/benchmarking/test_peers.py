"""Peers inside this process: with the same weights they see what ours sees."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.benchmarking.peers import graphs
from ssd_edge.benchmarking.peers.detectors import TorchvisionRunner, UltralyticsRunner
from ssd_edge.benchmarking.task import Runner, Task
from ssd_edge.core.choices import Peer
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError
from ssd_edge.doctor.sample_model import sample_frames, sample_spec
from ssd_edge.workflows.benchmark.entries import Entry
from ssd_edge.workflows.benchmark.peers import peer_entries
from tests.quantization.square_model import write_pictures, write_square_model

OPENERS = {
    Peer.ONNXRUNTIME: graphs.open_onnxruntime,
    Peer.OPENVINO: graphs.open_openvino,
    Peer.OPENCV_DNN: graphs.open_opencv,
}


def same(one: Detections, other: Detections, box: float = 0.05, score: float = 1e-4) -> None:
    assert len(one) == len(other) > 0
    np.testing.assert_array_equal(one.class_ids, other.class_ids)
    np.testing.assert_allclose(one.boxes, other.boxes, atol=box)
    np.testing.assert_allclose(one.scores, other.scores, atol=score)


@pytest.fixture
def ours(tmp_path: Path) -> Entry:
    model = write_square_model(tmp_path / "squares.onnx")
    images = tuple(map(str, write_pictures(tmp_path / "pictures", 4)))
    return Entry("squares int8", "squares", Task("ssd-edge", str(model), images), "int8", "onnxruntime", model)


@pytest.mark.parametrize("peer", list(OPENERS), ids=str)
def test_a_peer_sees_what_ours_sees(tmp_path: Path, ours: Entry, peer: Peer) -> None:
    if peer is Peer.OPENVINO:
        pytest.importorskip("openvino")
    entries, left_out = peer_entries([peer], [ours], tmp_path)
    assert left_out == []
    frames = sample_frames(3, 7)
    with open_detector(Path(ours.task.model)) as detector:
        wanted = detector.detect_batch([frame.image for frame in frames])
    for entry in entries:
        if entry.precision == "bf16":
            continue
        runner: Runner = OPENERS[peer](entry.task)
        if entry.precision == "fp32":
            for one, other in zip(runner.detect_batch([frame.image for frame in frames]), wanted, strict=True):
                same(one, other)
            same(runner.detect(frames[0].image), wanted[0])
        else:
            assert len(runner.detect(frames[0].image)) == len(wanted[0]), entry.name
        runner.close()
    names = [entry.name for entry in entries]
    assert len(names) == len(set(names))
    assert all(entry.group == "squares" for entry in entries)


@pytest.mark.parametrize("peer", [Peer.ONNXRUNTIME, Peer.OPENVINO], ids=str)
def test_a_runtime_gets_its_own_nms(tmp_path: Path, ours: Entry, peer: Peer) -> None:
    """With our portable one ONNX Runtime took 1.04 to 1.11 times as long, OpenVINO more."""
    pytest.importorskip(peer.value)
    entries, _ = peer_entries([peer], [ours], tmp_path)
    assert len(entries) >= 2
    for entry in entries:
        kinds = {node.op_type for node in onnx.load(entry.task.model).graph.node}
        assert ("NonMaxSuppression" in kinds, "Loop" in kinds) == (True, False), entry.name


def test_openvino_gets_fixed_shapes(tmp_path: Path, ours: Entry) -> None:
    """With a free batch size it took 1.2 times as long: no rival would measure that."""
    pytest.importorskip("openvino")
    entries, _ = peer_entries([Peer.OPENVINO], [ours], tmp_path)
    peer = graphs.OpenVinoPeer(entries[0].task)
    side = peer.spec.input.height
    for count in (1, 3, 1):
        assert len(peer.infer(np.zeros((count, side, side, 3), np.uint8)).boxes) == count
    made = [compiled.inputs[0].partial_shape for compiled in peer._compiled.values()]
    assert ([shape.is_static for shape in made], [shape[0].get_length() for shape in made]) == ([True, True], [1, 3])


def test_onnx_runtimes_own_quantizer_leaves_the_nms_in_float(tmp_path: Path, ours: Entry) -> None:
    entries, _ = peer_entries([Peer.ONNXRUNTIME], [ours], tmp_path)
    model = onnx.load(entries[1].task.model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") > 2
    readers = {name: node.op_type for node in model.graph.node for name in node.input}
    quantized = {readers[node.output[0]] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    assert not quantized & {"TopK", "Loop", "GatherElements"}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["ssdlite320-mobilenet-v3-large"])
def test_torchvision_sees_what_our_checkpoint_sees(tmp_path: Path, preset: str) -> None:
    from ssd_edge.model.checkpoint import save_checkpoint
    from ssd_edge.model.predict import TorchDetector
    from ssd_edge.model.random_weights import scaled_random
    from ssd_edge.model.zoo import make_spec
    from tests.model.torchvision_reference import drawn_picture

    images = [drawn_picture(320, seed) for seed in range(3)]
    model = scaled_random(make_spec(preset, ["a", "b", "c"]), images, candidates=150)
    save_checkpoint(tmp_path / "best.pt", model)
    runner = TorchvisionRunner(Task(Peer.TORCHVISION.value, str(tmp_path / "best.pt"), threads=1))
    found, wanted = runner.detect(images[0]), TorchDetector(model).detect(images[0])
    assert len(found) == pytest.approx(len(wanted), abs=2)  # one may lie on the threshold
    same(found[:50], wanted[:50], box=0.5, score=1e-3)
    network = weakref.ref(runner._model)
    runner.close()
    gc.collect()
    assert network() is None


def test_a_peer_that_cannot_take_part_is_left_out_with_the_reason(
    tmp_path: Path, ours: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssd_edge.workflows.benchmark.peers.find_spec", lambda name: None if name == "cv2" else name)
    lonely = Entry(**{**vars(ours), "source": None})
    entries, left_out = peer_entries([Peer.TORCHVISION, Peer.OPENCV_DNN], [ours], tmp_path)
    assert entries == []
    assert ["needs the checkpoint" in str(left_out[0]), "pip install" in str(left_out[1])] == [True, True]
    _, left_out = peer_entries([Peer.ONNXRUNTIME], [lonely], tmp_path)
    assert "exported ONNX file of squares int8 is missing" in str(left_out[0])


def test_opencv_says_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no network")
    settings = {"spec": sample_spec().to_json(), "boxes": "b", "scores": "s", "nms": ""}
    with pytest.raises(ArtifactError, match="cannot read the network"):
        graphs.open_opencv(Task(Peer.OPENCV_DNN.value, str(tmp_path / "m.onnx"), settings=settings))


def test_a_yolo_is_asked_by_its_own_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in with the names of Ultralytics: boxes come sorted, and 'another network' is said."""
    asked: list[dict[str, object]] = []

    class Array(np.ndarray):
        def numpy(self) -> np.ndarray:
            return np.asarray(self)

    class Yolo:
        def __init__(self, network: str) -> None:
            assert network == "yolo11n.yaml"

        def predict(self, images: list[np.ndarray], **options: object) -> list[object]:
            asked.append(options)
            values = {"xyxy": [[0, 0, 5, 5], [1, 1, 9, 9]], "conf": [0.2, 0.7], "cls": [3, 1]}
            arrays = {name: np.array(value, np.float32).view(Array) for name, value in values.items()}
            return [types.SimpleNamespace(boxes=types.SimpleNamespace(**arrays)) for _ in images]

    monkeypatch.setitem(sys.modules, "ultralytics", types.SimpleNamespace(YOLO=Yolo))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(set_num_threads=lambda _: None))  # type: ignore[arg-type]
    settings = {"network": "yolo11n.yaml", "side": "320"}
    runner = UltralyticsRunner(Task("ultralytics", settings=settings))
    network, found = weakref.ref(runner._model), runner.detect(np.zeros((9, 9, 3), np.uint8))
    assert (found.scores.tolist(), found.class_ids.tolist()) == ([pytest.approx(0.7), pytest.approx(0.2)], [1, 3])
    assert asked == [{"imgsz": 320, "conf": 0.01, "verbose": False}]
    runner.close()
    gc.collect()
    assert network() is None, "its memory is free for the next"


def test_a_plain_session_is_held_as_any_backend(tmp_path: Path, ours: Entry) -> None:
    entries, _ = peer_entries([Peer.ONNXRUNTIME], [ours], tmp_path)
    images = np.stack([frame.image for frame in sample_frames(2, 3)])
    with open_detector(Path(ours.task.model)) as detector:
        sized = np.stack([detector.preprocess(image) for image in images])
        wanted = detector.detect_batch(list(images))
    with graphs.OrtPeer(entries[0].task) as peer:
        assert isinstance(peer, graphs.OrtPeer)
        found = peer.infer(sized)
    assert found.num_detections.ravel().tolist() == [len(entry) for entry in wanted]
