"""Our training beside torchvision's reference training of SSDLite320: the same pictures seen, the same judge.

    python -m bench.bccd_training DATA --epochs 20 --seeds 0 1 2

DATA is a VOC data set with the splits train and test, such as BCCD. Theirs is torchvision's own network from random
weights, its own loss, its v2 ``ssdlite`` augmentation and its recipe (references/detection: SGD, 0.15 for 192 pictures
a step, weight decay 4e-5, warm-up in the first epoch, cosine by epochs). Ours is `train`'s with the same learning rate.
Both are judged by our evaluation on the test split. A line of JSON for each run goes to --output, so that runs can be
made one at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2

from ssd_edge.cli.training_plan import Machine, TrainingPlan
from ssd_edge.cli.training_run import run_training
from ssd_edge.data.find import open_dataset
from ssd_edge.data.sample import LabelledSet
from ssd_edge.evaluation.evaluate import evaluate
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import TorchDetector
from ssd_edge.model.ssd import SSD
from ssd_edge.model.torchvision_weights import load_torchvision
from ssd_edge.model.zoo import make_spec
from ssd_edge.training.recipe import Optimisation, Recipe

RATE_PER_PICTURE = 0.15 / 192
WEIGHT_DECAY = 4e-5
PRESET = "ssdlite320-mobilenet-v3-large"


class TheirPictures(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures as references/detection reads and augments them for SSDLite."""

    def __init__(self, labelled: LabelledSet) -> None:
        self._samples = labelled.samples
        self._views = v2.Compose(
            [
                v2.RandomIoUCrop(),
                v2.RandomHorizontalFlip(p=0.5),
                v2.ToDtype(torch.float, scale=True),
                v2.SanitizeBoundingBoxes(),
            ]
        )

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        sample = self._samples[index]
        image = tv_tensors.Image(decode_image(str(sample.image), ImageReadMode.RGB))
        boxes = torch.from_numpy(sample.boxes)
        target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=tuple(image.shape[-2:])),
            "labels": torch.from_numpy(sample.class_ids) + 1,
        }
        view, labels = self._views(image, target)
        return view.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in labels.items()}


def train_theirs(learnt: LabelledSet, *, seed: int, epochs: int, batch_size: int, workers: int) -> SSD:
    """Train as references/detection does, and return the network as ours."""
    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=len(learnt.class_names) + 1
    ).train()
    loader = DataLoader(
        TheirPictures(learnt),
        batch_size,
        shuffle=True,
        num_workers=workers,
        collate_fn=lambda batch: tuple(zip(*batch, strict=True)),
        drop_last=True,
        persistent_workers=workers > 0,
    )
    optimiser = torch.optim.SGD(
        model.parameters(), lr=RATE_PER_PICTURE * batch_size, momentum=0.9, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    # Made once: LinearLR multiplies the rate by its first factor when it is made, so that another one in a later epoch
    # would end the training there.
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.001, total_iters=min(1000, len(loader) - 1))
    for epoch in range(epochs):
        for images, targets in loader:
            loss = sum(model(list(images), list(targets)).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if epoch == 0:
                warm_up.step()
        schedule.step()
    return load_torchvision(model.state_dict(), learnt.class_names)


def train_ours(learnt: LabelledSet, *, seed: int, epochs: int, batch_size: int, workers: int) -> SSD:
    """Train as `ssd-edge train` does, with the same rate; it is judged by nothing but its last epoch."""
    rate = Optimisation(RATE_PER_PICTURE * batch_size, weight_decay=WEIGHT_DECAY)
    with tempfile.TemporaryDirectory() as folder:
        plan = TrainingPlan(
            spec=make_spec(PRESET, learnt.class_names),
            learnt=learnt,
            judged=_one_picture(learnt),
            recipe=Recipe(epochs, batch_size, "ssdlite", rate),
            folder=Path(folder),
            seed=seed,
            machine=Machine(workers=workers, save_every_s=1e9),
        )
        return load_checkpoint(run_training(plan).last).model


def _one_picture(learnt: LabelledSet) -> LabelledSet:
    """Theirs does not judge its epochs: let ours do as little of it as it can."""
    first = next(sample for sample in learnt.samples if not sample.difficult.all())
    return LabelledSet(learnt.class_names, (first,), learnt.origin)


def runs(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield what each run came to, theirs and ours in turns."""
    learnt = open_dataset(arguments.data, "train")
    judged = open_dataset(arguments.data, "test", learnt.class_names)
    trainers = {"theirs": train_theirs, "ours": train_ours}
    for seed in arguments.seeds:
        for who in arguments.only or trainers:
            wall, processor = time.perf_counter(), _processor_seconds()
            model = trainers[who](
                learnt,
                seed=seed,
                epochs=arguments.epochs,
                batch_size=arguments.batch_size,
                workers=arguments.workers,
            )
            seconds, spent = time.perf_counter() - wall, _processor_seconds() - processor
            accuracy = evaluate(TorchDetector(model.eval()).detect, learnt.class_names, judged).accuracy
            images = len(learnt) // arguments.batch_size * arguments.batch_size * arguments.epochs
            yield {
                "who": who,
                "seed": seed,
                "images": images,
                "seconds": seconds,
                "processor_s": spent,
                "map50": accuracy.mean_ap,
            }


def _processor_seconds() -> float:
    """Of this process and of its workers that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def summary(lines: list[dict[str, float]]) -> str:
    """Compare the means of all runs of a file."""
    means = {}
    for who in ("theirs", "ours"):
        own = [line for line in lines if line["who"] == who]
        means[who] = (
            {key: fmean(line[key] for line in own) for key in ("map50", "seconds", "processor_s")} if own else {}
        )
    if not all(means.values()):
        return "the other side is missing"
    theirs, ours = means["theirs"], means["ours"]
    return (
        f"mAP@0.5 {ours['map50']:.4f} against {theirs['map50']:.4f}; "
        f"{ours['seconds'] / theirs['seconds']:.2f} of its time, "
        f"{ours['processor_s'] / theirs['processor_s']:.2f} of its processor time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=["theirs", "ours"], nargs="+")
    parser.add_argument("--output", type=Path, default=Path("bccd_training.jsonl"))
    arguments = parser.parse_args()
    for line in runs(arguments):
        print(json.dumps(line), flush=True)
        with arguments.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
    print(summary([json.loads(line) for line in arguments.output.read_text().splitlines()]))


if __name__ == "__main__":
    main()
