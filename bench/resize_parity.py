"""What 8-bit resizing alone changes: OpenCV's stretch before the graph against torchvision's float interpolation.

The same weights see every photo twice, once through ``core.preprocess`` (uint8 out) and once through torchvision's own
transform (float out). Without a checkpoint the weights are random, scaled so that scores are spread out; such a network
reacts to small changes of its input more than a trained one does.

    python -m bench.resize_parity [--checkpoint runs/signs/best.pt] [--photos FOLDER] [--count 6]
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from bench._options import run
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.importing.torchvision import load_torchvision
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import DecodedSSD, suppress
from ssd_edge.model.ssd import SSD
from tests.model.torchvision_reference import BCCD, scaled_random

CLASSES = tuple("abcde")
BUILDERS = (ssd300_vgg16, ssdlite320_mobilenet_v3_large)
Scored = tuple[torch.Tensor, torch.Tensor]


class FloatResized(nn.Module):
    """The detector behind torchvision's resize: bilinear, half-pixel centers, no antialiasing, nothing rounded."""

    def __init__(self, decoded: DecodedSSD) -> None:
        super().__init__()
        self.decoded = decoded
        self.side = (decoded.spec.input.height, decoded.spec.input.width)

    def forward(self, photo: np.ndarray) -> Scored:
        pixels = torch.from_numpy(photo)[None].float().permute(0, 3, 1, 2)
        stretched = nn.functional.interpolate(pixels, self.side, mode="bilinear", align_corners=False)
        return self.decoded(stretched.permute(0, 2, 3, 1))


def differences(decoded: DecodedSSD, photo: np.ndarray) -> dict[str, float]:
    height, width = photo.shape[:2]
    entry = decoded.spec.input
    with torch.inference_mode():
        boxes, scores = decoded(torch.from_numpy(preprocess(photo, entry))[None])
        float_boxes, float_scores = FloatResized(decoded)(photo)
    counted = float_scores[0].amax(1) > 0.3
    box_change = (boxes - float_boxes)[0].abs() * torch.tensor([width, height, width, height])
    score_change = (scores - float_scores)[0].abs()
    found = suppress(boxes[0], scores[0], decoded.spec.nms)
    float_found = suppress(float_boxes[0], float_scores[0], decoded.spec.nms)
    pixels = torch.from_numpy(photo)[None].float().permute(0, 3, 1, 2)
    stretched = nn.functional.interpolate(pixels, (entry.height, entry.width), mode="bilinear", align_corners=False)
    grey_levels = np.abs(preprocess(photo, entry) - stretched[0].permute(1, 2, 0).numpy())
    return {
        "pixel max (gray levels)": float(grey_levels.max()),
        "pixel mean (gray levels)": float(grey_levels.mean()),
        "box max (px, scores > 0.3)": float(box_change[counted].max()),
        "box mean (px, scores > 0.3)": float(box_change[counted].mean()),
        "score max": float(score_change.max()),
        "score mean": float(score_change[counted].mean()),
        "detections": float(len(float_found[1])),
        "found again (%)": 100 * found_again(float_found, found),
    }


def found_again(wanted: tuple[torch.Tensor, ...], got: tuple[torch.Tensor, ...]) -> float:
    """Share of detections with a partner: same class, score within 0.02, corners within 1 % of the image."""
    near = (wanted[0][:, None] - got[0][None]).abs().amax(-1) < 0.01
    alike = (wanted[1][:, None] - got[1][None]).abs() < 0.02
    same = wanted[2][:, None] == got[2][None]
    return float((near & alike & same).any(1).float().mean()) if len(wanted[1]) else 1.0


def random_models(photos: list[np.ndarray]) -> list[SSD]:
    models = []
    for builder in BUILDERS:
        build = partial(builder, weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1)
        examples = [cv2.resize(photo, (300, 300)) for photo in photos]
        models.append(load_torchvision(scaled_random(build, examples).state_dict(), CLASSES, name=builder.__name__))
    return models


def main(*, checkpoint: Path | None = None, photos: Path = BCCD, count: int = 6) -> None:
    if not photos.is_dir():
        print(f"{photos} is not there; give a folder of photos with --photos")
        return
    images = [read_image(path) for path in list_images(photos)[:count]]
    models = [load_checkpoint(checkpoint).model] if checkpoint else random_models(images)
    for model in models:
        measured = [differences(DecodedSSD(model).eval(), image) for image in images]
        print(f"{model.spec.name}, {len(images)} photos of {images[0].shape[1]}x{images[0].shape[0]}")
        for name in measured[0]:
            values = [entry[name] for entry in measured]
            print(f"  {name:<28} mean {np.mean(values):8.4f}   {min(values):8.4f} to {max(values):8.4f}")


if __name__ == "__main__":
    run(main)
