"""Which loss is trained with; the default is the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssd_edge.core.errors import InputError

Classification = Literal["cross-entropy", "focal"]
Localisation = Literal["smooth-l1", "giou", "diou"]


@dataclass(frozen=True)
class LossOptions:
    """The parts of the multibox loss.

    Attributes:
        classification: cross-entropy with hard negatives, or the focal loss over all default boxes.
        localisation: smooth L1 of the offsets, or 1 - GIoU or 1 - DIoU of the boxes.
        alpha: weight of the localisation (SSD, equation 1).
        label_smoothing: share of the wanted probability that is spread over all classes, 0..1.
        focal_gamma: how little the easy boxes count (arXiv 1708.02002, equation 4).
        focal_alpha: weight of the real classes; background has 1 - focal_alpha (equation 5).
        negatives_per_positive: hard negatives of a picture for each of its positives, with cross-entropy.
        negatives_of_empty: hard negatives of a picture without positives, with cross-entropy; 0 is the paper's and
            torchvision's: such a picture teaches nothing.

    Raises:
        InputError: the focal loss, which has no such form, with label smoothing or hard negatives of empty pictures.
    """

    classification: Classification = "cross-entropy"
    localisation: Localisation = "smooth-l1"
    alpha: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    focal_alpha: float = 0.25
    negatives_per_positive: float = 3.0
    negatives_of_empty: int = 0

    def __post_init__(self) -> None:
        if self.classification == "focal" and self.label_smoothing:
            raise InputError(
                "the focal loss has no label smoothing",
                got=f"{self.label_smoothing:g}",
                wanted="0",
                do="Leave one of them out: --loss focal or --label-smoothing.",
            )
        if self.classification == "focal" and self.negatives_of_empty:
            raise InputError(
                "the focal loss chooses no hard negatives: it learns from every box of pictures without objects",
                got=f"{self.negatives_of_empty}",
                wanted="0",
                do="Leave one of them out: --loss focal or --empty-negatives.",
            )
