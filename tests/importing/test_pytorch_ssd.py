"""Every network of pytorch-ssd by the names and shapes of its tensors; its numbers are in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.weights import FAMILIES, recognise
from ssd_edge.model.anchors import default_boxes
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
    """Write the project's default boxes down, one by one (vision/utils/box_utils.py, generate_ssd_priors)."""
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
    spec = recognise(tensors, origin="w.pth").convert(tensors, ("a", "b", "c", "d", "e")).spec
    np.testing.assert_allclose(default_boxes(spec.anchors), _boxes(*TABLES[name]), atol=1e-6, rtol=0)
    assert (spec.input.mean, spec.input.std) == NORMALISATION.get(name, ((127,) * 3, (128,) * 3))
    assert (spec.input.color_order, spec.class_names) == ("rgb", ("a", "b", "c", "d", "e"))
    nms = spec.nms
    assert (nms.score_threshold, nms.iou_threshold, nms.top_k, nms.clip_boxes) == (0.01, 0.45, 200, False)


def test_weights_of_before_pytorch_0_4_1_have_no_counters() -> None:
    tensors = {name: tensor for name, tensor in _tensors("mb1-ssd").items() if "num_batches_tracked" not in name}
    assert recognise(tensors, origin="w.pth").convert(tensors, None).spec.class_names[0] == "class 1"


def test_a_wrong_number_of_names_is_refused() -> None:
    tensors = _tensors("mb2-ssd-lite")
    with pytest.raises(InputError, match="got 6 names .*; wanted 5, without background"):
        recognise(tensors, origin="w.pth").convert(tensors, tuple("abcdef"))


def test_another_width_is_refused_by_its_first_tensor() -> None:
    tensors = _tensors("mb2-ssd-lite") | {"base_net.0.0.weight": torch.empty(16, 3, 3, 3, device="meta")}
    with pytest.raises(
        ArtifactError, match=r"weights of mb2-ssd-lite do not fit .*features\.0\.0\.0\.weight of float32"
    ):
        recognise(tensors, origin="w.pth").convert(tensors, None)


def test_a_network_of_the_project_that_is_none_of_these_is_refused() -> None:
    tensors = {"base_net.0.0.weight": torch.empty(1), "classification_headers.0.0.weight": torch.empty(1)}
    with pytest.raises(ArtifactError, match=r"w\.pth holds the weights of no SSD .*variant of pytorch-ssd"):
        recognise(tensors, origin="w.pth")
