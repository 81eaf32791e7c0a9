"""Division into sets that share no scene: drawn scenes, bursts and copies, and classes of all frequencies."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import file_digest
from ssd_edge.data.find import open_dataset
from ssd_edge.data.lint.images import examine_images
from ssd_edge.data.split import divide, divide_dataset, scenes
from ssd_edge.data.split_lists import ListedPart, SplitLists
from tests.data.folders import voc_object, write_voc


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (480, 360), interpolation=cv2.INTER_CUBIC)


def written(folder: Path, name: str, image: np.ndarray) -> Path:
    path = folder / name
    cv2.imwrite(str(path), image)
    return path


def groups_of(images: list[Path]) -> list[int]:
    return scenes(images, examine_images(images, pixels=True)).tolist()


def test_copies_smaller_ones_and_what_roboflow_makes_of_an_image_are_one_scene(tmp_path: Path) -> None:
    images = [
        written(tmp_path, "a.png", scene(1)),
        written(tmp_path, "b.png", scene(2)),
        written(tmp_path, "copy.png", scene(1)),
        written(tmp_path, "small.jpg", cv2.resize(scene(2), (320, 240), interpolation=cv2.INTER_AREA)),
        written(tmp_path, "dog_jpg.rf.0123456789abcdef0123456789abcdef.jpg", scene(3)),
        written(tmp_path, "dog_jpg.rf.fedcba9876543210fedcba9876543210.jpg", cv2.flip(scene(3), 1)),
        written(tmp_path, "other.png", scene(4)),
    ]
    assert groups_of(images) == [0, 1, 0, 1, 2, 2, 3]


def test_frames_of_one_camera_are_one_scene_and_unlike_images_with_numbers_are_not(tmp_path: Path) -> None:
    images = []
    for number in range(6):  # something bright passes
        frame = scene(7)
        cv2.rectangle(frame, (30 + 60 * number, 90), (80 + 60 * number, 150), (255, 255, 255), -1)
        images.append(written(tmp_path, f"cam_{number + 8}.png", frame))
    images += [written(tmp_path, f"img_{number}.png", scene(20 + number)) for number in range(4)]
    assert groups_of(images) == [0] * 6 + [1, 2, 3, 4]


def drawn_set(folder: Path, count: int) -> tuple[list[Path], np.ndarray]:
    rng = np.random.default_rng(3)
    images = [
        written(folder, f"{'abcdefghij'[number % 10]}x{number}.png", scene(100 + number)) for number in range(count)
    ]
    objects = np.stack([rng.poisson(4, count), rng.poisson(1, count), (np.arange(count) % 10 == 0).astype(int)], axis=1)
    return images, objects


def test_each_class_is_divided_in_proportion_the_same_for_a_seed(tmp_path: Path) -> None:
    images, objects = drawn_set(tmp_path, 60)
    examined = examine_images(images, pixels=True)
    chosen = [divide(images, examined, objects, fraction=0.2, seed=seed).validation for seed in (0, 0, 1)]
    assert (chosen[0] == chosen[1]).all()
    assert (chosen[0] != chosen[2]).any()
    for validation in chosen:
        assert 10 <= validation.sum() <= 14
        shares = objects[validation].sum(axis=0) / objects.sum(axis=0)
        assert shares[:2] == pytest.approx([0.2, 0.2], abs=0.04)
        assert 1 / 6 <= shares[2] <= 2 / 6


def test_no_scene_is_on_both_sides_and_a_class_of_one_scene_is_learned(tmp_path: Path) -> None:
    images = [
        written(tmp_path, f"s{k}_{number}.png", np.roll(scene(k), number, axis=1))
        for k in range(12)
        for number in range(3)
    ]
    objects = np.ones((36, 2), np.int64)
    objects[:, 1] = [number < 3 for number in range(36)]
    divided = divide(images, examine_images(images, pixels=True), objects, fraction=0.25, seed=0)
    assert divided.cut == 0
    assert divided.validation.sum() == 9
    for number in range(12):
        assert len(set(divided.validation[3 * number : 3 * number + 3].tolist())) == 1
    assert not divided.validation[:3].any()


def test_a_single_scene_is_cut_into_stretches(tmp_path: Path) -> None:
    images = [written(tmp_path, f"f{number}.png", np.roll(scene(5), number // 8, axis=1)) for number in range(40)]
    divided = divide(images, examine_images(images, pixels=True), np.ones((40, 1), np.int64), fraction=0.2, seed=0)
    assert divided.cut == 40
    assert divided.validation.sum() == 8
    assert np.abs(np.diff(divided.validation.astype(int))).sum() <= 4  # stretches, not every fifth frame


def voc_set(folder: Path, count: int) -> None:
    for number in range(count):
        write_voc(folder, voc_object("cat" if number % 2 else "dog"), stem=f"i{number}")
        written(folder / "JPEGImages", f"i{number}.jpg", cv2.resize(scene(50 + number), (100, 80)))


def test_a_list_is_a_split_of_the_data_set(tmp_path: Path) -> None:
    voc_set(tmp_path, 10)
    divided = divide_dataset(tmp_path, "train", fractions={"test": 0.2, "val": 0.3}, seed=1)
    place = tmp_path / "lists" / "split.json"
    place.parent.mkdir()
    divided.lists.save(place)
    whole = open_dataset(tmp_path, "train")
    parts = {name: open_dataset(tmp_path, f"{place}:{name}") for name in ("train", "val", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 5, "val": 3, "test": 2}
    images = [sample.image for part in parts.values() for sample in part.samples]
    assert sorted(images) == sorted(sample.image for sample in whole.samples)
    assert {part.class_names for part in parts.values()} == {whole.class_names}
    kept = SplitLists.load(place)
    assert all(file_digest(tmp_path / name) == digest for name, digest in kept.parts["val"].items())


def test_what_a_list_cannot_be_is_named(tmp_path: Path) -> None:
    voc_set(tmp_path, 10)
    place = tmp_path / "split.json"
    divide_dataset(tmp_path, "train", fractions={"val": 0.3}, seed=1).lists.save(place)
    with pytest.raises(InputError, match="no part 'test'"):
        open_dataset(tmp_path, f"{place}:test")
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_dataset(tmp_path, f"{tmp_path / 'none.json'}:val")
    listed = tmp_path / "ImageSets" / "Main" / "train.txt"
    listed.write_text("\n".join(listed.read_text().splitlines()[:4]) + "\n")
    with pytest.raises(InputError, match="does not have"):
        open_dataset(tmp_path, f"{place}:train")
    with pytest.raises(InputError, match="too small to divide"):
        divide_dataset(tmp_path, "train", fractions={"val": 0.01}, seed=1)


def test_only_a_part_of_a_json_is_taken_for_a_list() -> None:
    assert ListedPart.named("train") is None
    assert ListedPart.named("split.json") is None
    assert ListedPart.named("C:/x/split.json:val") == ListedPart(Path("C:/x/split.json"), "val")


def test_frames_that_cannot_be_read_are_scenes_of_their_own(tmp_path: Path) -> None:
    frames = [written(tmp_path, f"f_{number:03}.jpg", scene(7)) for number in range(4)]
    assert len(set(scenes(frames, examine_images(frames, pixels=True)).tolist())) == 1
    for number in (1, 2):
        frames[number].write_bytes(b"no image %d" % number)
    assert scenes(frames, examine_images(frames, pixels=True)).tolist() == [0, 1, 2, 0]
