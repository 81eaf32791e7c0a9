"""Batch-norm statistics after short runs: the mean AP with those that ``train`` saves, and with exact ones.

    python -m bench.norm_statistics DATASET [--presets NAME ...] [--runs 200x32 400x8] [--views 2048] [--input-size S]

A run of 200x32 has about 200 steps of 32 images; its epochs are whole, and its other settings are the preset's, from
random weights. Exact statistics are those of the same weights over many more augmented views of the training set. Both
are evaluated on the validation set.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch.nn.modules.batchnorm import _BatchNorm

from bench._figures import report
from bench._options import run
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.augment import Augment
from ssd_edge.data.find import open_dataset
from ssd_edge.evaluation.evaluate import evaluate
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.architectures import network
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import DecodedSSD, TorchDetector
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import make_spec, preset_names
from ssd_edge.training.dataset import TrainingSet
from ssd_edge.training.loader import BatchLoader
from ssd_edge.training.norm_statistics import LEAST_VIEWS, estimate_norms_
from ssd_edge.training.recipe import recipe_for
from ssd_edge.training.targets import TargetEncoder
from ssd_edge.workflows.train import train

_OTHER_VIEWS = 1000  # added to the seed, so that no view is one that the run itself measured over


def trained(
    data: Path, preset: str, batch_size: int, steps: int, images: int, *, seed: int, input_size: int | None
) -> SSD:
    """Return the averaged network of the last epoch, with the statistics that ``train`` saved."""
    epochs = max(1, round(steps / -(-images // batch_size)))
    with tempfile.TemporaryDirectory() as folder:
        done = train(
            data,
            preset=preset,
            backbone="none",
            batch_size=batch_size,
            epochs=epochs,
            val_every=epochs,
            seed=seed,
            input_size=input_size,
            check=False,
            tensorboard=False,
            report=False,
            workspace=folder,
        )
        return load_checkpoint(done.last).model


def measure_exactly_(model: SSD, labelled: LabelledSet, preset: str, views: int, seed: int) -> None:
    """Give a network, in place, statistics over this many views."""
    spec = model.spec
    examples = TrainingSet(
        labelled,
        Augment.for_input(recipe_for(preset).augmentation, spec.input),
        TargetEncoder(anchor_boxes(spec.anchors), spec.box_coding),
        seed=seed + _OTHER_VIEWS,
    )
    loader = BatchLoader(examples, batch_size=LEAST_VIEWS, workers=0, seed=seed + _OTHER_VIEWS)
    epochs = -(-views // (len(loader) * LEAST_VIEWS))
    images = (batch.images for epoch in range(1, epochs + 1) for batch in loader.epoch(epoch))
    estimate_norms_(model, norm_names(model), images, DecodedSSD(model).normalized)


def main(
    data: Path,
    *,
    presets: tuple[str, ...] = (),
    runs: tuple[str, ...] = ("200x32", "400x8"),
    views: int = 2048,
    seed: int = 0,
    input_size: int | None = None,
) -> None:
    train_set, val_set = open_dataset(data, "train"), open_dataset(data, "val")
    for preset in presets or preset_names():
        if not norm_names(network(make_spec(preset, train_set.class_names))):
            print(f"{preset}: no batch norm")
            continue
        for text in runs:
            steps, batch_size = map(int, text.split("x"))
            model = trained(data, preset, batch_size, steps, len(train_set), seed=seed, input_size=input_size)
            saved = mean_ap(model, val_set)
            measure_exactly_(model, train_set, preset, views, seed)
            exact = mean_ap(model, val_set)
            row = f"{preset:40}{text:>8}  {saved:.4f} saved, {exact:.4f} exact"
            print(f"{row}, {saved - exact:+.4f}", flush=True)
            report(f"norm_statistics.{preset}.{text}.difference", saved - exact)


def norm_names(model: SSD) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]


def mean_ap(model: SSD, labelled: LabelledSet) -> float:
    return evaluate(TorchDetector(model).detect, model.spec.class_names, labelled).accuracy.mean_ap


if __name__ == "__main__":
    run(main)
