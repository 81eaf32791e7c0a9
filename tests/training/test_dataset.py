from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.core.sample import UNKNOWN_CLASS, LabelledSet
from ssd_edge.core.spec import BoxCoding
from ssd_edge.data.augment import Augment
from ssd_edge.training.dataset import Draw, Example, TrainingSet, decode_images
from ssd_edge.training.targets import BACKGROUND, IGNORED, TargetEncoder
from tests.training.factories import CLASS_NAMES, SIDE, squares, tiny_anchors


def training_set(labelled: LabelledSet, *, recipe: str = "ssd", seed: int = 0, decoded=None) -> TrainingSet:
    augment = Augment(recipe, height=SIDE, width=SIDE)
    return TrainingSet(labelled, augment, TargetEncoder(tiny_anchors(), BoxCoding()), seed=seed, decoded=decoded)


def get(examples: TrainingSet, epoch: int, sample: int) -> Example:
    example = examples[Draw(epoch, sample)]
    assert isinstance(example, Example)
    return example


def same(first: Example, second: Example) -> bool:
    return torch.equal(first.image, second.image) and torch.equal(first.targets.offsets, second.targets.offsets)


def test_an_example_is_the_picture_at_input_size_with_its_targets(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 1)
    example = get(training_set(labelled, recipe="none"), 1, 0)
    sample = labelled.samples[0]
    unit = sample.boxes / np.array([80, 60, 80, 60], np.float32)
    wanted = TargetEncoder(tiny_anchors(), BoxCoding())(unit, sample.class_ids)
    assert example.image.shape == (SIDE, SIDE, 3)
    assert example.image.dtype == torch.uint8
    assert example.path == str(sample.image)
    assert torch.equal(example.targets.labels, wanted.labels)
    torch.testing.assert_close(example.targets.offsets, wanted.offsets)


def test_the_same_seed_epoch_and_sample_give_the_same_view_and_others_do_not(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 2)
    example = get(training_set(labelled, seed=3), 5, 1)
    assert same(example, get(training_set(labelled, seed=3), 5, 1))
    assert not same(example, get(training_set(labelled, seed=4), 5, 1))
    assert not same(example, get(training_set(labelled, seed=3), 6, 1))


def test_pictures_in_memory_give_the_same_examples_as_those_on_disk(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 2)
    decoded = decode_images(labelled.samples, limit_bytes=10**9)
    kept = training_set(labelled, decoded=decoded)
    assert same(get(kept, 1, 1), get(training_set(labelled), 1, 1))
    labelled.samples[1].image.unlink()
    assert isinstance(kept[Draw(1, 1)], Example)


def test_photos_far_larger_than_the_views_are_kept_reduced_and_their_boxes_with_them(tmp_path: Path) -> None:
    large = photos_of(squares(tmp_path, 1), factor=40)
    encode = TargetEncoder(tiny_anchors(), BoxCoding())
    augment = Augment("ssdlite", height=SIDE, width=SIDE)
    decoded = decode_images(large.samples, limit_bytes=10**9, least_side=augment.least_side)
    (kept,) = decoded.values()
    assert kept.factor == 8
    assert kept.pixels.shape[:2] == (300, 400)
    seen = []
    examples = TrainingSet(large, augment, encode, seed=0, decoded=decoded)
    examples._augment = lambda image, boxes, *rest: seen.append((image, boxes)) or augment(image, boxes, *rest)
    kept_example = get(examples, 1, 0)
    np.testing.assert_allclose(seen[0][1], large.samples[0].boxes / 8)
    x1, y1, x2, y2 = seen[0][1][0].astype(int)
    assert seen[0][0][y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].max(axis=2).min() > 200, "the box lies on the square"
    assert same(kept_example, get(TrainingSet(large, augment, encode, seed=0), 1, 0)), "in memory or not"


def photos_of(labelled: LabelledSet, *, factor: int) -> LabelledSet:
    """Write the images enlarged, as JPEG."""
    samples = []
    for sample in labelled.samples:
        path, image = sample.image.with_suffix(".jpg"), read_image(sample.image)
        cv2.imwrite(str(path), cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST))
        samples.append(dataclasses.replace(sample, image=path, boxes=sample.boxes * np.float32(factor)))
    return LabelledSet(labelled.class_names, tuple(samples), origin="photos")


def test_difficult_objects_are_neither_learned_nor_background(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 1)
    easy = get(training_set(labelled, recipe="none"), 1, 0).targets.labels
    hard = dataclasses.replace(labelled.samples[0], difficult=np.ones(1, np.bool_))
    example = get(training_set(LabelledSet(CLASS_NAMES, (hard,), "test"), recipe="none"), 1, 0)
    assert easy.any()
    assert torch.equal(example.targets.labels, torch.where(easy > 0, IGNORED, BACKGROUND))
    assert not example.targets.offsets.any()


def test_a_difficult_object_too_small_for_the_input_is_no_background(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 1)
    sample = labelled.samples[0]
    flat = np.array([[30.0, 40.0, 40.0, 40.2]], np.float32)
    hard = dataclasses.replace(sample, boxes=flat, difficult=np.ones(1, np.bool_), class_ids=np.array([UNKNOWN_CLASS]))
    for recipe in ("none", "ssdlite"):
        draws = [get(training_set(LabelledSet(CLASS_NAMES, (hard,), "test"), recipe=recipe), 1, 0) for _ in range(3)]
        assert all((draw.targets.labels == IGNORED).any() for draw in draws)


def test_a_picture_that_cannot_be_read_comes_back_as_its_error(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 1)
    path = labelled.samples[0].image
    path.write_bytes(b"no image")
    error = training_set(labelled)[Draw(1, 0)]
    assert isinstance(error, InputError)
    assert str(error).startswith(f"{path} is not an image")


def test_a_label_that_cannot_be_learnt_comes_back_with_the_pictures_name(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 1)
    flat = dataclasses.replace(labelled.samples[0], boxes=np.full((1, 4), np.nan, np.float32))
    examples = training_set(LabelledSet(CLASS_NAMES, (flat,), "test"), recipe="none")
    examples._augment = lambda image, boxes, class_ids, rng: (image, boxes, class_ids)
    error = examples[Draw(1, 0)]
    assert isinstance(error, InputError)
    assert str(error).startswith(f"{flat.image}: object 1 of 1 cannot be trained")


def test_pictures_are_held_in_memory_up_to_the_limit(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 4)
    one = read_image(labelled.samples[0].image).nbytes
    reports = []
    decoded = decode_images(
        labelled.samples, limit_bytes=2 * one, progress=lambda done, total, note="": reports.append((done, total))
    )
    assert list(decoded) == [sample.image for sample in labelled.samples[:2]]
    assert reports == [(1, 4), (2, 4)]


def test_for_an_unreadable_image_the_next_one_stands_in(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 3)
    labelled.samples[1].image.unlink()
    decoded = decode_images(labelled.samples, limit_bytes=10**9)
    assert list(decoded) == [labelled.samples[0].image, labelled.samples[2].image]
    for held in (None, decoded):
        examples = training_set(labelled, decoded=held)
        first, second = get(examples, 1, 0), get(examples, 1, 1)
        assert (first.instead_of, second.instead_of) == ("", str(labelled.samples[1].image))
        assert second.path == str(labelled.samples[2].image)
