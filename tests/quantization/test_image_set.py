from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import open_dataset
from ssd_edge.quantization.image_set import ImageSet, choose_images
from ssd_edge.workflows.synthesize import synthesize
from tests.data.folders import write_yolo


def grey(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((32, 32, 3), value, np.uint8))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, value in enumerate([10, 11, 12, 13, 14, 120, 121, 250]):
        grey(tmp_path / "images" / f"{number}.png", value)
    return tmp_path / "images"


def test_few_pictures_are_as_different_as_can_be(folder: Path) -> None:
    chosen = choose_images(folder, limit=3)
    levels = sorted(int(cv2.imread(image)[0, 0, 0]) // 100 for image in chosen.images)
    assert levels == [0, 1, 2]


def test_fewer_are_the_first_of_more_and_a_seed_repeats(folder: Path) -> None:
    more, fewer = choose_images(folder, limit=6, seed=4), choose_images(folder, limit=3, seed=4)
    assert more.images[:3] == fewer.images
    assert choose_images(folder, limit=6, seed=4) == more


def test_digest_does_not_depend_on_the_order(folder: Path) -> None:
    first, second = choose_images(folder, limit=8, seed=0), choose_images(folder, limit=8, seed=1)
    assert first.images != second.images
    assert first.digest == second.digest


def test_set_survives_its_file_and_notices_changes(tmp_path: Path, folder: Path) -> None:
    chosen = choose_images(folder, limit=4)
    path = tmp_path / "m.images.json"
    chosen.save(path)
    assert ImageSet.load(path) == chosen
    chosen.refuse_if_changed(path)
    grey(chosen.paths[1], 77)
    with pytest.raises(InputError, match="has changed since it was chosen"):
        chosen.refuse_if_changed(path)
    chosen.paths[1].unlink()
    with pytest.raises(InputError, match="got no file"):
        chosen.refuse_if_changed(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other"}'])
def test_damaged_set_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.images.json").write_text(text)
    with pytest.raises(ArtifactError, match="is (a damaged|not a) calibration set"):
        ImageSet.load(tmp_path / "m.images.json")


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="contains no images"):
        choose_images(tmp_path / "empty")
    with pytest.raises(InputError, match="is not a folder"):
        choose_images(tmp_path / "none")


def test_unreadable_picture_is_named_before_the_work_begins(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(InputError, match="bad.jpg"):
        choose_images(folder)


def test_the_split_that_models_are_judged_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'test' of .* is used for evaluation"):
        (tmp_path / "ImageSets").mkdir()
        choose_images(tmp_path, split="test")


def test_grey_and_16_bit_pictures_are_read_as_the_camera_gives_them(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    cv2.imwrite(str(tmp_path / "p/grey.png"), np.full((16, 16), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "p/deep.png"), np.full((16, 16, 3), 40_000, np.uint16))
    assert len(choose_images(tmp_path / "p").images) == 2


def test_rare_classes_come_early(tmp_path: Path) -> None:
    synthesize(tmp_path / "drawn", train=40, val=0, test=0, size=(96, 64), seed=2, workers=1)
    labelled = open_dataset(tmp_path / "drawn", "train")
    chosen = choose_images(tmp_path / "drawn", limit=10)
    shown = {label for entry in labelled.samples if str(entry.image) in chosen.images for label in entry.class_ids}
    present = {label for entry in labelled.samples for label in entry.class_ids}
    assert shown == present


@pytest.mark.parametrize(
    "changes", [{"images": "abc"}, {"images": [5]}, {"images": []}, {"digests": []}, {"digests": [None]}, {"seed": "0"}]
)
def test_a_set_with_fields_that_are_none(tmp_path: Path, folder: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "m.images.json"
    choose_images(folder, limit=1).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ArtifactError, match=r"m\.images\.json is a damaged calibration set"):
        ImageSet.load(path)


@pytest.mark.parametrize("rows", ["", "0 .5 .5 .1 .1\n"])
def test_a_split_of_which_no_image_can_be_read_is_refused(tmp_path: Path, rows: str) -> None:
    write_yolo(tmp_path, rows)
    tolerant = Tolerance(max_bad=1)
    assert len(choose_images(tmp_path, split="train", tolerance=tolerant).images) == 1
    (tmp_path / "images" / "train" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match="contains no images: wanted at least one image"):
        choose_images(tmp_path, split="train", tolerance=tolerant)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "y/" * 3000 + "a.png"])
def test_an_image_that_no_file_can_be_called_is_gone(tmp_path: Path, folder: Path, name: str) -> None:
    chosen = choose_images(folder, limit=2)
    with pytest.raises(InputError, match="has changed since it was chosen .*got no file"):
        replace(chosen, images=(chosen.images[0], name)).refuse_if_changed(tmp_path / "m.images.json")
