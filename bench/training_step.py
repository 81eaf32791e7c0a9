"""A training step of ours against torchvision's: forward, loss, backward and SGD on the same eight pictures.

    python -m bench.training_step [--rounds 5] [--batch 8]

Theirs is torchvision's detector in training mode: its transform (resizing is the identity here, as the pictures have
the network's size), its matching and loss, and SGD. Ours is the step of `ssd-edge train`: pictures as uint8 and targets
from the data workers, normalisation, network, loss, clipping, SGD and the moving average of the weights, in the
precision that `--precision auto` chooses on this processor, and in float32. Matching is not in ours: it happens in the
data workers, beside the step; its time is printed. Rounds are interleaved, the first is thrown away; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.model.anchors import default_boxes
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.loader import Batch
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.precision import measure_precisions
from ssd_edge.training.recipe import LossOptions, Optimisation, Precision
from ssd_edge.training.step import Learner
from ssd_edge.training.targets import TargetEncoder, Targets

CLASSES = tuple(f"class {number}" for number in range(20))
NETWORKS = {"ssd300-vgg16": ssd300_vgg16, "ssdlite320-mobilenet-v3-large": ssdlite320_mobilenet_v3_large}
Objects = list[tuple[FloatArray, IntArray]]


def objects(rng: np.random.Generator, batch: int) -> Objects:
    """Return one to eight objects a picture, in 0..1."""
    found = []
    for _ in range(batch):
        count = int(rng.integers(1, 9))
        sides = rng.uniform(0.05, 0.5, (count, 2))
        corner = rng.uniform(0, 1 - sides)
        found.append((np.concatenate([corner, corner + sides], 1).astype(np.float32), rng.integers(0, 20, count)))
    return found


def theirs(preset: str, images: torch.Tensor, labels: Objects) -> Callable[[], None]:
    """Return a step of torchvision's."""
    model = NETWORKS[preset](weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    side = images.shape[1]
    pictures = list(images.permute(0, 3, 1, 2).float() / 255)
    targets = [
        {"boxes": torch.from_numpy(boxes * side), "labels": torch.from_numpy(class_ids) + 1}
        for boxes, class_ids in labels
    ]

    def step() -> None:
        loss = sum(model(pictures, targets).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def ours(preset: str, images: torch.Tensor, labels: Objects, precision: Precision) -> Callable[[], None]:
    """Return a step of ours."""
    model = build_model(make_spec(preset, CLASSES))
    anchors, coding = default_boxes(model.spec.anchors), model.spec.box_coding
    settings = Optimisation(1e-4, precision=precision)
    learner = Learner(
        model, make_fabric(precision=precision), MultiboxCriterion(LossOptions(), anchors, coding), settings
    )
    average = WeightAverage(model, decay=0.999)
    encode = TargetEncoder(anchors, coding)
    started = time.perf_counter()
    encoded = [encode(boxes, class_ids) for boxes, class_ids in labels]
    print(f"  matching, in the data workers: {1000 * (time.perf_counter() - started):.1f} ms a batch")
    targets = Targets(*(torch.stack(part) for part in zip(*encoded, strict=True)))
    batch = Batch(images, targets, [""] * len(images))

    def step() -> None:
        learner.step([batch], learning_rate=1e-4)
        average.update()

    return step


def compare(preset: str, *, batch: int, rounds: int) -> None:
    """Print the medians of one network."""
    spec = make_spec(preset, CLASSES)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (batch, spec.input.height, spec.input.width, 3), dtype=np.uint8))
    labels = objects(rng, batch)
    chosen: Precision = "bfloat16" if measure_precisions(build_model(spec), batch_size=4).bfloat16_pays else "float32"
    steps = {"theirs": theirs(preset, images, labels), "ours float32": ours(preset, images, labels, "float32")}
    if chosen != "float32":
        steps[f"ours {chosen}"] = ours(preset, images, labels, chosen)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    for name, median in medians.items():
        faster = medians["theirs"] / median
        chose = ", what auto chooses" if name.endswith(chosen) else ""
        print(f"{preset}, {name}: {1000 * median:.0f} ms, {faster:.2f} times theirs{chose}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    for preset in NETWORKS:
        compare(preset, batch=arguments.batch, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
