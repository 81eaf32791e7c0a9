"""Pictures a second on one core: our ``ssd`` recipe at 300 x 300 against torchvision's v2 SSD preset, same pictures.

Both start from the same decoded 640 x 480 uint8 picture with the same boxes and end at 300 x 300 uint8. Rounds are
interleaved; medians over the rounds.

    python -m bench.augment [--pictures 24] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from ssd_edge.data.augment import RECIPES, Augment
from ssd_edge.data.synth.scene import draw_scene

SIDE = 300
MEAN_RGB = (123.0, 117.0, 104.0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=24)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scenes = [scene for scene in (draw_scene(480, 640, 0, n) for n in range(2 * options.pictures)) if scene.objects]
    pictures = [scene.image for scene in scenes[: options.pictures]]
    boxes = [np.array([item.box for item in scene.objects], np.float32) for scene in scenes[: options.pictures]]
    passes = {f"ours {recipe}": ours(recipe, pictures, boxes) for recipe in RECIPES}
    passes["torchvision v2 ssd"] = theirs(pictures, boxes)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(options.rounds + 1):  # the first round warms up
        for name, once in passes.items():
            start = time.perf_counter()
            once()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: len(pictures) / statistics.median(times[1:]) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:20} {rate:8.0f} pictures/s/core")
    print(f"ours ssd / torchvision v2 ssd: {rates['ours ssd'] / rates['torchvision v2 ssd']:.1f}x")


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
    main()
