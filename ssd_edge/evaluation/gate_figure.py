"""The figures that a gate can go by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssd_edge.evaluation.coco_ap import CocoAp
    from ssd_edge.evaluation.mean_ap import MeanAp


class GateFigure(str, Enum):
    """A model's accuracy as one number, 0 to 1."""

    MAP = "map"
    MAP_50_95 = "map-50-95"
    COCO_AP = "coco-ap"
    COCO_AP_50 = "coco-ap50"

    @property
    def label(self) -> str:
        """What it is called."""
        return {"map": "mAP", "map-50-95": "mAP@.5:.95", "coco-ap": "COCO AP", "coco-ap50": "COCO AP50"}[self.value]

    @property
    def is_coco(self) -> bool:
        """Whether COCO's numbers must be counted for it."""
        return self in (GateFigure.COCO_AP, GateFigure.COCO_AP_50)

    def of(self, accuracy: MeanAp, coco: CocoAp | None) -> float:
        """Return it; ``coco`` is needed where :attr:`is_coco`."""
        model = {"map": accuracy.mean_ap, "map_50_95": accuracy.mean_ap_50_95}
        return self.saved({**model, "coco": coco and coco.numbers._asdict()})

    def saved(self, model: Mapping[str, Any]) -> float:
        """Return it from a model's entry in what ``eval --json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the entry does not hold it.
        """
        if self.is_coco:
            return float(model["coco"]["ap" if self is GateFigure.COCO_AP else "ap_50"])
        return float(model["map" if self is GateFigure.MAP else "map_50_95"])
