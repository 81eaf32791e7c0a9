"""Runs NVIDIA DeepLearningExamples' SSD300 beside ours: same random weights, same images, same detections?

    git clone https://github.com/NVIDIA/DeepLearningExamples ../dle
    python -m tests.parity.nvidia ../dle/PyTorch/Detection/SSD --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet

from ssd_edge.core.detections import Detections
from tests.parity.side_by_side import Network, Peer, Pictures, best_first, main, seed_net

SIDE, COCO = 300, 81
CELLS, ANCHORS = (38, 19, 10, 5, 3, 1), (4, 6, 6, 6, 4, 4)


def start(seed: int, pictures: Pictures, *, logits: int, background: float) -> Peer:
    """Return the project's SSD300 with weights from a seed."""
    with patch.object(resnet, "resnet50", lambda weights: _WITHOUT_WEIGHTS(weights=None)):  # imports build a network
        net = importlib.import_module("ssd.model").SSD300().eval()
    if logits != COCO:
        _set_classes(net, logits)
    utils = importlib.import_module("ssd.utils")
    boxes = utils.dboxes300_coco()
    transform = utils.SSDTransformer(boxes, (SIDE, SIDE), val=True).trans_val
    batch = torch.stack([_pixels(transform, picture) for picture in pictures])
    columns = np.eye(logits)[0] * background
    seeded = seed_net(
        net,
        seed,
        lambda: net(batch),
        logits=[
            ([f"conf.{k}" for k, count in enumerate(ANCHORS) if count == anchors], np.repeat(columns, anchors))
            for anchors in sorted(set(ANCHORS))
        ],
        offsets=[f"loc.{k}" for k in range(len(ANCHORS))],
    )
    return Peer(seeded, partial(_detect, net, transform, utils.Encoder(boxes)), _cell_by_cell(boxes("xywh").numpy()))


_WITHOUT_WEIGHTS = resnet.resnet50


def _set_classes(net: Any, logits: int) -> None:
    """Give the network other classifiers; the project's constructor knows COCO's 81 only."""
    net.label_num = logits
    net.conf = nn.ModuleList(
        nn.Conv2d(head.in_channels, head.out_channels // COCO * logits, kernel_size=3, padding=1) for head in net.conf
    )


def _cell_by_cell(boxes: np.ndarray) -> np.ndarray:
    """Bring the anchors of each level from shape by shape into our order."""
    ends = np.cumsum([cells**2 * anchors for cells, anchors in zip(CELLS, ANCHORS, strict=True)])
    levels = np.split(boxes, ends[:-1])
    return np.concatenate(
        [
            level.reshape(anchors, -1, 4).transpose(1, 0, 2).reshape(-1, 4)
            for level, anchors in zip(levels, ANCHORS, strict=True)
        ]
    )


def _pixels(transform: Any, picture: np.ndarray) -> Tensor:
    return transform(Image.fromarray(picture[:, :, ::-1]))


def _detect(net: nn.Module, transform: Any, encoder: Any, picture: np.ndarray) -> Detections:
    with torch.no_grad():
        offsets, logits = net(_pixels(transform, picture)[None])
        boxes, class_ids, scores = encoder.decode_batch(offsets, logits, 0.50, 200)[0]  # as in ssd/evaluate.py
    return best_first(boxes * SIDE, scores, class_ids)


NETWORKS = {
    "nvidia_ssd": Network("nvidia_ssd", SIDE, partial(start, logits=6, background=13.0)),
    "nvidia_ssd, COCO": Network("nvidia_ssd", SIDE, partial(start, logits=COCO, background=16.0), recorded=False),
}

if __name__ == "__main__":
    sys.exit(main(__doc__, "NVIDIA/DeepLearningExamples", NETWORKS))
