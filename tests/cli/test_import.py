from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_detector
from ssd_edge.cli.app import app
from ssd_edge.core.images import write_image
from ssd_edge.core.progress import ProgressEvent
from tests.importing.graphs.by_hand import Recipe, assert_same, detections
from tests.importing.graphs.foreign_net import ForeignNet, anchor_table, pictures


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Threads, "for_latency", staticmethod(lambda: Threads(workers=1, per_worker=1)))


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["import", *arguments], terminal_width=200)
    return result.exit_code, result.stderr


def test_a_file_of_jetson_inference_needs_no_options(tmp_path: Path) -> None:
    net = ForeignNet()
    net.write(tmp_path, "signs.onnx")
    Path("labels.txt").write_text("BACKGROUND\nstop\nyield\ncrossing\n")
    code, said = call("signs.onnx")
    assert code == 0, said
    for line in (
        "using labels.txt",
        "comparing on 4 generated scenes; to compare on your own images: --check-images FOLDER",
        "scores are probabilities",
        "pixels are rgb, (x - 127) / 128, as pytorch-ssd trains its MobileNets and SqueezeNets",
        "imported engines/signs/signs.onnx",
        "next: ssd-edge build engines/signs/signs.onnx",
    ):
        assert line in said
    with open_detector(Path("engines/signs/signs.onnx")) as detector:
        assert detector.spec.class_names == ("stop", "yield", "crossing")
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], Recipe()))


def test_a_bar_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[ProgressEvent] = []
    monkeypatch.setattr("ssd_edge.cli.import_model.bars", lambda: nullcontext(events.append))
    test_a_file_of_jetson_inference_needs_no_options(tmp_path)
    assert events
    assert events[-1].is_over


def test_every_option_reaches_the_graph(tmp_path: Path) -> None:
    net = ForeignNet(decoded=False, softmaxed=False, names=("x", "first", "second"))
    net.write(tmp_path, "raw.onnx")
    np.save("priors.npy", anchor_table())
    Path("names.txt").write_text("a\nb\nc\n")
    for number, image in enumerate(pictures(2)):
        write_image(Path(f"photos/{number}.png"), image)
    code, said = call(
        *("raw.onnx", "--output", "out/m.onnx", "--name", "m", "--labels", "names.txt", "--check-images", "photos"),
        *("--mean", "104", "117", "123", "--std", "57", "58", "59", "--color", "bgr", "--input-size", "64"),
        *("--anchors", "priors.npy", "--variances", "0.2", "0.1", "0.1", "0.3", "--scores", "first"),
        *("--boxes", "second", "--activation", "logits"),
        *("--score-threshold", "0.2", "--iou-threshold", "0.3", "--clip-boxes"),
    )
    assert code == 0, said
    assert "comparing on 2 of the 2 images of photos" in said
    assert "pixels are bgr, (x - (104, 117, 123)) / (57, 58, 59)\n" in said
    recipe = Recipe((104, 117, 123), (57, 58, 59), "bgr", 0.2, 0.3, clip=True, variances=(0.2, 0.1, 0.1, 0.3))
    with open_detector(Path("out/m.onnx")) as detector:
        assert (detector.spec.name, detector.spec.class_names) == ("m", ("a", "b", "c"))
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], recipe))


def test_what_the_result_cannot_do_is_said(tmp_path: Path) -> None:
    mixing = "other = ReduceMax <axes = [0], keepdims = 1> (map)\nboth = Add (map, other)\nfeatures = Relu (both)"
    ForeignNet(middle=mixing).write(tmp_path, "one.onnx")
    code, said = call("one.onnx", "--score-threshold", "0.999")
    assert code == 0, said
    assert "batch size 1" in said
    assert "the model detects nothing on these images" in said
    assert "classes class 1 to class 3" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.h5"], "a.h5 cannot be read (No such file or directory): wanted "),
        (["a.onnx"], "a.onnx cannot be read (No such file or directory)"),
        (
            ["a.onnx", "--mean", "1", "2", "3"],
            "--mean and --std must be given together: got only one of the two",
        ),
        (["a.onnx", "--anchors", "a.json"], "a.json cannot be read"),
        (["a.onnx", "--labels", "b.txt"], "b.txt cannot be read"),
        (["a.onnx", "--check-images", "nowhere"], "nowhere is not a folder: wanted a folder of images"),
        (["b.onnx", "--score-threshold", "2"], "score_threshold is out of range"),
    ],
)
def test_refusals_are_one_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    ForeignNet().write(tmp_path, "b.onnx")
    code, said = call(*arguments)
    assert code == 1
    assert message in said.splitlines()[-1]
    assert not Path("engines").exists()


def test_levels_of_default_boxes_are_remembered(tmp_path: Path) -> None:
    ForeignNet(decoded=False).write(tmp_path, "raw.onnx")
    levels = [
        {"rows": cells, "cols": cells, "step": [1 / cells, 1 / cells], "sizes": [[side, side]]}
        for cells, side in ((8, 0.25), (4, 0.5))
    ]
    Path("priors.json").write_text(json.dumps({"levels": levels}))
    code, said = call("raw.onnx", "--anchors", "priors.json")
    assert code == 0, said
    with open_detector(Path("engines/raw/raw.onnx")) as detector:
        assert detector.spec.anchors.count == 80
        assert len(detector.spec.anchors.levels) == 2
