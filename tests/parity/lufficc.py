"""Runs lufficc/SSD's own code beside ours: same random weights, same images, same detections?

    git clone https://github.com/lufficc/SSD ../lufficc-SSD
    pip install yacs
    python -m tests.parity.lufficc ../lufficc-SSD --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torchvision
from torch import Tensor

from ssd_edge.core.detections import Detections
from tests.parity.side_by_side import Network, Peer, Pictures, best_first, main, seed_net

LOGITS = 6


def start(seed: int, pictures: Pictures, *, config: str, last: str = "", background: float, logits: int) -> Peer:
    """Return the project's detector with weights from a seed; ``last`` is the place of the last layer in a head."""
    settings = _settings(config, logits)
    with patch.object(torchvision, "__version__", "0.3.0"):  # it compares the digits as text, and takes 0.29 for older
        importlib.import_module("ssd.utils.nms")
    net = importlib.import_module("ssd.modeling.detector").build_detection_model(settings).eval()
    pixels = importlib.import_module("ssd.data.transforms").build_transforms(settings, is_train=False)
    batch = torch.stack([_pixels(pixels, picture) for picture in pictures])
    levels = len(settings.MODEL.BACKBONE.OUT_CHANNELS)
    heads = {
        kind: [f"box_head.predictor.{kind}_headers.{k}{last if k < levels - 1 else ''}" for k in range(levels)]
        for kind in ("cls", "reg")
    }
    seeded = seed_net(
        net,
        seed,
        lambda: net.box_head.predictor(net.backbone(batch)),
        logits=[(heads["cls"], np.eye(logits)[0] * background)],
        offsets=heads["reg"],
    )
    boxes = importlib.import_module("ssd.modeling.anchors.prior_box").PriorBox(settings)()
    return Peer(seeded, partial(_detect, net, pixels), boxes.numpy())


def _settings(config: str, logits: int) -> Any:
    settings = importlib.import_module("ssd.config").cfg.clone()
    settings.merge_from_file(Path(sys.path[0]) / "configs" / f"{config}.yaml")
    settings.MODEL.BACKBONE.PRETRAINED = False
    settings.MODEL.NUM_CLASSES = logits
    settings.MODEL.DEVICE = "cpu"
    return settings


def _pixels(transform: Any, picture: np.ndarray) -> Tensor:
    image, _, _ = transform(picture[:, :, ::-1].copy())
    return image


def _detect(net: Any, transform: Any, picture: np.ndarray) -> Detections:
    with torch.no_grad():
        found = net(_pixels(transform, picture)[None])[0]
    return best_first(found["boxes"], found["scores"], found["labels"])


def _vgg(side: int, config: str, *, background: float, logits: int = LOGITS, recorded: bool = True) -> Network:
    run = partial(start, config=config, background=background, logits=logits)
    return Network(f"vgg_ssd{side}", side, run, recorded)


def _mobilenet(family: str) -> Network:
    return Network(
        family, 320, partial(start, config=f"{family}_voc0712", last=".conv.3", background=12.0, logits=LOGITS)
    )


NETWORKS = {
    "vgg_ssd300": _vgg(300, "vgg_ssd300_voc0712", background=15.0, recorded=False),
    "vgg_ssd300, COCO": _vgg(300, "vgg_ssd300_coco_trainval35k", background=20.0, logits=81, recorded=False),
    "vgg_ssd512": _vgg(512, "vgg_ssd512_voc0712", background=17.5),
    "vgg_ssd512, COCO": _vgg(512, "vgg_ssd512_coco_trainval35k", background=21.0, logits=81, recorded=False),
    "mobilenet_v2_ssd320": _mobilenet("mobilenet_v2_ssd320"),
    "mobilenet_v3_ssd320": _mobilenet("mobilenet_v3_ssd320"),
}

if __name__ == "__main__":
    sys.exit(main(__doc__, "lufficc/SSD", NETWORKS))
