"""Runs pytorch-ssd's own code beside ours: same random weights, same images, same detections?

    git clone https://github.com/dusty-nv/pytorch-ssd ../pytorch-ssd
    python -m tests.parity.pytorch_ssd ../pytorch-ssd --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout.

The project adds 1e-5 to the union when it divides by it, in units of the image's area: an overlap of 0.4502 between
boxes of 1 % of the area each becomes 0.4499 there, and is not suppressed. An image where that matters is compared
again without it, and counted as inexact.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from functools import partial
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch

from ssd_edge.core.detections import Detections
from tests.parity.side_by_side import Network, Peer, Pictures, best_first, main, seed_net

SIDE, LOGITS = 300, 6


def start(
    seed: int, pictures: Pictures, *, module: str, create: str, config: str, last: str, background: float
) -> Peer:
    """Return a network of the project with weights from a seed.

    Args:
        seed: of the weights.
        images: BGR, in which it must see something.
        module, create, config: where the project's code is.
        last: the last layer of its heads, but for the sixth.
        background: added to that logit; the more anchors, the higher, for fewer than 200 detections.
    """
    code = importlib.import_module(f"vision.ssd.{module}")
    net = getattr(code, create)(LOGITS, is_test=True)
    predictor = getattr(code, f"{create}_predictor")(net, candidate_size=200)
    batch = torch.stack([predictor.transform(rgb(picture)) for picture in pictures]).to(net.device)
    levels = [f"{k}{last}" for k in range(5)] + ["5"]
    seeded = seed_net(
        net,
        seed,
        lambda: net(batch),
        logits=[([f"classification_headers.{level}" for level in levels], np.eye(LOGITS)[0] * background)],
        offsets=[f"regression_headers.{level}" for level in levels],
    )
    priors = importlib.import_module(f"vision.ssd.config.{config}_ssd_config").priors.numpy()
    return Peer(seeded, partial(detect, predictor), priors, partial(detect_exactly, predictor))


def detect(predictor: Any, picture: np.ndarray) -> Detections:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its inference time
        boxes, labels, scores = predictor.predict(rgb(picture))
    return best_first(boxes, scores, labels)


def detect_exactly(predictor: Any, picture: np.ndarray) -> Detections:
    code = importlib.import_module("vision.utils.box_utils")
    with patch.object(code, "iou_of", partial(code.iou_of, eps=0.0)):
        return detect(predictor, picture)


def rgb(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _network(family: str, module: str, config: str, last: str = "", background: float = 11.0) -> Network:
    create = f"create_{module.replace('mobilenet_v2', 'mobilenetv2')}"
    return Network(
        family,
        SIDE,
        partial(start, module=module, create=create, config=config, last=last, background=background),
    )


NETWORKS = {
    network.family: network
    for network in (
        _network("mb1-ssd", "mobilenetv1_ssd", "mobilenetv1"),
        _network("mb1-ssd-lite", "mobilenetv1_ssd_lite", "mobilenetv1", ".2"),
        _network("mb2-ssd-lite", "mobilenet_v2_ssd_lite", "mobilenetv1", ".3"),
        _network("vgg16-ssd", "vgg_ssd", "vgg", background=13.0),
        _network("sq-ssd-lite", "squeezenet_ssd_lite", "squeezenet", ".2"),
    )
}

if __name__ == "__main__":
    sys.exit(main(__doc__, "dusty-nv/pytorch-ssd", NETWORKS))
