"""An SSD300-VGG16 from random weights in minutes, as a model to judge INT8 by.

    python -m bench.train_vgg DATASET OUTPUT.pt [--minutes 40]

VGG16 has no batch norm, and without ImageNet weights learns nothing in the time that two cores have. So it learns with
a batch norm behind each convolution of the backbone; at the end they are folded into the convolutions, and what is
saved is the paper's network. Pictures, targets, loss and step are those of ``ssd-edge train``.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ssd_edge.core.progress import silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.augment import Augment
from ssd_edge.data.find import open_dataset
from ssd_edge.model.anchors import default_boxes
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training.budget import TimeBudget
from ssd_edge.training.dataset import TrainingSet, decode_images
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.loader import Batch, BatchLoader
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.precision import measure_precisions
from ssd_edge.training.recipe import LossOptions, Optimisation, Precision
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.training.step import Learner
from ssd_edge.training.targets import TargetEncoder
from ssd_edge.workflows.train import validation

PRESET = "ssd300-vgg16"
RATE, BATCH, SEED = 0.004, 2, 0  # a small batch: what is short is steps
_SAID_EVERY = 20
_PLAIN_BLOCKS = ("extra.3.", "extra.4.")  # their maps of 3 and 1 cells have too few values to take statistics of


def insert_norms_(backbone: nn.Module) -> None:
    """Put a batch norm behind each convolution whose map is large enough."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, nn.Conv2d) and not name.startswith(_PLAIN_BLOCKS):
            backbone.set_submodule(name, nn.Sequential(module, nn.BatchNorm2d(module.out_channels)))


def fold_norms_(backbone: nn.Module) -> None:
    """Undo :func:`insert_norms_`; the network computes the same."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, nn.Sequential) and len(module) == 2:
            convolution, norm = module
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                backbone.set_submodule(name, fuse_conv_bn_eval(convolution, norm))


def make_loader(model: SSD, learnt: LabelledSet) -> BatchLoader:
    examples = TrainingSet(
        learnt,
        Augment.for_input("ssdlite", model.spec.input),
        TargetEncoder(default_boxes(model.spec.anchors), model.spec.box_coding),
        seed=SEED,
        decoded=decode_images(learnt.samples, limit_bytes=1 << 30),
    )
    return BatchLoader(examples, batch_size=BATCH, workers=1, seed=SEED)


def endless(loader: BatchLoader) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from loader.epoch(epoch)


def train_vgg(learnt: LabelledSet, *, minutes: float, precision: Precision) -> SSD:
    """Return the network, without batch norms and in evaluation mode."""
    torch.manual_seed(SEED)
    model = build_model(make_spec(PRESET, learnt.class_names))
    insert_norms_(model.backbone)
    settings = Optimisation(RATE, precision=precision)
    criterion = MultiboxCriterion(LossOptions(), default_boxes(model.spec.anchors), model.spec.box_coding)
    learner = Learner(model, make_fabric(precision=precision), criterion, settings)
    average = WeightAverage(model, decay=0.99)
    budget, losses = TimeBudget(minutes), []
    budget.start()
    for batch in endless(make_loader(model, learnt)):
        spent, whole = budget.done()
        if spent >= whole:
            break
        factor = learning_rate_factor(spent / whole, schedule="cosine", warmup_share=settings.warmup_share)
        losses.append(learner.step([batch], learning_rate=RATE * factor).total)
        average.update()
        if len(losses) % _SAID_EVERY == 0:
            print(f"step {len(losses)}, {spent / 60:.1f} min, loss {fmean(losses[-_SAID_EVERY:]):.3f}", flush=True)
    fold_norms_(average.model.backbone)
    return average.model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    learnt = open_dataset(asked.dataset, "train")
    times = measure_precisions(build_model(make_spec(PRESET, learnt.class_names)), batch_size=4)
    started = time.perf_counter()
    model = train_vgg(learnt, minutes=asked.minutes, precision="bfloat16" if times.bfloat16_pays else "float32")
    mean_ap = validation(open_dataset(asked.dataset, "val", learnt.class_names))(model, silent)
    print(f"mAP on val {mean_ap:.4f} after {(time.perf_counter() - started) / 60:.1f} minutes")
    save_checkpoint(asked.output, model, {"map": mean_ap})


if __name__ == "__main__":
    main()
