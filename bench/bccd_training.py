"""Our training beside torchvision's reference training of SSDLite320: the same images seen, the same evaluation.

    python -m bench.bccd_training DATA --epochs 11 --batch-size 8 --seeds 0 1 2
    python -m bench.bccd_training DATA --only ours --change '{"ema": 0}' --output changed.jsonl

DATA is a VOC data set with the splits train and test, such as BCCD. Theirs is torchvision's own network from random
weights, its own loss, its v2 ``ssdlite`` augmentation and its recipe (references/detection: SGD, 0.15 for 192 images
a step, weight decay 4e-5, warm-up in the first epoch, cosine by epochs). Ours is ``train`` with the same learning rate;
it is validated once, after the last epoch, which counts as its time. Both are evaluated on the test split. A line of
JSON for each run goes to --output, so that runs can be made one at a time.
"""

from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from bench._options import run
from bench.torchvision_training import RATE_PER_IMAGE, WEIGHT_DECAY, train_theirs
from ssd_edge.core.timing import Stopwatch
from ssd_edge.workflows.evaluate import evaluate
from ssd_edge.workflows.import_model import import_model
from ssd_edge.workflows.train import train

PRESET = "ssdlite320-mobilenet-v3-large"


def ours(data: Path, folder: Path, *, batch_size: int, epochs: int, **settings: Any) -> Callable[[], Path]:
    """Train as ``ssd-edge train`` does, with the same rate; ``settings`` are fields of ``TrainConfig``."""
    done = train(
        data,
        preset=PRESET,
        backbone="none",
        batch_size=batch_size,
        epochs=epochs,
        val_every=epochs,
        val_split="test",
        augmentation="ssdlite",
        precision="float32",
        device="cpu",
        check=False,
        tensorboard=False,
        report=False,
        save_minutes=1e6,
        workspace=folder,
        **{"lr": RATE_PER_IMAGE * batch_size, "weight_decay": WEIGHT_DECAY, **settings},
    )
    return lambda: done.last


def theirs(data: Path, folder: Path, **settings: Any) -> Callable[[], Path]:
    """Train as torchvision does; what is returned imports the network as ours."""
    weights, labels = folder / "theirs.pth", folder / "labels.txt"
    names = train_theirs(data, weights, **settings)
    labels.write_text("\n".join(names))
    return lambda: import_model(weights, labels=labels, output=folder / "theirs.pt").path


def runs(
    data: Path, seeds: tuple[int, ...], only: tuple[str, ...], changes: dict[str, float], **settings: int
) -> Iterator[dict[str, object]]:
    """Yield what each run came to, theirs and ours in turns."""
    trainers = {"theirs": theirs, "ours": ours}
    for seed in seeds:
        for who in only or tuple(trainers):
            with tempfile.TemporaryDirectory() as folder:
                wall, processor = Stopwatch(), Stopwatch(_processor_seconds)
                with wall, processor:
                    finished = trainers[who](data, Path(folder), seed=seed, **settings, **changes)
                found = evaluate(finished(), data, split="test").models[0].evaluation
            yield {
                "who": who,
                "seed": seed,
                "change": changes,
                "seconds": wall.timing.total_s,
                "processor_s": processor.timing.total_s,
                "map50": found.accuracy.mean_ap,
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


def main(
    data: Path,
    *,
    epochs: int = 20,
    batch_size: int = 16,
    workers: int = 1,
    seeds: tuple[int, ...] = (0, 1, 2),
    only: tuple[Literal["theirs", "ours"], ...] = (),
    change: str = "{}",
    output: Path = Path("bccd_training.jsonl"),
) -> None:
    changes = json.loads(change)
    for line in runs(data, seeds, only, changes, epochs=epochs, batch_size=batch_size, workers=workers):
        print(json.dumps(line), flush=True)
        with output.open("a") as file:
            file.write(json.dumps(line) + "\n")
    print(summary([json.loads(line) for line in output.read_text().splitlines()]))


if __name__ == "__main__":
    run(main)
