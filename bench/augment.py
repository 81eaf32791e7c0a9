"""Images a second on one core that are made ready to train on at 300 x 300, beside torchvision's v2 SSD preset.

Ours and theirs start from the same decoded 640 x 480 uint8 image with the same boxes and end at 300 x 300 uint8: the
augmentation alone. "ready batch" is the whole way of ``train`` from the same images: augmentation, matching to
SSD300's 8,732 anchors, and the batch. "photo" is a drawn JPEG of 4000 x 3000 with a sensor's noise, read from
disk and augmented, decoded whole or as ``train`` does. Rounds are interleaved; medians over the rounds.

    python -m bench.augment [--images 24] [--photos 4] [--rounds 5]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from bench._figures import report
from bench._options import run
from ssd_edge.core.images import write_image
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.timing import time_calls
from ssd_edge.data.augment import RECIPES, Augment
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.zoo import make_spec
from ssd_edge.scenes.scene import draw_scene
from ssd_edge.training.dataset import ReducedImage, TrainingSet, read_reduced
from ssd_edge.training.loader import BatchLoader
from ssd_edge.training.targets import TargetEncoder

SIDE = 300
MEAN_RGB = (123.0, 117.0, 104.0)


def main(*, pictures: int = 24, photos: int = 4, rounds: int = 5) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, boxes = drawn(pictures, height=480, width=640)
    passes = {f"ours {recipe}": ours(recipe, images, boxes) for recipe in RECIPES}
    passes["torchvision v2 ssd"] = theirs(images, boxes)
    passes |= {f"ready batch {recipe}": ready_batch(recipe, images, boxes) for recipe in ("ssd", "ssdlite")}
    rates = measured(passes, len(images), rounds)
    report("augment.ratio", rates["ours ssd"] / rates["torchvision v2 ssd"])
    print(f"ours ssd / torchvision v2 ssd: {rates['ours ssd'] / rates['torchvision v2 ssd']:.1f}x")
    with tempfile.TemporaryDirectory() as folder:
        paths, photo_boxes = written_photos(Path(folder), photos)
        decoded = {"whole": False, "as train does": True}
        passes = {
            f"photo at {side}, {name}": from_disk(paths, photo_boxes, side, reduced=reduced)
            for side in (300, 192)
            for name, reduced in decoded.items()
        }
        measured(passes, len(paths), rounds)


def measured(passes: dict[str, Callable[[], None]], images: int, rounds: int) -> dict[str, float]:
    """Print and return the images a second of each pass."""
    rates = {name: 1000 * images / found.median_ms for name, found in time_calls(passes, rounds=rounds).items()}
    for name, rate in rates.items():
        report(f"augment.{name.replace(',', '').replace(' ', '-')}", rate)
        print(f"{name:28} {rate:8.1f} images/s/core")
    return rates


def drawn(count: int, *, height: int, width: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images with objects, and their boxes."""
    scenes = (draw_scene(height, width, 0, number) for number in range(2 * count))
    found = [scene for scene in scenes if scene.objects][:count]
    boxes = [np.array([item.box for item in scene.objects], np.float32) for scene in found]
    return [scene.image for scene in found], boxes


def written_photos(folder: Path, count: int) -> tuple[list[Path], list[np.ndarray]]:
    pictures, boxes = drawn(count, height=3000, width=4000)
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        noise = rng.normal(0, 3, picture.shape).astype(np.float32)
        write_image(path, np.clip(picture + noise, 0, 255).astype(np.uint8))
    return paths, boxes


def from_disk(paths: list[Path], boxes: list[np.ndarray], side: int, *, reduced: bool) -> Callable[[], None]:
    augment, rng = Augment("ssd", height=side, width=side), np.random.default_rng(0)
    least_side = augment.least_side if reduced else None

    def once() -> None:
        for path, found in zip(paths, boxes, strict=True):
            picture = read_reduced(path, least_side=least_side)
            augment(picture.pixels, found / np.float32(picture.factor), np.zeros(len(found), np.int64), rng)

    return once


def ready_batch(recipe: str, pictures: list[np.ndarray], boxes: list[np.ndarray]) -> Callable[[], None]:
    spec = make_spec("ssd300-vgg16", ("sign",))
    samples = tuple(
        Sample(
            Path(str(number)), found, np.zeros(len(found), np.int64), np.zeros(len(found), bool), np.ones(len(found))
        )
        for number, found in enumerate(boxes)
    )
    examples = TrainingSet(
        LabelledSet(spec.class_names, samples, "drawn"),
        Augment.for_input(recipe, spec.input),
        TargetEncoder(anchor_boxes(spec.anchors), spec.box_coding),
        seed=0,
        decoded={sample.image: ReducedImage(picture) for sample, picture in zip(samples, pictures, strict=True)},
    )
    loader = BatchLoader(examples, batch_size=len(pictures), workers=0, seed=0)

    def once() -> None:
        (_,) = loader.epoch(1, done=0)

    return once


def ours(recipe: str, pictures: list[np.ndarray], boxes: list[np.ndarray]) -> Callable[[], None]:
    augment, rng = Augment(recipe, height=SIDE, width=SIDE), np.random.default_rng(0)

    def once() -> None:
        for picture, found in zip(pictures, boxes, strict=True):
            augment(picture, found, np.zeros(len(found), np.int64), rng)

    return once


def theirs(pictures: list[np.ndarray], boxes: list[np.ndarray]) -> Callable[[], None]:
    """The ``ssd`` preset of torchvision's references/detection on uint8 tensors, its fastest form, and the resize."""
    transform = v2.Compose(
        [
            v2.RandomPhotometricDistort(),
            v2.RandomZoomOut(fill=dict.fromkeys([tv_tensors.Image], MEAN_RGB) | {"others": 0}),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(p=0.5),
            v2.Resize((SIDE, SIDE)),
            v2.SanitizeBoundingBoxes(),
        ]
    )
    inputs = [
        (
            tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)))),
            {
                "boxes": tv_tensors.BoundingBoxes(found, format="XYXY", canvas_size=picture.shape[:2]),
                "labels": torch.zeros(len(found), dtype=torch.int64),
            },
        )
        for picture, found in zip(pictures, boxes, strict=True)
    ]

    def once() -> None:
        for image, target in inputs:
            transform(image, target)

    return once


if __name__ == "__main__":
    run(main)
