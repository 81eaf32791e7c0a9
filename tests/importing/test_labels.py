from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.models.detection import SSD300_VGG16_Weights

from ssd_edge.core.errors import InputError
from ssd_edge.importing.labels import COCO, COCO_WITH_GAPS, VOC, class_names, read_labels


def _file(folder: Path, text: str) -> Path:
    path = folder / "labels.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("first", ["", "BACKGROUND\n", "background\n", "__background__\n", "\ufeffBackground\n"])
def test_background_may_stand_first(first: str, tmp_path: Path) -> None:
    assert read_labels(_file(tmp_path, f"{first}stop sign\n\nyield \n")) == ("stop sign", "yield")


def test_background_further_down_is_a_class(tmp_path: Path) -> None:
    assert read_labels(_file(tmp_path, "a\nbackground\n")) == ("a", "background")


@pytest.mark.parametrize("text", ["", "\n\n", "BACKGROUND\n"])
def test_a_file_without_classes_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.txt contains no class: wanted a text file with one class per line"):
        read_labels(_file(tmp_path, text))


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"labels\.txt cannot be read: got 'utf-8' codec"):
        read_labels(tmp_path / "labels.txt")
    with pytest.raises(InputError, match=r"absent\.txt cannot be read"):
        read_labels(tmp_path / "absent.txt")


def test_names_are_built_in_by_their_number() -> None:
    assert class_names(20, None) == VOC
    assert class_names(80, None) == COCO
    assert class_names(90, None) == COCO_WITH_GAPS
    assert class_names(3, None) == ("class 1", "class 2", "class 3")


def test_the_built_in_names_are_torchvisions_and_vocs() -> None:
    categories = SSD300_VGG16_Weights.COCO_V1.meta["categories"]
    assert ("__background__", *COCO_WITH_GAPS) == tuple(categories)
    assert list(VOC) == sorted(VOC)
    assert (len(VOC), len(COCO), len(set(COCO))) == (20, 80, 80)


def test_given_names_win_and_must_fit() -> None:
    assert class_names(2, ("a", "b")) == ("a", "b")
    with pytest.raises(
        InputError,
        match=r"does not match the weights: got 3 names .void to b.; wanted 2 names, .* Give the lab",
    ):
        class_names(2, ("void", "a", "b"))
