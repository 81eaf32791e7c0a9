"""Our training beside torchvision's reference training of SSDLite320: the same pictures seen, the same judge.

    python -m bench.bccd_training DATA --epochs 11 --batch-size 8 --seeds 0 1 2
    python -m bench.bccd_training DATA --only ours --change '{"average_decay": 0}' --output changed.jsonl

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

from bench.torchvision_training import RATE_PER_PICTURE, WEIGHT_DECAY, train_theirs
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.find import open_dataset
from ssd_edge.evaluation.evaluate import evaluate
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import TorchDetector
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import make_spec
from ssd_edge.training.config import Machine, TrainingPlan
from ssd_edge.training.recipe import Optimisation, Recipe
from ssd_edge.workflows.train import run_training

PRESET = "ssdlite320-mobilenet-v3-large"


def train_ours(
    learnt: LabelledSet,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    workers: int,
    **changes: float,
) -> SSD:
    """Train as `ssd-edge train` does, with the same rate; it is judged by nothing but its last epoch.

    ``changes`` are fields of :class:`Optimisation`.
    """
    rate = Optimisation(RATE_PER_PICTURE * batch_size, **{"weight_decay": WEIGHT_DECAY, **changes})
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
                **arguments.change,
            )
            seconds, spent = time.perf_counter() - wall, _processor_seconds() - processor
            accuracy = evaluate(TorchDetector(model.eval()).detect, learnt.class_names, judged).accuracy
            images = len(learnt) // arguments.batch_size * arguments.batch_size * arguments.epochs
            yield {
                "who": who,
                "seed": seed,
                "change": arguments.change,
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
    parser.add_argument("--change", type=json.loads, default={}, help='for --only one: {"average_decay": 0} …')
    parser.add_argument("--output", type=Path, default=Path("bccd_training.jsonl"))
    arguments = parser.parse_args()
    for line in runs(arguments):
        print(json.dumps(line), flush=True)
        with arguments.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
    print(summary([json.loads(line) for line in arguments.output.read_text().splitlines()]))


if __name__ == "__main__":
    main()
