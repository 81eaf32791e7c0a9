"""Small specs, images and labels for the tests of training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.spec import BoxCoding, ModelSpec
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.heads import HeadOutputs
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training.losses import MultiboxCriterion, MultiboxLoss
from ssd_edge.training.recipe import LossOptions
from ssd_edge.training.targets import Targets

CLASS_NAMES = ("red", "green", "blue")
SIDE = 64
_COLOURS_BGR = ((0, 0, 255), (0, 255, 0), (255, 0, 0))


def tiny_spec() -> ModelSpec:
    return make_spec("ssd192-tiny", CLASS_NAMES, input_size=SIDE)


def multibox_loss(outputs: HeadOutputs, targets: Targets) -> MultiboxLoss:
    """The paper's, of any number of anchors."""
    return MultiboxCriterion(LossOptions(), tiny_anchors(), BoxCoding())(outputs, targets)


def tiny_model(seed: int = 0) -> SSD:
    torch.manual_seed(seed)
    return build_model(tiny_spec())


def tiny_anchors():
    return anchor_boxes(tiny_spec().anchors)


def random_boxes(rng: np.random.Generator, count: int):
    """Return (count, 4) float32 x1 y1 x2 y2 in 0..1 with sides of 0.03 to 0.6."""
    sides = rng.uniform(0.03, 0.6, (count, 2))
    corner = rng.uniform(0, 1 - sides)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def squares(folder: Path, count: int, *, seed: int = 0, width: int = 80, height: int = 60) -> LabelledSet:
    """Write images with one colored square each; the color is the class."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(count):
        class_id, side = int(rng.integers(3)), int(rng.integers(20, 40))
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        image = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        cv2.rectangle(image, (x, y), (x + side - 1, y + side - 1), _COLOURS_BGR[class_id], -1)
        path = folder / f"{number:04d}.png"
        cv2.imwrite(str(path), image)
        box = np.array([[x, y, x + side, y + side]], np.float32)
        samples.append(Sample(path, box, np.array([class_id], np.int64), np.zeros(1, np.bool_), np.zeros(1)))
    return LabelledSet(CLASS_NAMES, tuple(samples), origin=str(folder))
