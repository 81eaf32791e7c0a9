"""Runs ssd.pytorch's own code beside ours: same random weights, same images, same detections?

    git clone https://github.com/amdegroot/ssd.pytorch ../ssd.pytorch
    python -m tests.parity.amdegroot ../ssd.pytorch --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from ssd_edge.core.detections import Detections
from tests.parity.side_by_side import Network, Peer, Pictures, best_first, main, seed_net

SIDE = 300
BGR_MEAN = (104, 117, 123)
HEADS = range(6)


def start(seed: int, pictures: Pictures, *, logits: int, background: float) -> Peer:
    """Return the project's SSD300 with weights from a seed."""
    with _labels_at_home(Path(sys.path[0])):
        net = importlib.import_module("ssd").build_ssd("test", SIDE, logits)
    # Its last layer is an autograd function of the kind that PyTorch 1.5 ceased to call; the method is what it was.
    net.detect = partial(type(net.detect).forward, net.detect)
    net.phase = "train"  # without that layer
    batch = torch.cat([_pixels(picture) for picture in pictures])
    seeded = seed_net(
        net,
        seed,
        lambda: net(batch),
        logits=[([f"conf.{k}" for k in HEADS], np.eye(logits)[0] * background)],
        offsets=[f"loc.{k}" for k in HEADS],
    )
    net.phase = "test"
    return Peer(seeded, partial(_detect, net), net.priors.numpy())


@contextmanager
def _labels_at_home(checkout: Path) -> Iterator[None]:
    """Let the project find the labels that it reads from the user's home when it is imported."""
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, HOME=home):
        (Path(home) / "data").mkdir()
        (Path(home) / "data" / "coco").symlink_to(checkout / "data")
        yield


def _pixels(picture: np.ndarray) -> Tensor:
    """Prepare a BGR image as the project's data sets do."""
    image = importlib.import_module("data").base_transform(picture, SIDE, BGR_MEAN)
    return torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None]


def _detect(net: Any, picture: np.ndarray) -> Detections:
    with torch.no_grad():
        found = net(_pixels(picture))[0]  # classes, best 200 of each, score and box
    class_ids, places = torch.nonzero(found[..., 0] > 0, as_tuple=True)
    rows = found[class_ids, places]
    return best_first(rows[:, 1:] * SIDE, rows[:, 0], class_ids)


NETWORKS = {
    "ssd.pytorch-ssd300": Network("ssd.pytorch-ssd300", SIDE, partial(start, logits=6, background=14.0)),
    "ssd.pytorch, VOC": Network("ssd.pytorch-ssd300", SIDE, partial(start, logits=21, background=16.0), recorded=False),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the project was written for PyTorch 0.3
    sys.exit(main(__doc__, "amdegroot/ssd.pytorch", NETWORKS))
