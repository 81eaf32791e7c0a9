"""The demo's training: the same parts as ``ssd-edge train``, with settings for a few minutes on two cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar, say
from ssd_edge.cli.demo_plan import MODEL_NAME, PRESET, DemoFiles, DemoPlan
from ssd_edge.core.errors import MissingPackageError

if TYPE_CHECKING:
    from ssd_edge.cli.stamps import Done, Facts
    from ssd_edge.data.sample import LabelledSet
    from ssd_edge.model.ssd import SSD
    from ssd_edge.training.journal import EpochRecord
    from ssd_edge.training.loader import BatchLoader

_SEED = 1
_LEARNING_RATE = 0.02
_DECODED_BYTES = 1 << 30


def train_model(plan: DemoPlan, files: DemoFiles, _before: Sequence[Done]) -> Facts:
    """``train``: the preset, from random weights, for the plan's minutes."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError(
            "training needs PyTorch", got=str(error), do="Install it: pip install 'ssd-edge[train,export]'"
        ) from error
    from ssd_edge.backends.threads import physical_cores
    from ssd_edge.data.find import open_dataset
    from ssd_edge.model.zoo import build_model, make_spec
    from ssd_edge.training.budget import TimeBudget
    from ssd_edge.training.loop import train
    from ssd_edge.training.recipe import Optimisation
    from ssd_edge.training.run_folder import RunFolder

    torch.manual_seed(_SEED)
    torch.set_num_threads(physical_cores())
    learnt = open_dataset(files.data, "train")
    spec = make_spec(PRESET, learnt.class_names, input_size=plan.input_size, name=MODEL_NAME)
    model = build_model(spec)
    folder = RunFolder(files.run)
    with bar("training") as progress:
        train(
            model,
            _loader(plan, model, learnt),
            _validation(open_dataset(files.data, "val", learnt.class_names)),
            optimisation=Optimisation(_LEARNING_RATE),
            budget=TimeBudget(plan.minutes),
            files=folder,
            on_epoch=_say_epoch,
            progress=progress,
        )
    images = sum(record.images for record in folder.records)
    return {"detail": f"mAP@0.5 {folder.best_mean_ap or 0:.3f} on pictures to choose by, after {images} views"}


def _loader(plan: DemoPlan, model: SSD, learnt: LabelledSet) -> BatchLoader:
    """Return batches of views that are never mirrored: a sign that points left is not one that points right."""
    from ssd_edge.data.augment import Augment
    from ssd_edge.model.anchors import default_boxes
    from ssd_edge.training.dataset import TrainingSet, decode_images
    from ssd_edge.training.loader import BatchLoader
    from ssd_edge.training.targets import TargetEncoder

    spec = model.spec
    examples = TrainingSet(
        learnt,
        Augment.for_input("ssdlite", spec.input, horizontal_flip=False),
        TargetEncoder(default_boxes(spec.anchors), spec.box_coding),
        seed=_SEED,
        decoded=decode_images(learnt.samples, limit_bytes=_DECODED_BYTES),
    )
    return BatchLoader(examples, batch_size=plan.batch_size, workers=plan.workers, seed=_SEED)


def _validation(chosen_by: LabelledSet) -> Callable[[SSD], float]:
    from ssd_edge.evaluation.evaluate import evaluate
    from ssd_edge.model.predict import TorchDetector

    def validate(model: SSD) -> float:
        detector = TorchDetector(model)
        return evaluate(detector.detect, detector.spec.class_names, chosen_by).accuracy.mean_ap

    return validate


def _say_epoch(record: EpochRecord) -> None:
    if record.mean_ap is not None:
        say(f"epoch {record.epoch}: loss {record.loss:.3f}, mAP@0.5 {record.mean_ap:.3f}, {record.seconds:.0f} s")
