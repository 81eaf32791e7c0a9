from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.weights import import_weights, recognize
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.checkpoint import load_checkpoint
from tests.parity.recording import load_recording


@pytest.mark.parametrize("name", ["ultra-light-rfb", "ultra-light-slim"])
def test_weights_are_known_and_take_the_sizes_of_the_project(name: str, tmp_path: Path) -> None:
    weights = load_recording(name).weights()
    assert recognize(weights, origin=name).name == name
    torch.save(weights, tmp_path / "face.pth")
    import_weights(tmp_path / "face.pth", tmp_path / "face.pt")
    spec = load_checkpoint(tmp_path / "face.pt").spec
    assert (spec.input.width, spec.input.height, spec.anchors.count) == (320, 240, 4420)
    import_weights(tmp_path / "face.pth", tmp_path / "face.pt", size=(640, 480))
    large = load_checkpoint(tmp_path / "face.pt").spec
    assert large.anchors.count == 17640
    for boxes, width, height in ((anchor_boxes(spec.anchors), 320, 240), (anchor_boxes(large.anchors), 640, 480)):
        inner = boxes[(boxes[:, 2:] < 1).all(axis=1), 2:] * (width, height)
        np.testing.assert_allclose(inner[:, 0], inner[:, 1], rtol=1e-5)  # squares of pixels
        assert sorted({round(float(side)) for side in inner[:, 0]})[:5] == [10, 16, 24, 32, 48]
    with pytest.raises(InputError, match="does not have this input size: got 640x640; wanted 128x96"):
        import_weights(tmp_path / "face.pth", tmp_path / "other.pt", size=(640, 640))


def test_an_ssd_of_mmdetection_is_told_what_to_do() -> None:
    tensors = {
        "backbone.features.0.weight": torch.zeros(64, 3, 3, 3),
        "neck.extra_layers.0.0.conv.weight": torch.zeros(256, 1024, 1, 1),
        "bbox_head.cls_convs.0.0.weight": torch.zeros(84, 512, 3, 3),
    }
    with pytest.raises(ArtifactError, match="an SSD of mmdetection .*the background in column 0") as caught:
        recognize(tensors, origin="ssd300_coco.pth")
    assert "import model.onnx" in caught.value.do
