"""Every network of pytorch-ssd by the names and shapes of its tensors; its numbers are in tests/parity."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.weights import FAMILIES, import_weights, recognize
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.checkpoint import load_checkpoint
from tests.parity.recording import load_recording

MOBILENET = (
    [(60, 105), (105, 150), (150, 195), (195, 240), (240, 285), (285, 330)],
    [[2, 3]] * 6,
    [16, 32, 64, 100, 150, 300],
)
VGG = (
    [(30, 60), (60, 111), (111, 162), (162, 213), (213, 264), (264, 315)],
    [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    [8, 16, 32, 64, 100, 300],
)
TABLES = {
    "mb1-ssd": ([19, 10, 5, 3, 2, 1], *MOBILENET, 3000),
    "mb1-ssd-lite": ([19, 10, 5, 3, 2, 1], *MOBILENET, 3000),
    "mb2-ssd-lite": ([19, 10, 5, 3, 2, 1], *MOBILENET, 3000),
    "vgg16-ssd": ([38, 19, 10, 5, 3, 1], *VGG, 8732),
    "sq-ssd-lite": ([17, 10, 5, 3, 2, 1], *MOBILENET, 2568),
}
NORMALISATION = {"vgg16-ssd": ((123, 117, 104), (1, 1, 1))}


def _tensors(name: str) -> dict[str, torch.Tensor]:
    """Return tensors of the network's names and shapes, without memory."""
    shapes = load_recording(name).shapes
    return {
        key: torch.empty(shape, device="meta", dtype=torch.long if key.endswith("num_batches_tracked") else None)
        for key, shape in shapes.items()
    }


def _boxes(
    maps: list[int], sizes: list[tuple[int, int]], ratios: list[list[int]], steps: list[int], count: int
) -> np.ndarray:
    """Write the project's anchors down, one by one (vision/utils/box_utils.py, generate_ssd_priors)."""
    boxes = []
    for cells, (small, large), level_ratios, step in zip(maps, sizes, ratios, steps, strict=True):
        for row in range(cells):
            for col in range(cells):
                centre = ((col + 0.5) * step / 300, (row + 0.5) * step / 300)
                middle = (small * large) ** 0.5 / 300
                boxes += [(*centre, small / 300, small / 300), (*centre, middle, middle)]
                for ratio in level_ratios:
                    wide, narrow = small / 300 * ratio**0.5, small / 300 / ratio**0.5
                    boxes += [(*centre, wide, narrow), (*centre, narrow, wide)]
    assert len(boxes) == count
    return np.array(boxes).clip(0, 1)


@pytest.mark.parametrize("name", TABLES)
def test_it_is_recognised_and_read_with_its_own_settings(name: str) -> None:
    tensors = _tensors(name)
    assert [family.name for family in FAMILIES if family.matches(tensors)] == [name]
    spec = recognize(tensors, origin="w.pth").convert(tensors, ("a", "b", "c", "d", "e")).spec
    np.testing.assert_allclose(anchor_boxes(spec.anchors), _boxes(*TABLES[name]), atol=1e-6, rtol=0)
    assert (spec.input.mean, spec.input.std) == NORMALISATION.get(name, ((127,) * 3, (128,) * 3))
    assert (spec.input.color_order, spec.class_names) == ("rgb", ("a", "b", "c", "d", "e"))
    nms = spec.nms
    assert (nms.score_threshold, nms.iou_threshold, nms.top_k, nms.clip_boxes) == (0.01, 0.45, 200, False)


def test_weights_of_before_pytorch_0_4_1_have_no_counters() -> None:
    tensors = {name: tensor for name, tensor in _tensors("mb1-ssd").items() if "num_batches_tracked" not in name}
    assert recognize(tensors, origin="w.pth").convert(tensors, None).spec.class_names[0] == "class 1"


def test_a_wrong_number_of_names_is_refused() -> None:
    tensors = _tensors("mb2-ssd-lite")
    with pytest.raises(InputError, match="got 6 names .*; wanted 5 names, without the background"):
        recognize(tensors, origin="w.pth").convert(tensors, tuple("abcdef"))


def test_another_width_is_refused_by_its_first_tensor() -> None:
    tensors = _tensors("mb2-ssd-lite") | {"base_net.0.0.weight": torch.empty(16, 3, 3, 3, device="meta")}
    with pytest.raises(
        ArtifactError, match=r"weights of mb2-ssd-lite do not match .*features\.0\.0\.0\.weight of float32"
    ):
        recognize(tensors, origin="w.pth").convert(tensors, None)


def test_a_network_of_the_project_that_is_none_of_these_is_refused() -> None:
    tensors = {"base_net.0.0.weight": torch.empty(1), "classification_headers.0.0.weight": torch.empty(1)}
    with pytest.raises(ArtifactError, match=r"w\.pth does not contain the weights of an SSD .*variant of pytorch-ssd"):
        recognize(tensors, origin="w.pth")


def _boxes_of_resolution(side: int, maps: list[int]) -> np.ndarray:
    """jetson-inference's anchors of --resolution (set_image_size in mobilenetv1_ssd_config.py), one by one."""
    percent = [10, 20, 37, 54, 71, 88, 105]
    boxes = []
    for cells, small, large in zip(maps, percent[:-1], percent[1:], strict=True):
        small, large, step = small * side / 100, large * side / 100, math.ceil(side / cells)
        for row in range(cells):
            for col in range(cells):
                place = ((col + 0.5) * step / side, (row + 0.5) * step / side)
                boxes += [(*place, small / side, small / side), (*place, *[math.sqrt(small * large) / side] * 2)]
                for root in (math.sqrt(2), math.sqrt(3)):
                    boxes += [(*place, small * root / side, small / root / side)]
                    boxes += [(*place, small / root / side, small * root / side)]
    return np.array(boxes).clip(0, 1)


@pytest.mark.parametrize(
    ("name", "side", "maps"),
    [("mb2-ssd-lite", 512, [32, 16, 8, 4, 2, 1]), ("mb1-ssd", 640, [40, 20, 10, 5, 3, 2])],
)
def test_another_resolution_has_the_anchors_that_train_ssd_lays(name: str, side: int, maps: list[int]) -> None:
    tensors = _tensors(name)
    family = recognize(tensors, origin="w.pth")
    assert family.resized is not None
    spec = family.resized(family.convert(tensors, None).spec, (side, side))
    assert (spec.input.width, spec.input.height) == (side, side)
    np.testing.assert_allclose(anchor_boxes(spec.anchors), _boxes_of_resolution(side, maps), atol=1e-6, rtol=0)


def test_the_resolution_is_given_or_said_to_be_assumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    shapes = load_recording("mb1-ssd-lite").shapes
    torch.save(
        {name: torch.zeros(shape) for name, shape in shapes.items() if "tracked" not in name}, tmp_path / "w.pth"
    )
    assert import_weights(tmp_path / "w.pth", tmp_path / "a.pt").spec.input.width == 300
    assert "the file does not contain its input size, so 300x300 is assumed" in caplog.text
    caplog.clear()
    assert import_weights(tmp_path / "w.pth", tmp_path / "a.pt", size=(300, 300)).spec.input.width == 300
    assert "is assumed" not in caplog.text
    report = import_weights(tmp_path / "w.pth", tmp_path / "b.pt", size=(512, 512))
    assert load_checkpoint(tmp_path / "b.pt").spec == report.spec
    assert (report.spec.input.height, report.spec.anchors.count) == (512, 6 * (1024 + 256 + 64 + 16 + 4 + 1))
    with pytest.raises(InputError, match="needs a square input size"):
        import_weights(tmp_path / "w.pth", tmp_path / "c.pt", size=(640, 480))


def test_a_family_of_one_size_refuses_another(tmp_path: Path) -> None:
    torch.save(load_recording("sq-ssd-lite").weights(), tmp_path / "w.pth")
    assert import_weights(tmp_path / "w.pth", tmp_path / "a.pt", size=(300, 300)).family == "sq-ssd-lite"
    with pytest.raises(InputError, match="sq-ssd-lite has only one input size: got 512x512; wanted 300x300"):
        import_weights(tmp_path / "w.pth", tmp_path / "b.pt", size=(512, 512))
