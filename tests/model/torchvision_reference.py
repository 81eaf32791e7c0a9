"""torchvision's detectors with random weights that see something: the independent implementation to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

BCCD = Path(__file__).parents[3] / "shared/data/bccd/JPEGImages"
_LOGIT_SPREAD, _OFFSET_SPREAD = 2.0, 1.0


def drawn_picture(side: int, seed: int) -> np.ndarray:
    """Return a (side, side, 3) BGR image of shapes on noise."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), np.uint8), (0, 0), 3)
    for _ in range(6):
        centre, color = rng.integers(0, side, 2).tolist(), rng.integers(0, 256, 3).tolist()
        cv2.circle(picture, centre, int(rng.integers(side // 16, side // 4)), color, -1)
    return picture


def photos(count: int) -> list[np.ndarray]:
    """Return real photos, BGR at full size; fewer, or none, where the data set is not there."""
    return [cv2.imread(str(path)) for path in sorted(BCCD.glob("*.jpg"))[:count]]


def as_torchvision(picture: np.ndarray) -> torch.Tensor:
    """Turn BGR uint8 into what torchvision's detectors take."""
    return torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1).float() / 255


def scaled_random(build: Callable[[], nn.Module], examples: Sequence[np.ndarray], seed: int = 0) -> nn.Module:
    """Return torchvision's detector with weights for which the scores of ``examples`` are spread out.

    Its batch norms are calibrated and its predictors scaled on the examples (two at least where a batch norm sees a
    1 x 1 map); with plain random weights the activations of a deep network vanish and nothing scores above the
    threshold. Built on the meta device, so that nothing is initialized twice.
    """
    torch.manual_seed(seed)
    with torch.device("meta"):
        model = build()
    model = model.to_empty(device="cpu")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            layer.momentum = None  # the statistics of exactly these images
            # Mostly on the straight part of the activations. Around 0, each of sixty layers amplifies what differs
            # between two images, until the random network answers to the last bit of its input.
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 1.0)
    if hasattr(model.backbone, "scale_weight"):
        nn.init.uniform_(model.backbone.scale_weight, 15, 25)
    with torch.no_grad():
        _calibrate(model, [as_torchvision(example) for example in examples])
    return model.eval()


def _calibrate(model: nn.Module, pictures: list[torch.Tensor]) -> None:
    batch, _ = model.transform(pictures)
    features = list(model.train().backbone(batch.tensors).values())
    for head, spread in (
        (model.head.classification_head, _LOGIT_SPREAD),
        (model.head.regression_head, _OFFSET_SPREAD),
    ):
        for predictor, level in zip(head.module_list, features, strict=True):
            last = predictor if isinstance(predictor, nn.Conv2d) else predictor[-1]
            last.weight.mul_(spread / predictor(level).std())


def detections_of(model: nn.Module, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return torchvision's (boxes, scores, class ids from 0), best first."""
    with torch.inference_mode():
        found = model([as_torchvision(picture)])[0]
    return found["boxes"].numpy(), found["scores"].numpy(), found["labels"].numpy() - 1
