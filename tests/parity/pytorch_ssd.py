"""Runs pytorch-ssd's own code beside ours: same random weights, same pictures, same detections?

    git clone https://github.com/dusty-nv/pytorch-ssd ../pytorch-ssd
    python -m tests.parity.pytorch_ssd ../pytorch-ssd --photos FOLDER [--record]

Prints a table, and exits 1 where a box is off by more than 0.5 px, a score by more than 1e-3, or a class or count is
another. ``--record`` writes what the tests compare with when there is no checkout.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from ssd_edge.core.detections import Detections
from ssd_edge.export.imports.weights import recognise
from ssd_edge.model.anchors import default_boxes
from ssd_edge.model.predict import TorchDetector
from tests.parity.comparison import Difference, difference
from tests.parity.recording import Recording, save_recording
from tests.parity.seeded import apply_scaling, seeded_picture, seeded_weights, spread_heads

SIDE, LOGITS, SEEDS = 300, 6, range(1, 20)
LOGIT_SPREAD, OFFSET_SPREAD, BACKGROUND = 2.0, 0.7, 8.0


class Peer(NamedTuple):
    """A network of the project: its module, function and configuration, and the last layer of its heads."""

    module: str
    create: str
    config: str
    last: str


PEERS = {
    "mb1-ssd": Peer("mobilenetv1_ssd", "create_mobilenetv1_ssd", "mobilenetv1", ""),
    "mb1-ssd-lite": Peer("mobilenetv1_ssd_lite", "create_mobilenetv1_ssd_lite", "mobilenetv1", ".2"),
    "mb2-ssd-lite": Peer("mobilenet_v2_ssd_lite", "create_mobilenetv2_ssd_lite", "mobilenetv1", ".3"),
    "vgg16-ssd": Peer("vgg_ssd", "create_vgg_ssd", "vgg", ""),
    "sq-ssd-lite": Peer("squeezenet_ssd_lite", "create_squeezenet_ssd_lite", "squeezenet", ".2"),
}


class RunningPeer:
    """A network of the project with weights from a seed, scaled so that it sees something in ``pictures``."""

    def __init__(self, peer: Peer, seed: int, pictures: list[np.ndarray]) -> None:
        module = importlib.import_module(f"vision.ssd.{peer.module}")
        self.net: nn.Module = getattr(module, peer.create)(LOGITS, is_test=True)
        self.predictor: Any = getattr(module, f"{peer.create}_predictor")(self.net, candidate_size=200)
        self.config: Any = importlib.import_module(f"vision.ssd.config.{peer.config}_ssd_config")
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self.net.state_dict().items()}
        weights = seeded_weights(self.shapes, seed)
        self.net.load_state_dict(weights)
        heads = [
            [f"{kind}_headers.{k}{peer.last if k < 5 else ''}" for k in range(6)]
            for kind in ("classification", "regression")
        ]
        batch = torch.stack([self.predictor.transform(_rgb(picture)) for picture in pictures]).to(self.net.device)
        background = np.eye(LOGITS)[0] * BACKGROUND
        self.scaling = {
            **spread_heads(self.net, heads[0], lambda: self.net(batch), LOGIT_SPREAD, background),
            **spread_heads(self.net, heads[1], lambda: self.net(batch), OFFSET_SPREAD),
        }
        self.weights = apply_scaling(weights, self.scaling)
        self.net.load_state_dict(self.weights)

    def detect(self, picture: np.ndarray) -> Detections:
        """Return what the project's own predictor finds in a BGR picture, best first."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its inference time
            boxes, labels, scores = self.predictor.predict(_rgb(picture))
        best = scores.argsort(descending=True, stable=True)
        return Detections(boxes[best].numpy(), scores[best].numpy(), labels[best].numpy() - 1)


def _rgb(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def ours(weights: dict[str, torch.Tensor], name: str) -> TorchDetector:
    """Return our detector with the project's weights, recognised and converted."""
    family = recognise(weights, origin=name)
    assert family.name == name, f"{name} is taken for {family.name}"
    return TorchDetector(family.convert(weights, None))


def compare(name: str, peer: RunningPeer, pictures: list[np.ndarray]) -> tuple[float, list[Difference]]:
    """Return the distance of the default boxes, and that of the detections in each picture."""
    detector = ours(peer.weights, name)
    boxes = float(np.abs(default_boxes(detector.spec.anchors) - peer.config.priors.numpy()).max())
    return boxes, [difference(detector.detect(picture), peer.detect(picture)) for picture in pictures]


def record(name: str, source: str) -> str:
    """Write a recording with the first seed whose detections stand firm against rounding; return what was written."""
    for seed in SEEDS:
        picture = seeded_picture(SIDE, seed)
        peer = RunningPeer(PEERS[name], seed, [picture, *(seeded_picture(SIDE, 1000 + seed + k) for k in range(3))])
        found = peer.detect(picture)
        if 20 < len(found) <= 200 and len(set(found.class_ids.tolist())) > 2 and _firm(name, peer, picture, found):
            save_recording(name, Recording(source, peer.shapes, seed, SIDE, peer.scaling, found))
            return f"data/{name}.npz: seed {seed}, {len(found)} detections"
    raise SystemExit(f"{name}: no seed gives 20 to 200 detections that stand firm")


def _firm(name: str, peer: RunningPeer, picture: np.ndarray, found: Detections) -> bool:
    """Whether weights that differ in the sixth digit give the same detections."""
    for trial in range(3):
        generator = torch.Generator().manual_seed(trial)
        shaken = {
            key: value * (1 + 1e-6 * torch.randn(value.shape, generator=generator))
            if value.is_floating_point()
            else value
            for key, value in peer.weights.items()
        }
        try:
            difference(ours(shaken, name).detect(picture), found)
        except AssertionError:
            return False
    return True


def _commit(checkout: Path) -> str:
    done = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return f"dusty-nv/pytorch-ssd@{done.stdout.strip()}"


def _pictures(folder: Path | None, count: int) -> list[np.ndarray]:
    paths = [] if folder is None else sorted(folder.glob("*.jpg"))[:count]
    photos = [cv2.imread(str(path)) for path in paths]
    return [cv2.resize(photo, (SIDE, SIDE)) for photo in photos] or [seeded_picture(SIDE, 7 + k) for k in range(count)]


def main() -> int:
    """Compare, print the table, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a clone of dusty-nv/pytorch-ssd or qfgaohao/pytorch-ssd")
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; by default pictures are drawn")
    parser.add_argument("--count", type=int, default=5, help="how many pictures")
    parser.add_argument("--record", action="store_true", help="write tests/parity/data")
    options = parser.parse_args()
    sys.path.insert(0, str(options.checkout.resolve()))
    pictures, failed = _pictures(options.photos, options.count), False
    print(f"{'network':14} {'default boxes':>14} {'pictures':>8} {'detections':>11} {'box px':>9} {'score':>9}")
    for name, peer in PEERS.items():
        try:
            boxes, found = compare(name, RunningPeer(peer, 1, pictures), pictures)
        except AssertionError as error:
            failed = True
            print(f"{name:14} differs: {error}")
            continue
        counts = f"{min(d.count for d in found)}-{max(d.count for d in found)}"
        box, score = max(d.box for d in found), max(d.score for d in found)
        failed |= boxes > 1e-6
        print(f"{name:14} {boxes:14.1e} {len(found):8} {counts:>11} {box:9.5f} {score:9.1e}")
        if options.record:
            print(f"  {record(name, _commit(options.checkout))}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
