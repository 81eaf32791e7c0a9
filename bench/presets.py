"""Every preset through the whole chain at its own size: 20 steps of training, export, ONNX Runtime, TensorRT-RTX.

    python -m bench.presets [PRESET ...]

Without names: all presets and some backbones of timm. Prints a row each; exits 1 where one does not get through.
The images are colored rectangles, the same eight in every step, so that the loss must fall.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from bench._options import run
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.timing import Stopwatch
from ssd_edge.exporting.export_onnx import ExportReport, export_onnx
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model, make_spec, preset_names
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.loader import Batch
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.recipe import LossOptions, Optimization, recipe_for
from ssd_edge.training.step import Learner
from ssd_edge.training.targets import TargetEncoder, Targets
from ssd_edge.workflows.build.build import Batch as BatchSizes
from ssd_edge.workflows.build.build import TrtOptions, build

TIMM = (
    "ssdlite320-mobilenetv4_conv_small",
    "ssdlite320-efficientnet_lite0",
    "ssdlite320-efficientnet_lite0-stride8",
    "ssd300-resnet18",
)
COLORS = {"red": (40, 40, 220), "green": (40, 220, 40), "blue": (220, 40, 40)}
PICTURES, BATCH, STEPS = 8, 4, 20


def picture(side: int, rng: np.random.Generator) -> tuple[UInt8Array, FloatArray, IntArray]:
    """Return a BGR image with two to four rectangles, their boxes in 0..1, and their classes."""
    image = rng.integers(90, 160, (side, side, 3)).astype(np.uint8)
    count = int(rng.integers(2, 5))
    corners = rng.uniform(0, 0.6, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(0.15, 0.4, (count, 2))]).astype(np.float32)
    class_ids = rng.integers(0, len(COLORS), count)
    for (x1, y1, x2, y2), class_id in zip((boxes * side).astype(int), class_ids, strict=True):
        image[y1:y2, x1:x2] = list(COLORS.values())[class_id]
    return image, boxes, class_ids


def train(model: SSD, pictures: list[tuple[UInt8Array, FloatArray, IntArray]], rate: float) -> tuple[float, float]:
    """Train for some steps and return the loss of the first and of the last pass over the images."""
    encode = TargetEncoder(anchor_boxes(model.spec.anchors), model.spec.box_coding)
    targets = [encode(boxes, class_ids) for _, boxes, class_ids in pictures]
    criterion = MultiboxCriterion(LossOptions(), anchor_boxes(model.spec.anchors), model.spec.box_coding)
    learner = Learner(model, make_fabric(), criterion, Optimization(rate))
    losses = []
    for step in range(STEPS):
        chosen = [(step * BATCH + k) % PICTURES for k in range(BATCH)]
        images = torch.stack([torch.from_numpy(pictures[k][0]) for k in chosen])
        wanted = Targets(*(torch.stack(part) for part in zip(*(targets[k] for k in chosen), strict=True)))
        batch = Batch(images, wanted, [str(k) for k in chosen])
        losses.append(learner.step([batch], learning_rate=rate).total)
    settle(model, DecodedSSD(model).normalized(torch.stack([torch.from_numpy(image) for image, _, _ in pictures])))
    once = PICTURES // BATCH
    return sum(losses[:once]) / once, sum(losses[-once:]) / once


def settle(model: SSD, images: torch.Tensor) -> None:
    """Give the batch norms the statistics of the trained network: after so few steps they have those of the random one.

    With those, whole regions score the same to the last bit, and no two runtimes agree on the best box there.
    """
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all that follows
    with torch.no_grad():
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def export(model: SSD, images: list[UInt8Array], folder: Path) -> ExportReport:
    """Write checkpoint and ONNX; refused by the export itself unless ONNX Runtime finds what PyTorch finds."""
    save_checkpoint(folder / "best.pt", model.eval())
    return export_onnx(folder / "best.pt", folder / "model.onnx", images)


def build_rtx(path: Path, folder: Path) -> int:
    """Return the size of the TensorRT-RTX engine for one generation of GPUs, in bytes."""
    options = TrtOptions(BatchSizes(1, 1, 4), compute_capabilities=(86,))
    return build(path, target="tensorrt-rtx", tensorrt=options, workspace=folder).path.stat().st_size


def through(name: str) -> str:
    """Take a preset through the chain and return its row."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    spec: ModelSpec = make_spec(name, tuple(COLORS))
    pictures = [picture(spec.input.width, rng) for _ in range(PICTURES)]
    model, watch = build_model(spec), Stopwatch()
    with watch, tempfile.TemporaryDirectory() as folder:
        first, last = train(model, pictures, recipe_for(name).optimisation.learning_rate)
        report = export(model, [image for image, _, _ in pictures[:2]], Path(folder))
        size = build_rtx(report.onnx, Path(folder))
    parity = report.parity
    return (
        f"{first:6.2f} {last:6.2f} {parity.detections:6} {parity.box_difference:8.1e} {parity.score_difference:8.1e}"
        f" {size / 2**20:7.1f} {watch.timing.total_s:6.0f}"
    )


def main(presets: tuple[str, ...] = ()) -> int:
    """Print the table."""
    failed = False
    print(f"{'preset':38} loss 1 loss20 detect      box    score RTX/MiB seconds")
    for name in presets or (*preset_names(), *TIMM):
        try:
            print(f"{name:38} {through(name)}", flush=True)
        except (SsdEdgeError, RuntimeError) as error:
            failed = True
            print(f"{name:38} {error}", flush=True)
    return int(failed)


if __name__ == "__main__":
    run(main)
