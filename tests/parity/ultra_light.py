"""Runs the Ultra-Light face detectors' own code beside ours: same random weights, same pictures, same detections?

    git clone https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB ../ultra-light
    python -m tests.parity.ultra_light ../ultra-light --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout. The pictures are square, and both
stretch them to 320 x 240. As in pytorch-ssd, which its code comes from, the NMS adds 1e-5 to the union.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from functools import partial

import numpy as np
import torch

from tests.parity.pytorch_ssd import detect, detect_exactly, rgb
from tests.parity.side_by_side import Network, Peer, Pictures, main, seed_net

SIDE = 320


def start(seed: int, pictures: Pictures, *, module: str, logits: int, background: float) -> Peer:
    """Return a network of the project with weights from a seed; its config must be told its size before it is built."""
    with contextlib.redirect_stdout(io.StringIO()):
        config = importlib.import_module("vision.ssd.config.fd_config")
        config.shrinkage_list.clear()
        config.define_img_size(SIDE)
        code = importlib.import_module(f"vision.ssd.{module}")
    create = f"create_{module.replace('mb_tiny_RFB', 'Mb_Tiny_RFB')}"
    net = getattr(code, create)(logits, is_test=True, device="cpu")
    predictor = getattr(code, f"{create}_predictor")(net, candidate_size=200, device="cpu")
    batch = torch.stack([predictor.transform(rgb(picture)) for picture in pictures])
    levels = ["0.2", "1.2", "2.2", "3"]
    seeded = seed_net(
        net,
        seed,
        lambda: net(batch),
        logits=[([f"classification_headers.{level}" for level in levels], np.eye(logits)[0] * background)],
        offsets=[f"regression_headers.{level}" for level in levels],
    )
    return Peer(seeded, partial(detect, predictor), config.priors.numpy(), partial(detect_exactly, predictor))


NETWORKS = {
    "ultra-light-rfb": Network(
        "ultra-light-rfb", SIDE, partial(start, module="mb_tiny_RFB_fd", logits=4, background=14.0)
    ),
    "ultra-light-slim": Network(
        "ultra-light-slim", SIDE, partial(start, module="mb_tiny_fd", logits=4, background=14.0)
    ),
}

if __name__ == "__main__":
    sys.exit(main(__doc__, "Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB", NETWORKS))
