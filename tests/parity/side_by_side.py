"""Another project's code beside ours: same random weights, same images, same detections?"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ssd_edge.core.detections import Detections
from ssd_edge.importing.weights import recognize
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.predict import TorchDetector
from tests.parity.comparison import Difference, difference
from tests.parity.recording import Recording, save_recording
from tests.parity.seeded import Scaling, Shapes, apply_scaling, seeded_picture, seeded_weights, spread_heads

SEEDS = range(1, 20)
LOGIT_SPREAD, OFFSET_SPREAD = 2.0, 0.7

Pictures = Sequence[np.ndarray]


class SeededNet(NamedTuple):
    """A network of another project with weights from a seed, scaled so that it sees something."""

    shapes: Shapes
    scaling: Scaling
    weights: dict[str, Tensor]


class Peer(NamedTuple):
    """Another project's detector.

    Attributes:
        seeded: its weights.
        detect: finds objects in a BGR image with the project's own code; boxes in pixels.
        anchor_boxes: the project's own table, (A, 4) cx cy w h, in our order.
        detect_exactly: the same as ``detect``, but for an overlap that the project computes inexactly.
    """

    seeded: SeededNet
    detect: Callable[[np.ndarray], Detections]
    anchor_boxes: np.ndarray
    detect_exactly: Callable[[np.ndarray], Detections] | None = None


class Comparison(NamedTuple):
    """What was found on some images.

    Attributes:
        anchor_boxes: greatest distance of one.
        differences: of each image.
        inexact: images that agree only once the project computes overlaps exactly.
    """

    anchor_boxes: float
    differences: list[Difference]
    inexact: int


class Network(NamedTuple):
    """One row of the table.

    Attributes:
        family: that our importer must recognize.
        side: of the input.
        start: makes the project's detector with weights from a seed, scaled for some BGR images.
        recorded: for the tests.
    """

    family: str
    side: int
    start: Callable[[int, Pictures], Peer]
    recorded: bool = True


def seed_net(
    net: nn.Module,
    seed: int,
    run: Callable[[], object],
    *,
    logits: Sequence[tuple[Sequence[str], np.ndarray]],
    offsets: Sequence[str],
) -> SeededNet:
    """Fill ``net`` with weights from a seed and scale its heads.

    Args:
        net: of the other project.
        seed: of the weights.
        run: sends some images, as one batch, through it.
        logits: last layers of the heads, and what is added to their outputs, repeated as often as it takes.
        offsets: last layers of the heads.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    weights = seeded_weights(shapes, seed)
    net.load_state_dict(weights)
    scaling = spread_heads(net, offsets, run, OFFSET_SPREAD)
    for layers, shift in logits:
        scaling |= spread_heads(net, layers, run, LOGIT_SPREAD, shift)
    weights = apply_scaling(weights, scaling)
    net.load_state_dict(weights)
    return SeededNet(shapes, scaling, weights)


def best_first(boxes: Tensor, scores: Tensor, class_ids: Tensor) -> Detections:
    """Return detections in the order of their scores; ``class_ids`` count background."""
    order = scores.argsort(descending=True, stable=True)
    return Detections(boxes[order].numpy(), scores[order].numpy(), class_ids[order].numpy() - 1)


def main(description: str, repository: str, networks: dict[str, Network]) -> int:
    """Compare, print the table, and record if asked; return 1 where something differs."""
    options = _options(description, networks)
    sys.path.insert(0, str(options.checkout.resolve()))
    failed = False
    print("network                 anchors images inexact  detections    box px     score")
    for name in [options.only] if options.only else networks:
        network = networks[name]
        pictures = _pictures(options.photos, options.count, network.side)
        try:
            result = _compare(network, network.start(1, pictures), pictures)
        except AssertionError as error:
            failed = True
            print(f"{name:22} differs: {error}")
            continue
        print(_row(name, result))
        failed |= result.anchor_boxes > 1e-6
        if options.record and network.recorded:
            print(f"  {_record(name, network, _commit(options.checkout, repository))}")
    return int(failed)


def _options(description: str, networks: dict[str, Network]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a clone of the project")
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; by default images are drawn")
    parser.add_argument("--count", type=int, default=3, help="how many images")
    parser.add_argument("--only", choices=networks, help="one network; by default all")
    parser.add_argument("--record", action="store_true", help="write tests/parity/data")
    return parser.parse_args()


def _pictures(folder: Path | None, count: int, side: int) -> list[np.ndarray]:
    if folder is None:
        return [seeded_picture(side, 7 + k) for k in range(count)]
    return [cv2.resize(cv2.imread(str(path)), (side, side)) for path in sorted(folder.glob("*.jpg"))[:count]]


def _row(name: str, result: Comparison) -> str:
    found = result.differences
    counts = f"{min(d.count for d in found)}-{max(d.count for d in found)}"
    box, score = max(d.box for d in found), max(d.score for d in found)
    return (
        f"{name:22} {result.anchor_boxes:14.1e} {len(found):8} {result.inexact:7} {counts:>11} {box:9.5f} {score:9.1e}"
    )


def _ours(weights: dict[str, Tensor], network: Network) -> TorchDetector:
    """Return our detector with the project's weights, recognized and converted."""
    family = recognize(weights, origin=network.family)
    assert family.name == network.family, f"{network.family} is taken for {family.name}"
    return TorchDetector(family.convert(weights, None))


def _compare(network: Network, peer: Peer, pictures: Pictures) -> Comparison:
    detector = _ours(peer.seeded.weights, network)
    boxes = float(np.abs(anchor_boxes(detector.spec.anchors) - peer.anchor_boxes).max())
    differences, inexact = [], 0
    for picture in pictures:
        found = detector.detect(picture)
        try:
            differences.append(difference(found, peer.detect(picture)))
        except AssertionError:
            if peer.detect_exactly is None:
                raise
            differences.append(difference(found, peer.detect_exactly(picture)))
            inexact += 1
    return Comparison(boxes, differences, inexact)


def _record(name: str, network: Network, source: str) -> str:
    """Write a recording with the first seed whose detections stand firm against rounding; return what was written."""
    for seed in SEEDS:
        picture = seeded_picture(network.side, seed)
        more = [seeded_picture(network.side, 1000 + seed + k) for k in range(3)]
        peer = network.start(seed, [picture, *more])
        found = peer.detect(picture)
        enough = 20 < len(found) <= 200 and len(set(found.class_ids.tolist())) > 2
        if enough and _firm(network, peer.seeded.weights, picture, found):
            shapes, scaling, _ = peer.seeded
            save_recording(name, Recording(source, shapes, seed, network.side, scaling, found))
            return f"data/{name}.npz: seed {seed}, {len(found)} detections"
    raise SystemExit(f"{name}: no seed gives 20 to 200 detections that stand firm")


def _firm(network: Network, weights: dict[str, Tensor], picture: np.ndarray, found: Detections) -> bool:
    """Whether weights that differ in the sixth digit give the same detections."""
    for trial in range(3):
        generator = torch.Generator().manual_seed(trial)
        shaken = {
            key: value * (1 + 1e-6 * torch.randn(value.shape, generator=generator))
            if value.is_floating_point()
            else value
            for key, value in weights.items()
        }
        try:
            difference(_ours(shaken, network).detect(picture), found)
        except AssertionError:
            return False
    return True


def _commit(checkout: Path, repository: str) -> str:
    done = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return f"{repository}@{done.stdout.strip()}"
