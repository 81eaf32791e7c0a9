"""Training recipes: settings that belong together, and the defaults of each preset.

PyTorch is not needed here: the command line shows these values in its help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ssd_edge.core.config import shown_number
from ssd_edge.core.errors import InputError
from ssd_edge.training.schedule import ScheduleName

Augmentation = Literal["ssd", "ssdlite", "none"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]
Classification = Literal["cross-entropy", "focal"]
Localization = Literal["smooth-l1", "giou", "diou"]


@dataclass(frozen=True)
class LossOptions:
    """The parts of the multibox loss.

    Attributes:
        classification: cross-entropy with hard negatives, or the focal loss over all anchors.
        localization: smooth L1 of the offsets, or 1 - GIoU or 1 - DIoU of the boxes.
        alpha: weight of the localization (SSD, equation 1).
        label_smoothing: share of the wanted probability that is spread over all classes, 0..1.
        focal_gamma: how little the easy boxes count (arXiv 1708.02002, equation 4).
        focal_alpha: weight of the real classes; background has 1 - focal_alpha (equation 5).
        negatives_per_positive: hard negatives of an image for each of its positives, with cross-entropy.
        negatives_of_empty: hard negatives of an image without positives, with cross-entropy; 0 is the paper's and
            torchvision's: such an image teaches nothing.

    Raises:
        InputError: the focal loss, which has no such form, with label smoothing or hard negatives of empty images.
    """

    classification: Classification = "cross-entropy"
    localisation: Localization = "smooth-l1"
    alpha: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    focal_alpha: float = 0.25
    negatives_per_positive: float = 3.0
    negatives_of_empty: int = 0

    def __post_init__(self) -> None:
        if self.classification == "focal" and self.label_smoothing:
            raise InputError(
                "the focal loss cannot be combined with label smoothing",
                got=shown_number(self.label_smoothing),
                wanted="0",
                do="Leave out one of the two: --loss focal or --label-smoothing.",
            )
        if self.classification == "focal" and self.negatives_of_empty:
            raise InputError(
                "--empty-negatives has no effect with the focal loss, which trains on every anchor of images "
                "without objects",
                got=f"{self.negatives_of_empty}",
                wanted="0",
                do="Leave out one of the two: --loss focal or --empty-negatives.",
            )


_PAPERS_LOSS = LossOptions()


@dataclass(frozen=True)
class Optimization:
    """Optimization settings.

    Attributes:
        learning_rate: its peak.
        momentum, weight_decay: of SGD; the paper's values (SSD, section 3).
        schedule, warmup_share: see :func:`ssd_edge.training.schedule.learning_rate_factor`.
        clip_norm: gradients are scaled down to this norm; 0 leaves them as they are.
        average_decay: of the moving average of the weights; 0 is none.
        precision: of the network's convolutions (the loss and the weights stay float32).
        accumulate: batches a step of the optimizer; their loss is that of one large batch.
        frozen: modules that keep their weights, by the beginnings of their names, e.g. ``backbone.features``.
        backbone_rate: what the backbone's learning rate is multiplied by; the head has the full rate.
        layer_decay: what the rate is multiplied by from each block of the backbone to the one before it.
        loss: its parts.
        patience: validations without a better mean AP after which the run ends; 0 is none.
    """

    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: ScheduleName = "cosine"
    warmup_share: float = 0.05
    clip_norm: float = 10.0
    average_decay: float = 0.999
    precision: Precision = "float32"
    accumulate: int = 1
    frozen: tuple[str, ...] = ()
    backbone_rate: float = 1.0
    layer_decay: float = 1.0
    patience: int = 0
    loss: LossOptions = _PAPERS_LOSS


@dataclass(frozen=True)
class Recipe:
    """All that a run needs besides network and images.

    Attributes:
        epochs: where no time is given.
        augmentation: name of a recipe of ``ssd_edge.data.augment``.
        validate_every: epochs from one validation to the next, where no time is given; the last is always validated.
    """

    epochs: int
    batch_size: int
    augmentation: str
    optimisation: Optimization
    validate_every: int = 1

    def with_changes(
        self, changes: Mapping[str, Any], *, optimisation: Mapping[str, Any], loss: Mapping[str, Any]
    ) -> Recipe:
        """Return the recipe with other values where they are given; None stands for the recipe's own.

        The schedule ``steps`` has no warm-up unless one is asked for.

        Args:
            changes: fields of :class:`Recipe`.
            optimisation: fields of :class:`Optimization`.
            loss: fields of :class:`LossOptions`.
        """
        asked = _given(optimisation)
        if asked.get("schedule") == "steps":
            asked = {"warmup_share": 0.0, **asked}  # the paper's rate begins at its peak
        settings = replace(self.optimisation, loss=replace(self.optimisation.loss, **_given(loss)), **asked)
        return replace(self, optimisation=settings, **_given(changes))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# The paper's rate is for a backbone that was trained before. Networks with batch norm bear, and from random weights
# need, a higher one.
_PLAIN = Recipe(epochs=120, batch_size=32, augmentation="ssd", optimisation=Optimization(0.001))
_BATCH_NORM = Recipe(epochs=200, batch_size=32, augmentation="ssd", optimisation=Optimization(0.01))
# torchvision's references/detection: 0.15 for 192 images a step, and a lighter decay for the small network.
_LITE = Recipe(epochs=200, batch_size=32, augmentation="ssdlite", optimisation=Optimization(0.025, weight_decay=4e-5))
# Found on drawn road signs, from random weights, 13,000 views: batches of 16 gave 0.84 mAP where batches of 32 at 0.05
# gave 0.60, and crops alone were trained sooner than crops, zoom-out and distorted colors (0.82).
_TINY = Recipe(epochs=40, batch_size=16, augmentation="ssdlite", optimisation=Optimization(0.02))

_BY_PREFIX: Mapping[str, Recipe] = {
    "ssd192-tiny": _TINY,
    "ssdlite": _LITE,
    "ssd300-vgg16-batch-norm": _BATCH_NORM,
    "ssd300-vgg16": _PLAIN,
    "ssd512-vgg16": _PLAIN,
}


# Few images are few steps: half the batch makes twice as many. BCCD was learned at 0.02 from ImageNet weights.
_FEW = replace(_BATCH_NORM, batch_size=16, augmentation="ssdlite", optimisation=Optimization(0.02))
_LITE_FEW = replace(_LITE, batch_size=16, optimisation=Optimization(0.0125, weight_decay=4e-5))
_PLAIN_FEW = replace(_PLAIN, batch_size=16)
_FOR_FEW: Mapping[str, Recipe] = {
    "ssd192-tiny": _TINY,
    "ssdlite": _LITE_FEW,
    "ssd300-vgg16-batch-norm": _FEW,
    "ssd300-vgg16": _PLAIN_FEW,
    "ssd512-vgg16": _PLAIN_FEW,
}


def recipe_for(preset: str) -> Recipe:
    """Return what a preset is trained with unless the user says otherwise."""
    return _first(preset, _BY_PREFIX, _BATCH_NORM)


def recipe_for_few(preset: str) -> Recipe:
    """Return what a preset is trained with on few images, where the user left the choice of the network open."""
    return _first(preset, _FOR_FEW, _FEW)


def _first(preset: str, recipes: Mapping[str, Recipe], other: Recipe) -> Recipe:
    return next((recipe for prefix, recipe in recipes.items() if preset.startswith(prefix)), other)
